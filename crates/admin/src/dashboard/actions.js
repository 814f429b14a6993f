// What changes something. Each change is confirmed in a dialog first, and its outcome is told in the words of the API.

import { act } from './api.js';
import { byId, el, mark, say } from './dom.js';
import { clock } from './format.js';

// The servers' names and roles, as last seen, to choose from.
let servers = [];
let pending = null;

export function noteServers(state) {
  servers = state.status.servers;
}

const TEXTS = {
  drain: 'It gets no new reads. What a session has there, such as a transaction or a cursor, goes on until it ends. A primary still gets the writes.',
  active: 'It gets its share of the reads again, as soon as it is fresh enough.',
};

export function openShare(name, state) {
  open({
    title: state === 'drain' ? `Drain ${name}?` : `Activate ${name}?`,
    text: TEXTS[state],
    confirm: state === 'drain' ? 'Drain' : 'Activate',
    run: () => act(`/api/servers/${encodeURIComponent(name)}`, { state }),
  });
}

export function openWeight(name, weight) {
  open({
    title: `Weight of ${name}`,
    text: 'Its share of the reads, relative to the weights of the other servers.',
    confirm: 'Set weight',
    number: weight,
    run: () => act(`/api/servers/${encodeURIComponent(name)}`, { weight: byId('dialog-input').valueAsNumber }),
  });
}

export function openSwitchover(name = null) {
  const replicas = servers.filter((server) => server.role === 'replica').map((server) => server.name);
  open({
    title: name ? `Make ${name} the primary?` : 'Switch over to another primary?',
    text: 'Open transactions get 5 s to end, and new writes wait meanwhile. The former primary becomes a replica.',
    confirm: 'Switch over',
    choices: name ? null : [['', 'the best candidate'], ...replicas.map((replica) => [replica, replica])],
    run: () => act('/api/switchover', { to: name ?? (byId('dialog-choice').value || null) }),
  });
}

function open(wanted) {
  pending = wanted;
  say(byId('dialog-title'), wanted.title);
  say(byId('dialog-text'), wanted.text);
  say(byId('dialog-error'), '');
  say(byId('dialog-confirm'), wanted.confirm);
  const { number = null, choices = null } = wanted;
  byId('dialog-field').hidden = number === null && choices === null;
  say(byId('dialog-label'), choices ? 'Next primary' : 'Weight');
  mark(byId('dialog-label'), 'for', choices ? 'dialog-choice' : 'dialog-input');
  const [input, choice] = [byId('dialog-input'), byId('dialog-choice')];
  [input.hidden, input.disabled, input.required] = [number === null, number === null, number !== null];
  choice.hidden = choices === null;
  if (number !== null) input.value = number;
  choice.replaceChildren(...(choices ?? []).map(([value, label]) => el('option', { value }, label)));
  waits(false);
  byId('dialog').showModal();
}

async function confirm(event) {
  event.preventDefault();
  const wanted = pending;
  // By the time of the answer, the dialog may be closed, or about something else.
  const isShown = () => byId('dialog').open && pending === wanted;
  waits(true);
  say(byId('dialog-error'), '');
  try {
    tell(await (await wanted.run()).text(), true);
    if (isShown()) byId('dialog').close();
  } catch (error) {
    if (isShown()) say(byId('dialog-error'), error.message);
    else tell(error.message, false);
  } finally {
    if (isShown()) waits(false);
  }
}

function tell(text, isDone) {
  mark(byId('done'), 'data-bad', isDone ? null : '');
  say(byId('done'), `${clock(new Date())} ${text.trim()}`);
}

function waits(isUnderWay) {
  byId('dialog-confirm').disabled = isUnderWay;
  say(byId('dialog-confirm'), isUnderWay ? 'Under way…' : pending.confirm);
  // What is under way goes on without the dialog, and the page follows it.
  say(byId('dialog-cancel'), isUnderWay ? 'Close' : 'Cancel');
}

export function listenToActions() {
  byId('dialog-form').addEventListener('submit', confirm);
  byId('dialog-cancel').addEventListener('click', () => byId('dialog').close());
  byId('switchover').addEventListener('click', () => openSwitchover());
}
