// Keys: each view says which it has; `?` lists them. Nothing is taken from who types into a field.

export interface Key {
  /** What is pressed: `j`, `Enter`, `g h` (one after the other). */
  press: string;
  help: string;
  run: () => void;
}

/** How long the second key of two may take, in milliseconds. */
const SECOND_MS_MAX = 1_500;

const layers: Key[][] = [];
export const keys = $state({ isShown: false, version: 0 });
let first = { key: '', at: 0 };
// Counted apart: an effect that binds keys must not depend on what it changes.
let changes = 0;

/** Adds keys; answers how to take them away. To be called in an effect. */
export function bind(of: Key[]): () => void {
  layers.push(of);
  keys.version = ++changes;
  return () => {
    const at = layers.indexOf(of);
    if (at >= 0) layers.splice(at, 1);
    keys.version = ++changes;
  };
}

/** Answers all keys that count now. */
export function all(): Key[] {
  void keys.version;
  return layers.flat();
}

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.matches('input:not([type=checkbox]), textarea, select') || target.isContentEditable);

function pressed(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (document.querySelector('dialog[open]')) return;
  if (isTyping(event.target)) {
    if (event.key === 'Escape') (event.target as HTMLElement).blur();
    return;
  }
  const isSecond = first.key && Date.now() - first.at < SECOND_MS_MAX;
  const press = isSecond ? `${first.key} ${event.key}` : event.key;
  const found = layers.flat().reverse();
  const key = found.find((it) => it.press === press) ?? found.find((it) => it.press === event.key);
  first = found.some((it) => it.press.startsWith(`${event.key} `)) && !isSecond ? { key: event.key, at: Date.now() } : { key: '', at: 0 };
  if (!key) return;
  // A link, button or box that has the focus keeps its own Enter and space.
  if (['Enter', ' '].includes(event.key) && event.target instanceof Element && event.target.closest('a, button, summary, input')) return;
  event.preventDefault();
  key.run();
}

addEventListener('keydown', pressed);
