import { describe, expect, it } from 'vitest';
import { isError, LINE_CHARS_MAX, pieces, plain } from './ansi';

describe('ansi', () => {
  it('colours text and ends with the line', () => {
    expect(pieces('a \x1b[1;31mred\x1b[0m b')).toEqual([
      { text: 'a ', look: '' },
      { text: 'red', look: 'fg1 bold' },
      { text: ' b', look: '' },
    ]);
    expect(pieces('\x1b[38;5;9mx\x1b[38;2;1;2;3my\x1b[48;5;1mz')[0]).toEqual({ text: 'x', look: 'fg9' });
  });
  it('leaves markup as text and shows no control character', () => {
    const hostile = '<img src=x onerror=alert(1)>\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07\x00\u202etxt.exe';
    expect(plain(hostile)).toBe('<img src=x onerror=alert(1)>link\ufffd\ufffdtxt.exe');
    expect(pieces(hostile).every((piece) => piece.look === '')).toBe(true);
  });
  it('drops what moves the cursor, sets titles or is cut off', () => {
    expect(plain('\x1b[2J\x1b[10;1Hhi\x1b]0;title')).toBe('hi');
    expect(plain('\x1b[')).toBe('');
    expect(plain('\x1b')).toBe('');
  });
  it('shows what a progress bar said last', () => {
    expect(plain('10%\r50%\r100%\r')).toBe('100%');
  });
  it('cuts long lines and says so', () => {
    expect(plain('x'.repeat(LINE_CHARS_MAX + 5))).toMatch(/… 5 more$/);
  });
  it('knows an error', () => {
    expect(['Error: x', 'Traceback (most recent call last)', 'terror', 'ok'].map(isError)).toEqual([true, true, false, false]);
  });
});
