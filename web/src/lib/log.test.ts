import { expect, it } from 'vitest';
import { Frames, Lines, LINES_MAX } from './log';

const text = (words: string): Uint8Array => new TextEncoder().encode(words);
const frame = (kind: number, bytes: Uint8Array): number[] => [kind, 0, 0, bytes.length >> 8, bytes.length & 255, ...bytes];

it('takes frames apart however they are cut', () => {
  const all = new Uint8Array([...frame(1, text('äb')), ...frame(0, text('')), ...frame(2, text('x\n')), ...frame(3, text(''))]);
  for (let cut = 0; cut <= all.length; cut++) {
    const frames = new Frames();
    const found = [...frames.take(all.slice(0, cut)), ...frames.take(all.slice(cut))];
    expect(found.map((it) => it.kind)).toEqual([1, 0, 2, 3]);
  }
  expect(() => new Frames().take(new Uint8Array([1, 255, 255, 255, 255]))).toThrow();
});

it('makes lines of both streams, letters that are cut too, and keeps no more than so many', () => {
  const lines = new Lines();
  const bytes = text('grün\nnext');
  lines.add(bytes.slice(0, 3), false);
  lines.add(text('bad\n'), true);
  lines.add(bytes.slice(3), false);
  expect(lines.lines).toEqual([{ text: 'bad', isErr: true }, { text: 'grün', isErr: false }]);
  expect(lines.rest()).toEqual([{ text: 'next', isErr: false }]);
  lines.add(text('\n'.repeat(LINES_MAX + 5)), false);
  expect([lines.lines.length, lines.dropped]).toEqual([LINES_MAX, 7]);
  lines.add(text('cut o'), false);
  lines.clear();
  lines.add(text('anew\n'), false);
  expect([lines.lines, lines.dropped]).toEqual([[{ text: 'anew', isErr: false }], 0]);
});
