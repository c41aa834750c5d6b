import { expect, test } from 'vitest';
import { FIELDS, lineOf, read, time } from './change';

const field = (key: string) => {
  const found = FIELDS.find((it) => it.key === key);
  if (!found) throw new Error(key);
  return found;
};

test('what is typed is sent as the API takes it', () => {
  expect(read(field('hosts'), ' rnd001 ,, rnd002 ')).toEqual(['rnd001', 'rnd002']);
  expect(read(field('hosts'), '')).toEqual([]);
  expect(read(field('cpus'), '12')).toBe(12);
  expect(read(field('agendatimelimit'), ' ')).toBe('none');
  expect(read(field('after'), '')).toBe('none');
  expect(read(field('requirements'), '')).toBe('');
  expect(read(field('notes'), ' two\nlines ')).toBe(' two\nlines ');
});

test('times are printed as they are read', () => {
  expect([time(7_200_000), time(90_000), time(300_000), time(1_500), time(0), time(undefined)]).toEqual(['2h', '90s', '5m', '1.5s', '', '']);
});

test('each change has its command line', () => {
  expect(lineOf(12, field('host_order'), '+host.memory')).toBe('tessera modify 12 --host-order +host.memory');
  expect(lineOf(12, field('omithosts'), '')).toBe("tessera modify 12 --omithosts ''");
  expect(lineOf(12, field('name'), "it's")).toBe(`tessera modify 12 --name 'it'\\''s'`);
});
