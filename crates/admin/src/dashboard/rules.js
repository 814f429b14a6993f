// The rules of the configuration: what they match, what they do, and what they have done.

import { byId, cell, keyed, mark, row, say } from './dom.js';
import { UNKNOWN, count, words } from './format.js';

const COLUMNS = [
  ['place', 'number'], ['name', 'name'], ['conditions', 'long'], ['actions', 'long'], ['limit', 'number'],
  ['matched', 'number'], ['refused', 'number'], ['limited', 'number'],
];

export function showRules({ rules }) {
  keyed(byId('rules'), rules, (rule) => rule.place, () => row(COLUMNS), update);
}

function update(line, rule) {
  // A rate has a column of its own.
  const { statements_per_second: limit, ...actions } = rule.actions;
  mark(line, 'data-rule', rule.name);
  say(cell(line, 'place'), count(rule.place));
  say(cell(line, 'name'), rule.name);
  say(cell(line, 'conditions'), list(rule.conditions, (values) => values.join(' or ')) || 'every statement');
  say(cell(line, 'actions'), list(actions, (value) => value) || UNKNOWN);
  say(cell(line, 'limit'), limit === undefined ? UNKNOWN : `${count(Number(limit))}/s`);
  for (const field of ['matched', 'refused', 'limited']) say(cell(line, field), count(rule[field]));
  for (const field of ['refused', 'limited']) mark(cell(line, field), 'data-bad', rule[field] > 0 ? '' : null);
}

const list = (keys, text) => Object.entries(keys).map(([key, value]) => `${words(key)}: ${text(value)}`).join('; ');
