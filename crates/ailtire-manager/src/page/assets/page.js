// Keeps the page up to date, asks in a dialog, follows logs. What it shows comes from the pages
// themselves; nothing here makes HTML of text.
'use strict';

const POLL = 5000; // milliseconds, where the stream of events can't be had
const RESTLESS = 2000; // milliseconds, while something is not well
const SETTLE = 150; // milliseconds: many changes come at once
const KEPT_LINES = 10000;

const element = (id) => document.getElementById(id);
const say = (text) => { element('announce').textContent = text; };
const setLive = (text) => { element('live').textContent = text; };

// A page of ours as a document; without a session, the browser is sent to the login form.
async function load(address) {
  const response = await fetch(address, { headers: { Accept: 'text/html' }, cache: 'no-store' });
  if (response.status === 401) {
    location.reload();
    throw new Error('logged out');
  }
  if (!response.ok) throw new Error(`status ${response.status}`);
  return new DOMParser().parseFromString(await response.text(), 'text/html');
}

// Makes `old` like `fresh` and keeps the elements that are the same, so that the focus, what is
// selected and what was opened stay.
function morph(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name, value } of fresh.attributes) {
    if (name !== 'open' && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (name !== 'open' && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  const keyOf = (node) => (node.dataset && node.dataset.key) || null;
  const keyed = new Map([...old.children].filter(keyOf).map((child) => [keyOf(child), child]));
  const wantedKeys = new Set([...fresh.children].map(keyOf));
  for (const [key, child] of keyed) if (!wantedKeys.has(key)) child.remove();
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const key = keyOf(wanted);
    const isLike = (node) => node && node.nodeName === wanted.nodeName && keyOf(node) === key;
    const found = key ? keyed.get(key) : (isLike(at) ? at : null);
    if (found && isLike(found)) {
      // What is moved loses the focus; so what is in the way goes first.
      while (at && at !== found && !keyOf(at)) {
        const next = at.nextSibling;
        at.remove();
        at = next;
      }
      if (found === at) at = at.nextSibling;
      else old.insertBefore(found, at);
      morph(found, wanted);
    } else {
      old.insertBefore(document.importNode(wanted, true), at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

const states = () => new Map([...document.querySelectorAll('[data-state]')]
  .map((it) => [it.dataset.key, `${it.dataset.name} is ${it.dataset.state}`]));

async function refresh() {
  const fresh = await load('view');
  const before = states();
  morph(element('main'), fresh.getElementById('main'));
  document.title = fresh.title;
  const after = states();
  const changes = [...after].filter(([key, text]) => before.get(key) !== text);
  for (const [key] of changes) {
    const changed = document.querySelector(`[data-key=${CSS.escape(key)}]`);
    changed.classList.add('changed');
    changed.addEventListener('animationend', () => changed.classList.remove('changed'), { once: true });
  }
  const gone = [...before.keys()].filter((key) => !after.has(key)).length;
  const texts = changes.map(([, text]) => text);
  if (gone) texts.push(`${gone} removed`);
  if (texts.length) say(`${texts.join(', ')}.`);
}

function watch() {
  let timer = null;
  let isRunning = false;
  let isWanted = false;
  let poll = null;
  let restless = null;
  const update = async () => {
    timer = null;
    if (isRunning) { isWanted = true; return; }
    isRunning = true;
    try {
      await refresh();
      setLive(poll ? `Asks every ${POLL / 1000} s` : 'Live');
    } catch {
      setLive('The manager does not answer; what is shown may be old');
    }
    isRunning = false;
    if (isWanted) { isWanted = false; soon(); }
    // The swarm tells nobody what becomes of tasks: why one failed is known only after its end is.
    clearTimeout(restless);
    const isUnwell = element('main').querySelector('.badge.bad, .badge.busy');
    restless = isUnwell ? setTimeout(soon, RESTLESS) : null;
  };
  const soon = () => { timer ??= setTimeout(update, SETTLE); };
  const source = () => {
    const events = new EventSource('events');
    events.onopen = () => { clearInterval(poll); poll = null; soon(); };
    events.onmessage = soon;
    events.addEventListener('change', soon);
    events.onerror = () => {
      poll ??= setInterval(() => {
        soon();
        // After an answer that is no stream, the browser does not try again by itself.
        if (events.readyState === EventSource.CLOSED) {
          clearInterval(poll);
          poll = null;
          source();
        }
      }, POLL);
      soon();
    };
  };
  source();
  // Not all that a page shows comes with an event: the age of an announcement, for one.
  setInterval(soon, 6 * POLL);
  return soon;
}

// Asks in a dialog what a link would ask on a page of its own.
async function ask(link, soon) {
  const dialog = element('dialog');
  const page = await load(link.href);
  const form = page.querySelector('form.question');
  if (!form) { location.href = link.href; return; }
  // The address of the form is relative to its own page, which may be another manager's.
  form.action = new URL(form.getAttribute('action'), link.href).href;
  dialog.replaceChildren(document.importNode(form, true));
  const shown = dialog.querySelector('form');
  shown.querySelector('.cancel').addEventListener('click', (event) => {
    event.preventDefault();
    dialog.close();
  });
  const typed = shown.querySelector('[data-must-be]');
  if (typed) {
    const button = shown.querySelector('button');
    const check = () => { button.disabled = typed.value.trim() !== typed.dataset.mustBe; };
    typed.addEventListener('input', check);
    check();
  } else {
    shown.addEventListener('submit', (event) => {
      event.preventDefault();
      send(shown, dialog, soon);
    });
  }
  dialog.addEventListener('close', () => link.focus(), { once: true });
  dialog.showModal();
}

async function send(form, dialog, soon) {
  const button = form.querySelector('button');
  button.disabled = true;
  try {
    const response = await fetch(form.action, {
      method: 'POST',
      headers: { Accept: 'application/json', 'X-Ailtire-Csrf': form.elements.csrf.value },
      body: new URLSearchParams(new FormData(form)),
    });
    if (!response.ok) {
      const answer = await response.json().catch(() => ({}));
      throw new Error(answer.error || `The manager answered with status ${response.status}.`);
    }
    dialog.close();
    say('Done.');
    soon();
  } catch (error) {
    form.querySelector('.error').textContent = error.message;
    button.disabled = false;
  }
}

// The same words as the server has for times (`words.rs`, `ago`).
function ago(time) {
  const seconds = Math.max(0, Math.floor((Date.now() - time) / 1000));
  if (seconds < 5) return 'just now';
  if (seconds < 90) return `${seconds} s ago`;
  if (seconds < 5400) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} days ago`;
}

function overview() {
  const soon = watch();
  document.addEventListener('click', (event) => {
    const link = event.target.closest('a[data-asks]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    ask(link, soon).catch(() => { location.href = link.href; });
  });
  setInterval(() => {
    for (const time of element('main').querySelectorAll('time')) {
      time.textContent = ago(Date.parse(time.dateTime));
    }
  }, 10000);
}

// What the server does with text of others (`words.rs`, `clean`).
const clean = (text) => text
  .replace(/\u001b\[[^@-~]*[@-~]?/g, '')
  .replace(/\r/g, '')
  .replace(/\n/g, ' ')
  .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, '\ufffd');

function part(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

function lineOf({ task, stream, time, text }) {
  const line = part('p', stream === 'stderr' ? 'stderr' : '', '');
  const shown = part('time', '', clean(time).slice(11, 19));
  shown.dateTime = clean(time);
  shown.title = clean(time);
  line.append(shown, ' ', part('span', 'task', clean(task)), ' ');
  if (stream === 'stderr') line.append(part('span', 'stream', 'err'), ' ');
  line.append(part('span', 'text', clean(text)));
  return line;
}

function log() {
  const list = element('log');
  const button = element('follow');
  let reader = null;
  const toEnd = () => { list.scrollTop = list.scrollHeight; };
  const add = (text) => {
    const isAtEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 40;
    list.append(lineOf(JSON.parse(text)));
    while (list.childElementCount > KEPT_LINES) list.firstElementChild.remove();
    element('empty')?.remove();
    if (isAtEnd) toEnd();
  };
  const follow = async () => {
    const { value: name } = document.querySelector('.choice [name=name]');
    const query = new URLSearchParams({ name, tail: '0', follow: 'true' });
    const stop = new AbortController();
    reader = stop;
    try {
      const headers = { Accept: 'application/x-ndjson' };
      const response = await fetch(`log?${query}`, { headers, signal: stop.signal, cache: 'no-store' });
      if (!response.ok) throw new Error(`status ${response.status}`);
      setLive('Live');
      const lines = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const { done, value } = await lines.read();
        if (done) break;
        const parts = (rest + value).split('\n');
        rest = parts.pop();
        parts.filter((it) => it.trim()).forEach(add);
      }
    } catch { /* said below */ }
    if (reader !== stop) return;
    reader = null;
    button.setAttribute('aria-pressed', 'false');
    setLive('The log ended here');
  };
  button.hidden = false;
  button.addEventListener('click', () => {
    const isOn = reader === null;
    button.setAttribute('aria-pressed', String(isOn));
    if (isOn) { follow(); return; }
    const stop = reader;
    reader = null;
    stop.abort();
    setLive('');
  });
  toEnd();
  follow();
}

({ overview, log })[document.body.dataset.script]?.();
