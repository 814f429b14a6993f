// The drawing: Pointsman above, the servers below, the statements that go to them, and who follows whom. The table of servers says the same in words.

import { byId, mark, svg } from './dom.js';
import { UNKNOWN, count, micros, millis, rate, words } from './format.js';

const NODE = { width: 196, height: 104, gap: 32 };
const HUB = { width: 232, height: 54, y: 8 };
const MARGIN = 16;
const MANY = 4;
// Of the servers. The labels of the statements are above.
const TOP = 148;
// A curve reaches so much of the depth of its control points.
const BEND = 0.75;

export function showTopology(state) {
  const { servers } = state.status;
  const width = Math.max(servers.length * (NODE.width + NODE.gap) - NODE.gap, HUB.width) + 2 * MARGIN;
  const arrows = replication(state);
  const height = TOP + NODE.height + depth(Math.max(0, ...arrows.map(({ span }) => span))) + MARGIN;
  // Many servers need all of the page's width.
  mark(byId('pair'), 'data-wide', servers.length > MANY ? '' : null);
  const drawing = byId('topology');
  mark(drawing, 'viewBox', `0 0 ${width} ${height}`);
  mark(drawing, 'width', width);
  mark(drawing, 'height', height);
  mark(drawing, 'aria-label', inWords(state));
  drawing.replaceChildren(
    heads(),
    ...servers.map((server, place) => traffic(server, trafficOf(state, server.name), place, width / 2)),
    ...arrows.map(arrow),
    hub(state, width / 2),
    ...servers.map((server, place) => node(server, trafficOf(state, server.name), place, freshnessOf(state, server))),
  );
}

export const trafficOf = (state, name) => state.traffic.find((traffic) => traffic.name === name) ?? {};

export const isDown = (server) => !['up', 'silent', 'unknown'].includes(server.condition);

const left = (place) => MARGIN + place * (NODE.width + NODE.gap);
const middle = (place) => left(place) + NODE.width / 2;
const depth = (span) => (span === 0 ? 0 : 26 + 20 * span);

function heads() {
  const head = (id) =>
    svg('marker', { id, viewBox: '0 0 10 10', refX: 8, refY: 5, markerWidth: 7, markerHeight: 7, orient: 'auto-start-reverse' },
      svg('path', { d: 'M0 1 L9 5 L0 9 z', class: id }));
  return svg('defs', {}, head('head'), head('head-broken'));
}

function hub(state, x) {
  const { clients } = state;
  const running = `${count(clients.connected)} clients, ${count(clients.running)} running`;
  const held = clients.held > 0 ? `${count(clients.held)} wait for a primary` : running;
  return svg('g', { class: 'hub', transform: `translate(${x - HUB.width / 2} ${HUB.y})` },
    svg('rect', { width: HUB.width, height: HUB.height, rx: 8 }),
    svg('text', { x: HUB.width / 2, y: 23, class: 'name' }, 'Pointsman'),
    svg('text', { x: HUB.width / 2, y: 42, class: 'quiet' }, held));
}

// Thicker with ten times as many statements, so that one and a hundred thousand can be told apart.
function traffic(server, now, place, from) {
  const perSecond = now.statements_per_second ?? 0;
  const [x, y, begin] = [middle(place), TOP, HUB.y + HUB.height];
  const kind = isDown(server) ? 'down' : perSecond > 0 ? 'flows' : 'idle';
  const line = svg('path', {
    class: `traffic ${kind}`,
    d: `M${from} ${begin} C${from} ${begin + 44} ${x} ${begin + 20} ${x} ${y}`,
    'stroke-width': 1.25 + 1.25 * Math.log10(1 + perSecond),
  });
  // On the side to which the line does not bend.
  const side = x < from ? -1 : 1;
  const anchor = side < 0 ? 'end' : 'start';
  const label = svg('text', { x: x + side * 10, y: y - 14, class: 'rate', 'text-anchor': anchor }, perSecondText(now));
  return svg('g', {}, line, label);
}

const perSecondText = (now) => (now.statements_per_second === undefined || now.statements_per_second === null ? UNKNOWN : `${rate(now.statements_per_second)}/s`);

function node(server, now, place, freshness) {
  const kind = isDown(server) ? 'down' : server.role;
  const notes = [
    isDown(server) || server.condition === 'silent' ? words(server.condition) : null,
    server.state === 'active' ? null : words(server.state),
    server.role === 'primary' ? 'takes writes' : null,
  ].filter(Boolean);
  const second = notes.length > 0 ? notes.join(', ') : `weight ${server.weight}`;
  return svg('g', { class: `node ${kind} ${server.state}`, transform: `translate(${left(place)} ${TOP})`, 'data-node': server.name },
    svg('rect', { width: NODE.width, height: NODE.height, rx: 8 }),
    svg('text', { x: 16, y: 28, class: 'name' }, shortened(server.name, 12)),
    svg('text', { x: NODE.width - 16, y: 28, class: 'role' }, server.role),
    svg('text', { x: 16, y: 49, class: 'quiet' }, second),
    svg('text', { x: 16, y: 68, class: freshness.isGood ? 'quiet' : 'bad' }, freshness.text),
    svg('text', { x: 16, y: 87, class: 'quiet' }, latency(now)));
}

const latency = ({ mean_us: mean }) => (mean === null || mean === undefined ? 'no statements lately' : `mean ${micros(mean)}`);

const shortened = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

// One arrow for each server that follows another one of them.
function replication(state) {
  const { servers } = state.status;
  const arrows = servers.flatMap((server, place) => {
    const source = servers.findIndex((other) => other.name === server.follows);
    if (source < 0 || source === place) return [];
    const isBroken = !isReplicating(server);
    return [{ from: source, to: place, span: Math.abs(place - source), isBroken, isLate: !freshnessOf(state, server).isGood }];
  });
  return arrows;
}

const isReplicating = (server) => server.receiving === 'running' && server.applying === 'running';

const stalled = ({ receiving, applying }) =>
  (receiving === 'running' ? `applying: ${applying}` : `receiving: ${receiving ?? 'nothing'}`);

// What is known of how far it is behind, in words.
function freshnessOf(state, server) {
  const stale = trafficOf(state, server.name).staleness_ms;
  if (isDown(server) || server.role !== 'replica') return { isGood: true, text: server.follows ? `follows ${server.follows}` : 'follows nobody' };
  if (!isReplicating(server)) return { isGood: false, text: stalled(server) };
  if (stale === null || stale === undefined) return { isGood: false, text: 'not proven fresh' };
  return { isGood: stale <= state.max_lag_ms, text: `≤ ${millis(stale)} behind` };
}

function arrow({ from, to, span, isBroken, isLate }) {
  const bottom = TOP + NODE.height;
  const direction = Math.sign(to - from);
  // Arrows that leave one server, and those that reach it, each have their own place.
  const begin = middle(from) + direction * Math.max(6, 46 - 14 * span);
  const [end, low] = [middle(to) - direction * 12, bottom + depth(span) / BEND];
  const kind = isBroken ? 'broken' : isLate ? 'late' : 'follows';
  return svg('path', {
    class: `replication ${kind}`,
    d: `M${begin} ${bottom} C${begin} ${low} ${end} ${low} ${end} ${bottom + 2}`,
    'marker-end': kind === 'follows' ? 'url(#head)' : 'url(#head-broken)',
  });
}

function inWords(state) {
  const sentence = (server) => {
    const follows = server.follows ? `, follows ${server.follows}` : '';
    return `${server.name}: ${server.role}, ${words(server.condition)}, ${server.state}${follows}.`;
  };
  return state.status.servers.map(sentence).join(' ');
}
