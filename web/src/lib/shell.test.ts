import { expect, it } from 'vitest';
import { split } from './shell';
import { quoted } from './words';

it.each([
  ['', []],
  ['  a  b ', ['a', 'b']],
  [`sh -c 'echo "a b"; x'`, ['sh', '-c', 'echo "a b"; x']],
  [`"a\\"b" 'c\\d' e\\ f "g\\h"`, ['a"b', 'c\\d', 'e f', 'g\\h']],
  [`'' a''b`, ['', 'ab']],
  ['$HOME *', ['$HOME', '*']],
])('%s', (line, words) => {
  expect(split(line)).toEqual({ words, problem: '' });
});

it('says what is not closed', () => {
  expect(split(`a 'b`).problem).toMatch(/not closed/);
  expect(split('a\\').problem).toMatch(/backslash/);
});

it('reads back what is quoted', () => {
  const words = ["it's", 'a b', '\\', '"', '', '$x', 'ä'];
  expect(split(words.map(quoted).join(' '))).toEqual({ words, problem: '' });
});
