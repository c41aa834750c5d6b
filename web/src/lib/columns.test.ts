import { expect, test } from 'vitest';
import { readKept, USUAL, VIEWS_MAX } from './columns';

test('what a browser kept is read, and what is none of ours left out', () => {
  expect(readKept(null)).toEqual({ columns: USUAL, views: [] });
  for (const bad of ['', '{', 'null', '7', '"x"', '{"columns":7,"views":{}}', '{"views":[null,7,{"name":""},{"name":"a"}]}']) {
    expect(readKept(bad)).toEqual({ columns: USUAL, views: [] });
  }
  const found = readKept('{"columns":["kind","nonsense","__proto__"],"views":[{"name":"x","q":"user:me","columns":["left"]}]}');
  expect(found.columns).toEqual(['id', 'name', 'kind']);
  expect(found.views).toEqual([{ name: 'x', q: 'user:me', sort: '', columns: ['id', 'name', 'left'] }]);
  const many = JSON.stringify({ views: Array.from({ length: 99 }, (_, n) => ({ name: `v${n}`, q: '' })) });
  expect(readKept(many).views.length).toBe(VIEWS_MAX);
});
