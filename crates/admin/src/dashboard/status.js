// The finding: what is the matter, what is done about it, and what a person should do.

import { byId, el, mark, say } from './dom.js';
import { words } from './format.js';

export function showStatus(state) {
  const { status } = state;
  say(byId('version'), state.version);
  mark(byId('finding'), 'data-severity', status.severity);
  say(byId('finding-name'), words(status.finding));
  say(byId('finding-text'), status.text);
  const points = [
    ...status.warnings.map((text) => ['warning', text]),
    ...status.servers.filter((server) => server.why).map((server) => ['problem', `${server.name}: ${server.why}`]),
    ...status.servers.filter((server) => server.diverged).map((server) => ['problem', `${server.name} has transactions that the primary lacks: ${server.diverged}`]),
  ];
  showPoints(byId('finding-more'), points);
  showMissing(byId('missing'), status.missing);
}

// What stays as it is says nothing new, so it is folded away.
function showMissing(details, missing) {
  details.hidden = missing.length === 0;
  const things = missing.length === 1 ? '1 thing is' : `${missing.length} things are`;
  say(details.querySelector('summary'), `${things} missing for a promotion without loss`);
  showPoints(details.querySelector('ul'), missing.map((text) => ['missing', text]));
}

function showPoints(list, points) {
  const is = JSON.stringify(points);
  // A screen reader reads what changes.
  if (list.dataset.points === is) return;
  list.dataset.points = is;
  list.replaceChildren(...points.map(([kind, text]) => el('li', { 'data-kind': kind }, text)));
}
