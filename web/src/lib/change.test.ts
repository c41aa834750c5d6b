import { expect, test } from 'vitest';
import { changeOf, FIELDS, lineOf, read, time, type Spec } from './change';

const field = (key: string) => {
  const found = FIELDS.find((it) => it.key === key);
  if (!found) throw new Error(key);
  return found;
};

const spec = (of: Partial<Spec> = {}): Spec => of as Spec;

test('what is typed is sent as the API takes it', () => {
  expect(read(field('hosts'), ' rnd001 ,, rnd002 ')).toEqual(['rnd001', 'rnd002']);
  expect(read(field('hosts'), '')).toEqual([]);
  expect(read(field('cpus'), '12')).toBe(12);
  expect(read(field('agendatimelimit'), ' ')).toBe('none');
  expect(read(field('after'), '')).toBe('none');
  expect(read(field('requirements'), '')).toBe('');
  expect(read(field('notes'), ' two\nlines ')).toBe(' two\nlines ');
  expect([read(field('per_host'), '2'), read(field('per_host'), ' '), read(field('max_failures'), '')]).toEqual([2, -1, 0]);
  expect([read(field('mail'), 'done, failed'), read(field('mail'), '')]).toEqual([['done', 'failed'], ['none']]);
  expect([read(field('webhooks'), ' chat=done,failed  wall=done '), read(field('webhooks'), '')]).toEqual([['chat=done,failed', 'wall=done'], ['none']]);
});

test('what holds together is sent together', () => {
  const to = spec({ mail: ['done'], mail_to: 'a@farm.example' });
  expect(changeOf(field('mail'), 'failed', to)).toEqual({ mail: ['failed'], mail_to: 'a@farm.example' });
  expect(changeOf(field('mail'), '', to)).toEqual({ mail: ['none'] });
  expect(changeOf(field('mail_to'), 'b@farm.example', to)).toEqual({ mail: ['done'], mail_to: 'b@farm.example' });
  expect(changeOf(field('mail_to'), '', to)).toEqual({ mail: ['done'] });
  // Nothing is mailed: the supervisor says so.
  expect(changeOf(field('mail_to'), 'b@farm.example', spec())).toEqual({ mail_to: 'b@farm.example' });
  const gpus = spec({ reservations: 'host.processors=2,host.gpus=1,license.nuke=1' });
  expect(field('gpus').of(gpus)).toBe('1');
  expect(field('gpus').of(spec({ reservations: 'host.gpus_of=1' }))).toBe('');
  expect(changeOf(field('gpus'), '2', gpus)).toEqual({ reservations: 'host.processors=2,license.nuke=1,host.gpus=2' });
  expect(changeOf(field('gpus'), '', gpus)).toEqual({ reservations: 'host.processors=2,license.nuke=1' });
  expect(changeOf(field('gpus'), '0', spec({ reservations: 'host.gpus=1' }))).toEqual({ reservations: '' });
});

test('what is not said is shown as nothing', () => {
  const bare = spec({ name: 'x', cpus: 1, retrywork: 0, retrysubjob: 0, max_failures: 0, hosts: [] });
  for (const key of ['max_failures', 'max_cpus', 'pgrp_limit', 'per_host', 'start_rate', 'mail', 'mail_to', 'webhooks', 'gpus']) expect(field(key).of(bare)).toBe('');
  const full = spec({ max_failures: 3, max_cpus: 20, pgrp_limit: 9, per_host: 1, start_rate: '5/s', mail: ['done', 'failed'], webhooks: ['chat=done', 'wall=failed'] });
  expect(['max_failures', 'max_cpus', 'pgrp_limit', 'per_host', 'start_rate', 'mail', 'webhooks'].map((key) => field(key).of(full))).toEqual(['3', '20', '9', '1', '5/s', 'done,failed', 'chat=done wall=failed']);
});

test('times are printed as they are read', () => {
  expect([time(7_200_000), time(90_000), time(300_000), time(1_500), time(0), time(undefined)]).toEqual(['2h', '90s', '5m', '1.5s', '', '']);
});

test('each change has its command line', () => {
  const line = (key: string, typed: string, of = spec()) => lineOf(12, field(key), typed, of);
  expect(line('host_order', '+host.memory')).toBe('tessera modify 12 --host-order +host.memory');
  expect(line('omithosts', '')).toBe("tessera modify 12 --omithosts ''");
  expect(line('name', "it's")).toBe(`tessera modify 12 --name 'it'\\''s'`);
  expect(line('pgrp_limit', '')).toBe('tessera modify 12 --pgrp-limit -1');
  expect(line('webhooks', 'chat=done wall=failed')).toBe('tessera modify 12 --webhook chat=done --webhook wall=failed');
  expect(line('webhooks', '')).toBe('tessera modify 12 --webhook none');
  expect(line('mail', 'failed', spec({ mail: ['done'], mail_to: 'a@b' }))).toBe('tessera modify 12 --mail failed --mail-to a@b');
  expect(line('gpus', '2', spec({ reservations: 'host.processors=1' }))).toBe('tessera modify 12 --reservations host.processors=1,host.gpus=2');
});
