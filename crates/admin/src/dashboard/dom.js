// Making and changing elements. Text comes in by textContent and by attributes, never as markup: what a client has sent is shown as it is.

const SVG = 'http://www.w3.org/2000/svg';

export const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);

export const svg = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

// Only a change touches the document, so that a selection stays and a screen reader is silent while nothing happens.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function mark(node, name, value) {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// Brings the children of `parent` to one for each item, in this order. A child that is still wanted stays the same element, with its focus.
export function keyed(parent, items, keyOf, make, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, place) => {
    const key = String(keyOf(item));
    let child = known.get(key);
    known.delete(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
    update(child, item);
  });
  for (const child of known.values()) child.remove();
}

// A row of a table: `columns` are [field, class], and each cell can be found by its field.
export function row(columns) {
  return el('tr', {}, ...columns.map(([field, kind]) => el('td', { 'data-field': field, class: kind })));
}

export const cell = (line, field) => line.querySelector(`[data-field="${field}"]`);
