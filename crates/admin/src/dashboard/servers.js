// The table of servers: roles, staleness, traffic, and what can be done.

import { openShare, openSwitchover, openWeight } from './actions.js';
import { byId, cell, el, keyed, mark, row, say } from './dom.js';
import { isEjected } from './ejections.js';
import { UNKNOWN, bound, count, micros, millis, rate, words } from './format.js';
import { chart, draw, note } from './history.js';
import { isDown, trafficOf } from './topology.js';

const COLUMNS = [
  ['name', 'name'], ['role'], ['state'], ['staleness', 'charted'], ['rate', 'charted'],
  ['errors', 'number'], ['mean', 'number'], ['p95', 'number'], ['connections', 'number'], ['weight', 'number'],
  ['actions', 'actions'],
];

export function showServers(state) {
  const ejected = new Set(state.ejections.filter(isEjected).map(({ server }) => server));
  const show = (line, server) => {
    update(line, server, trafficOf(state, server.name), state.max_lag_ms);
    say(cell(line, 'state'), situation(server, ejected.has(server.name)));
    mark(line, 'data-ejected', ejected.has(server.name) ? '' : null);
  };
  say(byId('max-lag'), millis(state.max_lag_ms));
  keyed(byId('servers'), state.status.servers, (server) => server.name, make, show);
}

function make({ name }) {
  const line = row(COLUMNS);
  mark(line, 'data-server', name);
  cell(line, 'name').append(name);
  mark(cell(line, 'name'), 'title', name);
  for (const field of ['staleness', 'rate']) cell(line, field).append(chart(field), el('span', { class: 'value' }));
  const button = (action, label, open) => {
    const made = el('button', { type: 'button', 'data-action': action, 'aria-label': `${label} ${name}` }, label);
    made.addEventListener('click', open);
    return made;
  };
  cell(line, 'actions').append(
    button('drain', 'Drain', () => openShare(name, 'drain')),
    button('active', 'Activate', () => openShare(name, 'active')),
    button('weight', 'Weight', () => openWeight(name, cell(line, 'weight').textContent)),
    button('promote', 'Promote', () => openSwitchover(name)),
  );
  return line;
}

function update(line, server, now, maxLag) {
  mark(line, 'data-role', server.role);
  mark(line, 'data-condition', isDown(server) ? 'down' : server.condition);
  say(cell(line, 'role'), server.role);
  say(cell(line, 'errors'), rate(now.errors_per_second));
  mark(cell(line, 'errors'), 'data-bad', now.errors_per_second > 0 ? '' : null);
  say(cell(line, 'mean'), micros(now.mean_us));
  say(cell(line, 'p95'), bound(now.p95_us));
  say(cell(line, 'connections'), connections(now.connections));
  say(cell(line, 'weight'), count(server.weight));
  charted(line, 'staleness', server.name, now.staleness_ms, staleness(now.staleness_ms), maxLag);
  mark(cell(line, 'staleness'), 'data-bad', now.staleness_ms === null || now.staleness_ms > maxLag ? '' : null);
  charted(line, 'rate', server.name, now.statements_per_second, rate(now.statements_per_second));
  const canHave = { drain: server.state !== 'drain', active: server.state !== 'active', promote: server.role === 'replica' };
  for (const button of cell(line, 'actions').children) button.hidden = canHave[button.dataset.action] === false;
}

function charted(line, field, name, value, text, limit = null) {
  const place = cell(line, field);
  draw(place.querySelector('svg'), note(`${field} ${name}`, value), limit);
  mark(place, 'data-value', value ?? '');
  say(place.querySelector('.value'), text);
}

const staleness = (value) => (value === null || value === undefined ? 'not proven' : millis(value));

function situation({ condition, state }, isOut) {
  const parts = [condition === 'up' ? null : words(condition), words(state), isOut ? 'ejected' : null];
  return parts.filter((part) => part !== null).join(', ');
}

function connections(known) {
  if (!known) return UNKNOWN;
  const waiting = known.waiting > 0 ? `, ${count(known.waiting)} wait` : '';
  return `${count(known.open)} of ${count(known.limit)}${waiting}`;
}
