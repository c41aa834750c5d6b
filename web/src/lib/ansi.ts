// Turns what a program prints into pieces of text with a look. Nothing of it becomes markup: the pieces are shown as text.

export interface Piece {
  text: string;
  /** Names of classes: fg1…fg15, bold, dim, italic, underline. */
  look: string;
}

/** Longest line that is shown, in characters; the rest is said to be there. */
export const LINE_CHARS_MAX = 4096;

// Colour (CSI … m); any other CSI; OSC with its end; other escapes.
const ESCAPES = /\x1b\[([0-9;:]*)m|\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[PX^_][^\x1b]*(?:\x1b\\)?|\x1b[ -/]*[0-~]?/g;
// What must not act on the page's text either: controls, and what turns the order of letters round.
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]/g;

interface Look {
  fg: number | undefined;
  on: Set<string>;
}

function set(look: Look, codes: string): void {
  const all = codes.split(/[;:]/).map((code) => Number(code || 0));
  for (let at = 0; at < all.length; at++) {
    const code = all[at] ?? 0;
    if (code === 0) {
      look.fg = undefined;
      look.on.clear();
    } else if (code === 1) look.on.add('bold');
    else if (code === 2) look.on.add('dim');
    else if (code === 3) look.on.add('italic');
    else if (code === 4) look.on.add('underline');
    else if (code === 22) ['bold', 'dim'].forEach((it) => look.on.delete(it));
    else if (code === 23) look.on.delete('italic');
    else if (code === 24) look.on.delete('underline');
    else if (code >= 30 && code <= 37) look.fg = code - 30;
    else if (code >= 90 && code <= 97) look.fg = code - 82;
    else if (code === 39) look.fg = undefined;
    else if (code === 38 || code === 48) {
      const kind = all[at + 1];
      const index = all[at + 2];
      if (code === 38 && kind === 5 && index !== undefined && index < 16) look.fg = index;
      at += kind === 5 ? 2 : kind === 2 ? 4 : 1;
    }
  }
}

/** Shows a character that would not be seen, or would act. */
const shown = (text: string): string => text.replace(CONTROLS, '\ufffd');

/** Parses one line; the look begins anew with each. A return without a new line begins it again, as a terminal does. */
export function pieces(line: string): Piece[] {
  const last = line.replace(/\r+$/, '').split('\r').at(-1) ?? '';
  const text = last.slice(0, LINE_CHARS_MAX);
  const look: Look = { fg: undefined, on: new Set() };
  const found: Piece[] = [];
  let from = 0;
  const add = (part: string): void => {
    if (!part) return;
    const name = [...(look.fg === undefined ? [] : [`fg${look.fg}`]), ...look.on].join(' ');
    found.push({ text: shown(part), look: name });
  };
  for (const escape of text.matchAll(ESCAPES)) {
    add(text.slice(from, escape.index));
    from = escape.index + escape[0].length;
    if (escape[1] !== undefined) set(look, escape[1]);
  }
  add(text.slice(from));
  if (last.length > LINE_CHARS_MAX) found.push({ text: ` … ${last.length - LINE_CHARS_MAX} more`, look: 'dim' });
  return found;
}

/** Answers a line without its escapes, for searching. */
export const plain = (line: string): string => pieces(line).map((piece) => piece.text).join('');

/** Says whether a line looks like the report of an error. */
export const isError = (line: string): boolean =>
  /\b(error|fatal|exception|traceback|segmentation fault|panicked|abort(ed)?|no such file|permission denied|out of memory)\b/i.test(line);
