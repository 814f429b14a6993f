// The page: signing in, the stream of events, and the parts that show them.

import { listenToActions, noteServers } from './actions.js';
import { Refused, Unauthorized, ask, events, forgetToken, keepToken, token } from './api.js';
import { byId, mark, say } from './dom.js';
import { showEjections } from './ejections.js';
import { listenToExplain } from './explain.js';
import { clock } from './format.js';
import { forget } from './history.js';
import { forgetJournal, showEntry } from './journal.js';
import { refreshLists, showSessionCounts } from './lists.js';
import { showRules } from './rules.js';
import { showServers } from './servers.js';
import { showStatus } from './status.js';
import { showTopology } from './topology.js';

// A state comes each second. Without one for so long, the page says so.
const SILENCE_MS = 3500;
// After so long without one, the stream is given up, and begun again.
const DEAF_MS = 10_000;
// Before the stream is begun again: at first, and at most.
const PAUSE_MS = 1000;
const PAUSE_MAX_MS = 8000;
const LISTS_MS = 4000;

// The stream under way, and when the last state came. It is null while nobody is signed in.
let stream = null;
let lastState = null;
let begunAt = null;
// Why there is no stream, if the API has said so.
let refusal = '';

function show(state) {
  lastState = Date.now();
  refusal = '';
  noteServers(state);
  showStatus(state);
  showTopology(state);
  showServers(state);
  showEjections(state);
  showRules(state);
  showSessionCounts(state);
  showLink();
}

const sleep = (time) => new Promise((done) => setTimeout(done, time));

// Follows the stream for as long as the session lasts: it ends when Pointsman ends, and after a quarter of an hour.
async function follow(session) {
  let pause = PAUSE_MS;
  while (stream === session) {
    session.abort = new AbortController();
    begunAt = Date.now();
    try {
      let isFirst = true;
      for await (const { event, data } of events(session.abort.signal)) {
        if (stream !== session) return;
        if (isFirst) forgetJournal();
        isFirst = false;
        pause = PAUSE_MS;
        if (event === 'journal') showEntry(data);
        if (event === 'state') show(data);
      }
    } catch (error) {
      if (error instanceof Unauthorized && stream === session) return leave(error.message);
      refusal = error instanceof Refused ? error.message : '';
    }
    await sleep(pause);
    pause = Math.min(2 * pause, PAUSE_MAX_MS);
  }
}

async function followLists(session) {
  while (stream === session) {
    try {
      if (document.visibilityState === 'visible' && !isSilent()) await refreshLists();
    } catch {
      // The link at the top says whether there is anybody to ask.
    }
    await sleep(LISTS_MS);
  }
}

const isSilent = () => lastState === null || Date.now() - lastState > SILENCE_MS;

function showLink() {
  const link = byId('link');
  link.hidden = stream === null;
  mark(link, 'data-link', isSilent() ? 'cut' : 'live');
  const why = refusal || 'connecting…';
  const since = lastState === null ? why : `no data since ${clock(new Date(lastState))}, ${why}`;
  say(link, isSilent() ? since : 'live');
  mark(byId('board'), 'data-link', isSilent() ? 'cut' : 'live');
}

function watch() {
  if (stream === null) return;
  showLink();
  const heard = Math.max(lastState ?? 0, begunAt ?? 0);
  if (Date.now() - heard > DEAF_MS) stream.abort?.abort();
}

function begin() {
  stream = {};
  lastState = null;
  forget();
  byId('login').hidden = true;
  byId('board').hidden = false;
  byId('leave').hidden = false;
  showLink();
  follow(stream);
  followLists(stream);
}

function leave(why = '') {
  stream?.abort?.abort();
  stream = null;
  forgetToken();
  byId('board').hidden = true;
  byId('leave').hidden = true;
  byId('login').hidden = false;
  say(byId('login-error'), why);
  showLink();
  byId('token').focus();
}

async function signIn(event) {
  event.preventDefault();
  keepToken(byId('token').value);
  say(byId('login-error'), '');
  try {
    await ask('/api/status');
    byId('token').value = '';
    begin();
  } catch (error) {
    leave(error instanceof Unauthorized ? error.message : `Pointsman cannot be asked: ${error.message}`);
  }
}

byId('login-form').addEventListener('submit', signIn);
// Loaded anew, the page has nothing left of what it has shown.
byId('leave').addEventListener('click', () => {
  forgetToken();
  location.reload();
});
listenToActions();
listenToExplain();
setInterval(watch, 1000);
if (token() === null) leave();
else begin();
