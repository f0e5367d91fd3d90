// The screen of flower-tui in a browser: the bytes of a terminal over a WebSocket, both ways. What a key does is decided
// by the server; so is what may be done.

import { Terminal } from './xterm.mjs';
import { FitAddon } from './addon-fit.mjs';

// xterm.js writes styles as markup, and our Content-Security-Policy takes none. The same styles go through the object
// model here, where no text becomes markup.
const createElement = document.createElement.bind(document);
document.createElement = (name, options) => (name === 'style' ? styleElement() : createElement(name, options));

function styleElement() {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  const element = createElement('template');
  Object.defineProperty(element, 'textContent', { set: (text) => sheet.replaceSync(text) });
  return element;
}

const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (name === 'style') this.style.cssText = value;
  else setAttribute.call(this, name, value);
};

// The sixteen colours behind our themes, for each kind of light. `background` is that of page.css.
const DARK = {
  background: '#15181e', foreground: '#c8ccd4', cursor: '#c8ccd4', selectionBackground: '#3b5480',
  black: '#15181e', red: '#e06c75', green: '#8fb573', yellow: '#e0b461', blue: '#7aa2f7', magenta: '#c678dd', cyan: '#56b6c2',
  white: '#c8ccd4', brightBlack: '#6e7681', brightRed: '#ef8891', brightGreen: '#a9cc8f', brightYellow: '#efca82',
  brightBlue: '#9bbaf9', brightMagenta: '#d79be8', brightCyan: '#7fcad4', brightWhite: '#ffffff',
};
const LIGHT = {
  background: '#fdfdfd', foreground: '#24292f', cursor: '#24292f', selectionBackground: '#b6d3fb',
  black: '#24292f', red: '#b3261e', green: '#2f7d32', yellow: '#8a6100', blue: '#1f5fbf', magenta: '#8a3fa0', cyan: '#0f7280',
  white: '#6e7681', brightBlack: '#57606a', brightRed: '#cf222e', brightGreen: '#3a9440', brightYellow: '#a37400',
  brightBlue: '#2f74d9', brightMagenta: '#a152b8', brightCyan: '#158a9a', brightWhite: '#15181e',
};

const KEYS = { escape: '\x1b', tab: '\t', up: '\x1b[A', down: '\x1b[B', enter: '\r' };
// Why the server closed a session, beside the usual numbers.
const QUIT = 4000;
const IDLE = 4001;
const FULL = 4002;
// Bytes of one message; the server takes one that is so long for a part of something longer.
const PIECE = 4096;
// Pixels that a finger goes for one notch of a wheel.
const NOTCH = 40;
// The longest pause between two tries to reach the server, in seconds.
const LONGEST_PAUSE = 30;

const $ = (id) => document.getElementById(id);
const light = matchMedia('(prefers-color-scheme: light)');
const narrow = matchMedia('(max-width: 600px)');
const theme = () => (light.matches ? LIGHT : DARK);
const fontSize = () => (narrow.matches ? 12 : 14);

const terminal = new Terminal({
  fontFamily: 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, "Liberation Mono", monospace',
  fontSize: fontSize(),
  macOptionClickForcesSelection: true,
  scrollback: 0,
  theme: theme(),
});
const fit = new FitAddon();
const encoder = new TextEncoder();
let socket = null;
let tries = 0;
let pause = null;

function open() {
  clearInterval(pause);
  $('notice').hidden = true;
  terminal.reset();
  const url = new URL('terminal', location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  url.search = `size=${terminal.cols}x${terminal.rows}&background=${light.matches ? 'light' : 'dark'}`;
  const mine = new WebSocket(url);
  mine.binaryType = 'arraybuffer';
  mine.onmessage = (event) => {
    tries = 0;
    terminal.write(new Uint8Array(event.data));
  };
  mine.onclose = (event) => closed(event);
  socket = mine;
  terminal.focus();
}

function send(text) {
  if (socket?.readyState !== WebSocket.OPEN) return;
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length; at += PIECE) socket.send(bytes.subarray(at, at + PIECE));
}

async function closed({ code, reason }) {
  const sentence = reason && `${reason[0].toUpperCase()}${reason.slice(1)}.`;
  if (code === QUIT || code === IDLE) return tell(sentence, 'New session', open);
  if (code === FULL) return tell(sentence, 'Try again', open);
  const there = await fetch('healthcheck', { cache: 'no-store' }).then((answer) => answer.ok, () => false);
  // It answers, and lets us in no more: the browser asks for a password only where a page is loaded.
  if (there && tries > 1) return tell('The server refuses this screen.', 'Load the page again', () => location.reload());
  let seconds = Math.min(LONGEST_PAUSE, 2 ** tries++);
  const count = () => {
    if (seconds === 0) return open();
    tell(`The server went away. Next try in ${seconds} s.`, 'Try now', open, false);
    seconds -= 1;
  };
  clearInterval(pause);
  pause = setInterval(count, 1000);
  count();
}

// Lays a sentence over the screen, with one thing to do; and where else to go, while the server is there.
function tell(text, label, act, there = true) {
  const first = $('notice').hidden;
  $('told').textContent = text;
  $('again').textContent = label;
  $('again').onclick = act;
  $('elsewhere').hidden = !there;
  $('notice').hidden = false;
  if (first) $('again').focus();
}

// A word that goes by itself.
function say(text) {
  $('word').textContent = text;
  $('word').hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { $('word').hidden = true; }, 3000);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Over plain HTTP there is no such clipboard.
    const field = createElement('textarea');
    field.value = text;
    document.body.append(field);
    field.select();
    const copied = document.execCommand('copy');
    field.remove();
    terminal.focus();
    if (!copied) say('The browser lets nothing be copied here');
  }
}

function pressed(event) {
  const control = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (control && key === 'c' && (event.shiftKey || terminal.hasSelection())) {
    event.preventDefault();
    if (event.type === 'keydown' && terminal.hasSelection()) {
      copy(terminal.getSelection());
      terminal.clearSelection();
      say('Copied');
    }
    return false;
  }
  // Pasting, loading the page again and its tools are the browser's.
  return !(control && key === 'v') && !['F5', 'F11', 'F12'].includes(event.key);
}

// `52;c;…`: the screen puts a text into the clipboard.
terminal.parser.registerOscHandler(52, (data) => {
  const text = data.slice(data.indexOf(';') + 1);
  try {
    copy(new TextDecoder().decode(Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0))));
  } catch {
    // It is no base64: a question for the clipboard, which nobody is told.
  }
  return true;
});
terminal.loadAddon(fit);
terminal.open($('screen'));
terminal.attachCustomKeyEventHandler(pressed);
terminal.onData(send);
terminal.onTitleChange((title) => { document.title = title; });
terminal.onResize(({ cols, rows }) => {
  if (socket?.readyState === WebSocket.OPEN) socket.send(`${cols}x${rows}`);
});
new ResizeObserver(() => fit.fit()).observe($('screen'));
narrow.addEventListener('change', () => {
  terminal.options.fontSize = fontSize();
  fit.fit();
});
light.addEventListener('change', () => {
  terminal.options.theme = theme();
  // As a terminal answers that is asked for its background: the screen's colours follow.
  const pairs = theme().background.slice(1).match(/../g);
  send(`\x1b]11;rgb:${pairs.map((pair) => pair + pair).join('/')}\x1b\\`);
});
// A finger that moves up or down is a wheel.
let finger = 0;
$('screen').addEventListener('touchstart', (event) => { finger = event.touches[0].clientY; }, { passive: true });
$('screen').addEventListener('touchmove', (event) => {
  const notches = Math.trunc((finger - event.touches[0].clientY) / NOTCH);
  finger -= notches * NOTCH;
  send((notches > 0 ? '\x1b[<65;1;1M' : '\x1b[<64;1;1M').repeat(Math.abs(notches)));
}, { passive: true });
for (const button of document.querySelectorAll('#keys button')) {
  // The focus, and with it a phone's keyboard, stays where it is.
  button.addEventListener('pointerdown', (event) => event.preventDefault());
  button.addEventListener('click', () => send(KEYS[button.dataset.key] ?? button.dataset.key));
}
fit.fit();
open();
