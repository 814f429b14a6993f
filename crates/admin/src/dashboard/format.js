// Numbers and times for people. What is not known is a dash.

export const UNKNOWN = '–';

const isKnown = (value) => value !== null && value !== undefined;

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const count = (value) => (isKnown(value) ? whole.format(value) : UNKNOWN);

export function rate(value) {
  if (!isKnown(value)) return UNKNOWN;
  return value === 0 || value >= 100 ? whole.format(value) : tenths.format(value);
}

export function micros(value) {
  if (!isKnown(value)) return UNKNOWN;
  if (value < 1000) return `${whole.format(value)} µs`;
  if (value < 10_000) return `${(value / 1000).toFixed(2)} ms`;
  return millis(value / 1000);
}

// Of a bucket: a round number.
export function bound(value) {
  if (!isKnown(value)) return UNKNOWN;
  if (value < 1000) return `≤ ${value} µs`;
  return value < 1_000_000 ? `≤ ${value / 1000} ms` : `≤ ${value / 1_000_000} s`;
}

export function millis(value) {
  if (!isKnown(value)) return UNKNOWN;
  if (value < 1000) return `${value < 100 && value % 1 !== 0 ? value.toFixed(1) : whole.format(value)} ms`;
  return seconds(value / 1000);
}

function seconds(value) {
  if (value < 10) return `${value.toFixed(2)} s`;
  if (value < 120) return `${value.toFixed(0)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  if (value < 172_800) return `${Math.round(value / 3600)} h`;
  return `${Math.round(value / 86_400)} days`;
}

export const clock = (date) => date.toLocaleTimeString('en-GB');

// With the day, if it was another one.
export function moment(text) {
  const date = new Date(text);
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? clock(date) : `${date.toLocaleDateString('en-CA')} ${clock(date)}`;
}

// The names of findings, reasons and pins are made for programs.
export const words = (name) => name.replaceAll('_', ' ');
