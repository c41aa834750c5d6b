// What can be said of a job that is submitted: how it is read, sent, and written as `tessera submit` has it.
import type { SubmitRequest } from './api';
import { quoted } from './words';

/** `words` are apart by spaces, `list` by commas. */
export const FIELDS = [
  { key: 'name', label: 'Name', help: 'for people; else the command’s', kind: 'text' },
  { key: 'range', label: 'Frames', help: '1-100, 1-100x3, 1,2,8-10; empty: the command runs once', kind: 'text' },
  { key: 'chunk', label: 'Frames at a time', help: '1', kind: 'number' },
  { key: 'cpus', label: 'Instances', help: 'how many run at a time (1)', kind: 'number' },
  { key: 'max_cpus', label: 'Grows to', help: 'instances where nobody wants the room; -1: as many as the farm allows', kind: 'number' },
  { key: 'priority', label: 'Priority', help: '1 is served first, 9999 last', kind: 'number' },
  { key: 'reservations', label: 'Reserves', help: 'host.processors=1,host.memory=8G', kind: 'text' },
  { key: 'gpus', label: 'GPUs', help: 'that each instance has to itself (0)', kind: 'number' },
  { key: 'cwd', label: 'Folder', help: 'absolute; else the account’s home', kind: 'text' },
  { key: 'hosts', label: 'Only on', help: 'names of hosts, with commas', kind: 'list' },
  { key: 'omithosts', label: 'Not on', help: 'names of hosts, with commas', kind: 'list' },
  { key: 'groups', label: 'Only in groups', help: 'names of groups of hosts, with commas', kind: 'list' },
  { key: 'omitgroups', label: 'Not in groups', help: 'names of groups of hosts, with commas', kind: 'list' },
  { key: 'requirements', label: 'Asks of a host', help: 'host.os == linux and host.memory >= 64G', kind: 'text' },
  { key: 'host_order', label: 'Picks first', help: '+host.memory.avail: those with most of it', kind: 'text' },
  { key: 'cluster', label: 'Cluster', help: '/show/shot; else /', kind: 'text' },
  { key: 'restrictions', label: 'Only in clusters', help: '/show || /show/+', kind: 'text' },
  { key: 'retrywork', label: 'Retries', help: 'of a failed frame (0)', kind: 'number' },
  { key: 'agendatimelimit', label: 'Limit of a frame', help: '90s, 2h; else none', kind: 'text' },
  { key: 'max_failures', label: 'Stops after', help: 'so many failed frames; else it goes on', kind: 'number' },
  { key: 'per_host', label: 'Limit on a host', help: 'instances of it that one host may have at once; else none', kind: 'number' },
  { key: 'pgrp', label: 'Process group', help: 'a job whose group it joins; else one of its own', kind: 'number' },
  { key: 'pgrp_limit', label: 'Limit of its group', help: 'instances that all jobs of its process group may have at once; else none', kind: 'number' },
  { key: 'start_rate', label: 'Starts', help: 'no quicker than 5/s, 10/min, 3/30s; else at any rate', kind: 'text' },
  { key: 'mail', label: 'Mail when', help: 'done, failed, stranded, badlogin …, with commas', kind: 'list' },
  { key: 'mail_to', label: 'Mail to', help: 'an address; else yours', kind: 'text' },
  { key: 'webhooks', label: 'Tells', help: 'channels of the farm, with spaces: chat=done,failed wall=frame_failed', kind: 'words' },
] as const;
export type Key = (typeof FIELDS)[number]['key'];
export type Values = Partial<Record<Key, string | number | null>>;

const typed = (values: Values, key: Key): string => String(values[key] ?? '').trim();
const apart = (text: string, by: string | RegExp): string[] => text.split(by).map((it) => it.trim()).filter(Boolean);

/** Answers what is sent. GPUs are a part of what is reserved. */
export function requestOf(command: string[], values: Values, isBlocked: boolean): SubmitRequest {
  const made: Record<string, unknown> = { command };
  for (const { key, kind } of FIELDS) {
    const text = typed(values, key);
    if (!text || key === 'gpus') continue;
    made[key] = kind === 'number' ? Number(text) : kind === 'list' ? apart(text, ',') : kind === 'words' ? apart(text, /\s+/) : text;
  }
  const gpus = typed(values, 'gpus');
  if (gpus) made['reservations'] = [typed(values, 'reservations'), `host.gpus=${gpus}`].filter(Boolean).join(',');
  if (isBlocked) made['status'] = 'blocked';
  return made as SubmitRequest;
}

/** Answers the command line of it. */
export function lineOf(command: string[], values: Values, isBlocked: boolean): string {
  const options = FIELDS.filter(({ key }) => typed(values, key)).flatMap(({ key, kind }) => {
    const text = typed(values, key);
    if (kind === 'words') return apart(text, /\s+/).map((it) => `--webhook ${quoted(it)}`);
    return [`--${key.replaceAll('_', '-')} ${quoted(text)}`];
  });
  return ['tessera submit', ...options, ...(isBlocked ? ['--status blocked'] : []), '--', ...command.map(quoted)].join(' ');
}
