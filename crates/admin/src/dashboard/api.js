// Asking the API. The token lives in this tab only, and goes out in a header: no other page can use it.

const TOKEN = 'pointsman.token';

export const token = () => sessionStorage.getItem(TOKEN);
export const keepToken = (text) => sessionStorage.setItem(TOKEN, text);
export const forgetToken = () => sessionStorage.removeItem(TOKEN);

// The token is wrong, or no longer right.
export class Unauthorized extends Error {}

// The API says why not.
export class Refused extends Error {}

async function request(path, options = {}) {
  const headers = { Authorization: `Bearer ${token() ?? ''}`, ...options.headers };
  const answer = await fetch(path, { ...options, headers }).catch((error) => {
    // Something may have been done nevertheless.
    if (options.method === 'POST') throw new Error('There was no answer. See what has become of it before you try again.');
    throw error;
  });
  if (answer.status === 401) throw new Unauthorized('This token is wrong.');
  if (!answer.ok) throw new Refused((await answer.text()).trim() || `The answer was ${answer.status}.`);
  return answer;
}

export const ask = async (path) => (await request(path)).json();

export function act(path, body) {
  return request(path, { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } });
}

// The events of the stream, as {event, data}, until it ends. EventSource cannot send the header, so this reads the stream itself.
export async function* events(signal) {
  const answer = await request('/api/events', { signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) yield parse(block);
  }
}

function parse(block) {
  const fields = { event: '', data: '' };
  for (const line of block.split('\n')) {
    const place = line.indexOf(': ');
    if (place > 0) fields[line.slice(0, place)] = line.slice(place + 2);
  }
  return { event: fields.event, data: fields.data === '' ? null : JSON.parse(fields.data) };
}
