// The digests that took most time, and the sessions. They are asked for, as they would be much to send each second.

import { ask } from './api.js';
import { byId, cell, keyed, mark, row, say } from './dom.js';
import { UNKNOWN, count, micros, millis, words } from './format.js';

const DIGESTS_MAX = 20;
const SESSIONS_MAX = 100;

const DIGEST = [
  ['text', 'sql'], ['server'], ['because'], ['user'], ['count', 'number'], ['errors', 'number'],
  ['mean', 'number'], ['max', 'number'], ['total', 'number'],
];

const SESSION = [
  ['id', 'name'], ['user'], ['peer'], ['schema'], ['state'], ['for', 'number'], ['server'], ['pin'], ['statements', 'number'],
];

export async function refreshLists() {
  const [digests, sessions] = await Promise.all([ask(`/api/digests?limit=${DIGESTS_MAX}`), ask(`/api/sessions?limit=${SESSIONS_MAX}`)]);
  const keyOf = ({ digest, user, schema, server }) => JSON.stringify([digest, user, schema, server]);
  keyed(byId('digests'), digests, keyOf, () => row(DIGEST), showDigest);
  // What is pinned or runs is what people look for.
  const rank = (session) => (session.pin ? 0 : session.state === 'running' ? 1 : 2);
  const sorted = sessions.toSorted((one, other) => rank(one) - rank(other) || one.id - other.id);
  keyed(byId('sessions'), sorted, (session) => session.id, () => row(SESSION), showSession);
}

function showDigest(line, digest) {
  const { text, server, because, user, count: statements, errors, max_us: max, sum_us: sum } = digest;
  say(cell(line, 'text'), text || 'all statements that found the table of digests full');
  mark(cell(line, 'text'), 'title', digest.digest);
  say(cell(line, 'server'), server ?? 'not sent');
  say(cell(line, 'because'), words(because));
  say(cell(line, 'user'), digest.schema ? `${user} in ${digest.schema}` : user);
  say(cell(line, 'count'), count(statements));
  say(cell(line, 'errors'), count(errors));
  mark(cell(line, 'errors'), 'data-bad', errors > 0 ? '' : null);
  say(cell(line, 'mean'), micros(statements > 0 ? Math.round(sum / statements) : null));
  say(cell(line, 'max'), micros(max));
  say(cell(line, 'total'), micros(sum));
}

function showSession(line, session) {
  const { id, user, peer, tls, schema, state, server, pin, statements } = session;
  say(cell(line, 'id'), String(id));
  say(cell(line, 'user'), user);
  say(cell(line, 'peer'), tls ? `${peer}, TLS` : peer);
  say(cell(line, 'schema'), schema ?? UNKNOWN);
  say(cell(line, 'state'), state);
  mark(line, 'data-state', state);
  say(cell(line, 'for'), millis(session.state_ms));
  say(cell(line, 'server'), server ?? UNKNOWN);
  say(cell(line, 'pin'), pin ? words(pin) : UNKNOWN);
  say(cell(line, 'statements'), count(statements));
}

// The numbers of all sessions come with the state, once a second.
export function showSessionCounts({ clients }) {
  const { connected, limit, running, idle, held, pinned } = clients;
  const shown = running + idle > SESSIONS_MAX ? `; the table shows ${SESSIONS_MAX}` : '';
  say(byId('sessions-count'), `${count(connected)} of ${count(limit)} clients, ${count(running)} running, ${count(idle)} idle${shown}`);
  const pins = Object.entries(pinned).map(([pin, sessions]) => `${count(sessions)} by ${words(pin)}`);
  const waiting = held > 0 ? `${count(held)} wait for a primary. ` : '';
  say(byId('pins'), `${waiting}${pins.length > 0 ? `Pinned: ${pins.join(', ')}.` : 'No session is pinned.'}`);
}
