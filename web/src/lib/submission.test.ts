import { expect, test } from 'vitest';
import { lineOf, requestOf } from './submission';

test('what is typed is sent as the API takes it, and nothing else', () => {
  expect(requestOf(['true'], {}, false)).toEqual({ command: ['true'] });
  // A field of numbers gives a number, or null when it was emptied.
  const values = { name: ' comp ', cpus: 4, retrywork: null, hosts: 'a, b,', per_host: 1, webhooks: 'chat=done,failed  wall=done', start_rate: '' };
  expect(requestOf(['sh', '-c', 'x y'], values, true)).toEqual({
    command: ['sh', '-c', 'x y'],
    name: 'comp',
    cpus: 4,
    hosts: ['a', 'b'],
    per_host: 1,
    webhooks: ['chat=done,failed', 'wall=done'],
    status: 'blocked',
  });
});

test('GPUs are reserved with what else is', () => {
  expect(requestOf(['true'], { gpus: 2 }, false)).toEqual({ command: ['true'], reservations: 'host.gpus=2' });
  expect(requestOf(['true'], { gpus: '2', reservations: 'host.memory=8G' }, false).reservations).toBe('host.memory=8G,host.gpus=2');
});

test('the command line says the same', () => {
  const values = { name: "it's", gpus: 1, pgrp: 12, pgrp_limit: 20, start_rate: '10/min', webhooks: 'chat=done wall=failed' };
  expect(lineOf(['echo', 'a b'], values, true)).toBe(
    `tessera submit --name 'it'\\''s' --gpus 1 --pgrp 12 --pgrp-limit 20 --start-rate 10/min --webhook chat=done --webhook wall=failed --status blocked -- echo 'a b'`,
  );
});
