// What the last two minutes showed of each server, and the small chart of it.

import { svg } from './dom.js';

const SAMPLES_MAX = 120;

const WIDTH = 96;
const HEIGHT = 26;

const series = new Map();

// Adds a value. `null` is a gap.
export function note(name, value) {
  const values = series.get(name) ?? [];
  values.push(value ?? null);
  if (values.length > SAMPLES_MAX) values.shift();
  series.set(name, values);
  return values;
}

export const forget = () => series.clear();

// A line from left to right, the newest value at the right end. With a limit, that is a line, too, and always in sight.
export function draw(chart, values, limit = null) {
  const top = Math.max(1, ...values.filter((value) => value !== null), limit === null ? 0 : limit * 1.25);
  const x = (place) => WIDTH - (values.length - 1 - place) * (WIDTH / (SAMPLES_MAX - 1));
  const y = (value) => HEIGHT - 2 - (Math.min(value, top) / top) * (HEIGHT - 4);
  const base = svg('line', { class: 'base', x1: 0, x2: WIDTH, y1: y(0), y2: y(0) });
  const parts = [base, svg('path', { class: 'values', d: path(values, x, y) })];
  if (limit !== null) parts.unshift(svg('line', { class: 'limit', x1: 0, x2: WIDTH, y1: y(limit), y2: y(limit) }));
  chart.replaceChildren(...parts);
}

function path(values, x, y) {
  let pen = 'M';
  const steps = values.map((value, place) => {
    if (value === null) {
      pen = 'M';
      return '';
    }
    const step = `${pen}${x(place).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = 'L';
    return step;
  });
  return steps.join('');
}

export const chart = (field) =>
  svg('svg', { class: 'chart', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, 'aria-hidden': 'true', 'data-chart': field });
