import { expect, it } from 'vitest';
import type { Job } from './api';
import { parse } from './filter';

const job = (over: Partial<Job>): Job =>
  ({ id: 7, name: 'Shot_010 comp', user: 'mia', kind: 'cmdrange', status: 'running', priority: 500, items: { total: 200, failed: 2 }, ...over }) as Job;

it.each([
  ['', true],
  ['user:me', true],
  ['user:tom', false],
  ['user:tom,mia state:running', true],
  ['state:failed', false],
  ['state:failing', true],
  ['state:active -user:tom', true],
  ['frames>100 failed>=2 priority=500', true],
  ['frames<100', false],
  ['shot_010', true],
  ['name:"010 comp"', true],
  ['-comp', false],
  ['7', true],
  ['8', false],
])('%s', (text, passes) => {
  const filter = parse(text, 'mia');
  expect(filter.problems).toEqual([]);
  expect(filter.passes(job({ is_failing: true }))).toBe(passes);
});

it('says what it does not understand, and filters nothing by it', () => {
  const filter = parse('show:abc state:gone size>5', 'mia');
  expect(filter.problems).toHaveLength(3);
  expect(filter.passes(job({}))).toBe(true);
});
