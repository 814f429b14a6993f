// The servers that get no reads for a while, as they fail or are slow.

import { byId, cell, keyed, mark, row, say } from './dom.js';
import { UNKNOWN, count, millis, moment } from './format.js';

const COLUMNS = [['server', 'name'], ['ejected'], ['reason', 'long'], ['since'], ['until'], ['count', 'number']];

export function showEjections({ at, ejections }) {
  keyed(byId('ejections'), ejections, (line) => line.server, () => row(COLUMNS), (line, ejection) => update(line, ejection, at));
}

function update(line, ejection, at) {
  const { server, since, until } = ejection;
  say(cell(line, 'server'), server);
  say(cell(line, 'ejected'), extent(ejection));
  mark(line, 'data-ejected', isEjected(ejection) ? '' : null);
  say(cell(line, 'reason'), reason(ejection));
  say(cell(line, 'since'), since ? moment(since) : UNKNOWN);
  say(cell(line, 'until'), until ? `${moment(until)}, in ${left(at, until)}` : UNKNOWN);
  say(cell(line, 'count'), count(ejection.count));
}

export const isEjected = ({ ejected_by: workers }) => workers > 0;

function extent({ ejected_by: ejecting, workers }) {
  if (ejecting === 0) return 'no';
  return ejecting === workers ? 'yes' : `by ${count(ejecting)} of ${count(workers)} workers`;
}

const reason = ({ reasons, why }) => (reasons.length > 0 ? `${reasons.join(', ')}: ${why}` : UNKNOWN);

// By the clock of Pointsman's machine alone; in whole seconds, as this changes once a second.
const left = (at, until) => millis(1000 * Math.max(1, Math.round((new Date(until) - new Date(at)) / 1000)));
