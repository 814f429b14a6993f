// The box for EXPLAIN ROUTE: where a statement of a new session would run at this moment, and why.

import { act } from './api.js';
import { byId, el } from './dom.js';
import { millis } from './format.js';

// Which answer is the last one's.
let asked = 0;

export function listenToExplain() {
  byId('explain-form').addEventListener('submit', explain);
  // As in other places where people write statements.
  byId('sql').addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) byId('explain-form').requestSubmit();
  });
}

async function explain(event) {
  event.preventDefault();
  asked += 1;
  const turn = asked;
  const said = await ask(byId('sql').value, byId('schema').value.trim() || null);
  if (turn === asked) byId('explained').replaceChildren(...said);
}

async function ask(sql, schema) {
  try {
    const { steps } = await (await act('/api/explain', { sql, schema })).json();
    return shown(steps);
  } catch (error) {
    return [el('p', { class: 'error' }, error.message)];
  }
}

function shown(steps) {
  const decision = steps.at(-1);
  const headline = decision.subject === 'forward' ? `Runs on ${decision.result}` : `${decision.subject}: ${decision.result}`;
  return [
    el('p', { class: 'decision', 'data-decision': decision.subject }, el('strong', {}, headline), ` ${decision.because}`),
    el('div', { class: 'scroll' }, el('table', { class: 'steps' }, el('tbody', {}, ...steps.map(line)))),
  ];
}

function line(step) {
  const facts = [
    step.server_role,
    step.server_role && step.staleness_ms !== null ? `≤ ${millis(step.staleness_ms)} behind` : null,
    step.weight === null ? null : `weight ${step.weight}`,
  ].filter(Boolean);
  return el('tr', { 'data-step': step.step },
    el('th', { scope: 'row' }, step.step),
    el('td', { class: 'name' }, step.subject),
    el('td', { class: step.step === 'digest' ? 'sql' : null, 'data-result': step.result }, step.result),
    el('td', { class: 'because' }, step.because, facts.length > 0 ? el('div', { class: 'quiet' }, facts.join(', ')) : ''));
}
