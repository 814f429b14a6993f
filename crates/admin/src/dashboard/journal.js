// The journal: findings, and what was done about them. The newest entry comes first.

import { byId, el } from './dom.js';
import { millis, moment, words } from './format.js';

const ENTRIES_MAX = 200;

// The stream sends the last entries once more when it begins again.
export const forgetJournal = () => byId('journal').replaceChildren();

export function showEntry(entry) {
  const list = byId('journal');
  const [kind, title, text] = inWords(entry);
  list.prepend(
    el('li', { 'data-kind': kind, 'data-event': entry.event },
      el('time', { datetime: entry.at }, moment(entry.at)),
      el('span', { class: 'entry' }, el('strong', {}, title), text ? ` ${text}` : '')),
  );
  while (list.children.length > ENTRIES_MAX) list.lastElementChild.remove();
}

const kindOf = (isAskedFor) => (isAskedFor ? 'switchover' : 'failover');

// What kind of line it is, its beginning, and the rest.
function inWords(entry) {
  switch (entry.event) {
    case 'found':
      return [entry.severity, words(entry.finding), entry.text];
    case 'step':
      return [entry.outcome.startsWith('failed') ? 'error' : 'step', `${words(entry.step)} on ${entry.server}:`, step(entry)];
    case 'locks':
      return ['step', entry.held ? 'locks held' : 'locks not held', entry.text];
    case 'promotion_began':
      return ['change', `${kindOf(entry.is_asked_for)} begins`, `${entry.from} is about to be replaced`];
    case 'promoted':
      return ['change', `${entry.to} is the primary`, `after ${millis(entry.took_ms)}, by ${kindOf(entry.is_asked_for)}`];
    case 'promotion_ended':
      return ['warning', 'nothing was promoted', entry.why];
    case 'share_set':
      return ['change', entry.server, `${share(entry.before)} becomes ${share(entry.after)}`];
    case 'ejected':
      return ['warning', `${entry.server} gets no reads`, `for ${millis(entry.lasts_ms)}, as ${entry.text} (${entry.reason})`];
    case 'ejection_ended':
      return ['change', `${entry.server} gets reads again`, `after ${millis(entry.took_ms)}`];
    case 'hook':
      return ['step', `command ${entry.moment} the promotion`, entry.outcome];
    default:
      return ['step', words(String(entry.event)), ''];
  }
}

const share = ({ weight, state }) => `${words(state)} with weight ${weight}`;

function step({ outcome, detail, took_ms: took }) {
  const time = took > 0 ? ` in ${millis(took)}` : '';
  return `${outcome}${time}${detail ? `, ${detail}` : ''}`;
}
