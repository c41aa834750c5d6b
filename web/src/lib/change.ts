// What can be changed of a job once it is there, as `tessera modify` has it: how each is shown, read and sent.
import type { JobDetail, ModifyRequest } from './api';
import { quoted } from './words';

export type Spec = JobDetail['spec'];
type Value = string | number | string[];
/** What is asked for, a field each. */
export type Change = Partial<Record<keyof ModifyRequest, Value>>;
export interface Field {
  /** The API's field, but for GPUs, which are a part of what is reserved. */
  key: keyof ModifyRequest | 'gpus';
  label: string;
  help: string;
  /** `words` are apart by spaces. */
  kind: 'text' | 'number' | 'list' | 'words' | 'time' | 'long';
  /** What holds now, as it is typed; empty when nothing is said. */
  of: (spec: Spec) => string;
  /** What says that nothing holds, when that is no empty text. */
  nothing?: string;
  /** What is shown behind it. */
  unit?: string;
  /** What is sent, where that is more than the field of its name: what takes the place of more must say all of it. */
  sent?: (typed: string, spec: Spec) => Change;
}

/** Prints a length of time as the API reads it. */
export function time(ms: number | null | undefined): string {
  if (!ms) return '';
  const s = ms / 1000;
  if (s % 3600 === 0) return `${s / 3600}h`;
  return s % 60 === 0 ? `${s / 60}m` : `${s}s`;
}
const list = (of: readonly string[] | undefined): string => (of ?? []).join(',');
/** Prints a number; that there is none is no number. */
const some = (n: number | null | undefined): string => (n ? String(n) : '');
const GPUS = 'host.gpus=';
const reserved = (spec: Spec): string[] => (spec.reservations ?? '').split(',').map((it) => it.trim()).filter(Boolean);
const gpus = (spec: Spec): string => reserved(spec).find((it) => it.startsWith(GPUS))?.slice(GPUS.length) ?? '';

/** Answers what is reserved with so many GPUs instead. */
function withGpus(typed: string, spec: Spec): Change {
  const others = reserved(spec).filter((it) => !it.startsWith(GPUS));
  const wanted = typed.trim();
  return { reservations: [...others, ...(wanted && wanted !== '0' ? [GPUS + wanted] : [])].join(',') };
}
/** Answers a wish for mail: when and to whom are said together. */
function mail(on: string[], to: string): Change {
  return on.length && on[0] !== 'none' && to ? { mail: on, mail_to: to } : { mail: on };
}

export const FIELDS: readonly Field[] = [
  { key: 'name', label: 'name', help: '', kind: 'text', of: (spec) => spec.name },
  { key: 'cpus', label: 'instances', help: 'how many run at a time', kind: 'number', of: (spec) => String(spec.cpus) },
  { key: 'max_cpus', label: 'grows to', help: 'instances where nobody wants the room; -1: as many as the farm allows; empty: no more than those', kind: 'number', of: (spec) => some(spec.max_cpus), nothing: '0', unit: 'instances where nobody wants the room' },
  { key: 'reservations', label: 'reserves', help: 'for instances that start from then on; empty: one slot', kind: 'text', of: (spec) => spec.reservations ?? '' },
  { key: 'gpus', label: 'GPUs', help: 'that each instance which starts from then on has to itself; empty: none', kind: 'text', of: gpus, sent: withGpus },
  { key: 'hosts', label: 'only on', help: 'names, with commas; empty: any', kind: 'list', of: (spec) => list(spec.hosts) },
  { key: 'omithosts', label: 'not on', help: 'names, with commas', kind: 'list', of: (spec) => list(spec.omithosts) },
  { key: 'groups', label: 'only in groups', help: 'names, with commas; empty: any', kind: 'list', of: (spec) => list(spec.groups) },
  { key: 'omitgroups', label: 'not in groups', help: 'names, with commas', kind: 'list', of: (spec) => list(spec.omitgroups) },
  { key: 'requirements', label: 'asks of a host', help: 'host.os == linux and host.memory >= 64G', kind: 'text', of: (spec) => spec.requirements ?? '' },
  { key: 'host_order', label: 'picks first', help: '+host.memory.avail: those with most of it', kind: 'text', of: (spec) => spec.host_order ?? '' },
  { key: 'cluster', label: 'cluster', help: '/show/shot; empty: /', kind: 'text', of: (spec) => spec.cluster ?? '' },
  { key: 'restrictions', label: 'only in clusters', help: '/show || /show/+; empty: any', kind: 'text', of: (spec) => spec.restrictions ?? '' },
  { key: 'retrywork', label: 'retries', help: 'of a failed frame', kind: 'number', of: (spec) => String(spec.retrywork), unit: 'of a frame' },
  { key: 'retryworkdelay', label: 'pause before a retry', help: '30s, 5m', kind: 'time', of: (spec) => time(spec.retryworkdelay_ms), nothing: '0' },
  { key: 'retrysubjob', label: 'retries of an instance', help: '', kind: 'number', of: (spec) => String(spec.retrysubjob) },
  { key: 'retry_oom', label: 'retries with more memory', help: 'of a frame that ran out of it', kind: 'number', of: (spec) => String(spec.retry_oom ?? 0) },
  { key: 'timelimit', label: 'limit of an instance', help: '2h; empty: none', kind: 'time', of: (spec) => time(spec.timelimit_ms), nothing: 'none' },
  { key: 'agendatimelimit', label: 'limit of a frame', help: '90s, 2h; empty: none', kind: 'time', of: (spec) => time(spec.agendatimelimit_ms), nothing: 'none' },
  { key: 'silence_limit', label: 'limit of silence', help: 'without output; empty: none', kind: 'time', of: (spec) => time(spec.silence_limit_ms), nothing: 'none' },
  { key: 'max_failures', label: 'stops after', help: 'so many failed frames; empty: it goes on whatever fails', kind: 'number', of: (spec) => some(spec.max_failures), nothing: '0', unit: 'failed frames' },
  { key: 'pgrp_limit', label: 'limit of its group', help: 'instances that all jobs of its process group may have at once; empty: none', kind: 'number', of: (spec) => some(spec.pgrp_limit), nothing: '-1', unit: 'instances of all its jobs at once' },
  { key: 'per_host', label: 'limit on a host', help: 'instances of it that one host may have at once; empty: none', kind: 'number', of: (spec) => some(spec.per_host), nothing: '-1', unit: 'instances at once' },
  { key: 'start_rate', label: 'starts', help: 'no quicker than 5/s, 10/min, 3/30s; empty: at any rate', kind: 'text', of: (spec) => spec.start_rate ?? '', nothing: 'none', unit: 'at most' },
  { key: 'mail', label: 'mail when', help: 'done, failed, killed, blocked, stranded, badlogin, frame_failed; empty: never', kind: 'list', of: (spec) => list(spec.mail), nothing: 'none', sent: (typed, spec) => mail(listed(typed, 'none'), spec.mail_to ?? '') },
  { key: 'mail_to', label: 'mail to', help: 'one address; empty: its owner’s', kind: 'text', of: (spec) => spec.mail_to ?? '', sent: (typed, spec) => (typed.trim() && !spec.mail?.length ? { mail_to: typed.trim() } : mail(spec.mail?.length ? spec.mail : ['none'], typed.trim())) },
  { key: 'webhooks', label: 'tells', help: 'channels of the farm, with spaces: chat=done,failed wall=frame_failed; empty: none', kind: 'words', of: (spec) => (spec.webhooks ?? []).join(' '), nothing: 'none' },
  { key: 'after', label: 'after', help: '12, 12:frames, 12:done; empty: nothing', kind: 'text', of: (spec) => (spec.waitfor?.length ? spec.waitfor.join(',') : (spec.after ?? '')), nothing: 'none' },
  { key: 'notes', label: 'notes', help: '', kind: 'long', of: (spec) => spec.notes ?? '' },
];

/** Reads a list; of an empty one what says that nothing holds. */
function listed(typed: string, nothing?: string, between: string | RegExp = ','): string[] {
  const all = typed.split(between).map((it) => it.trim()).filter(Boolean);
  return all.length || !nothing ? all : [nothing];
}

/** Reads what was typed into a field as the API takes it. */
export function read(field: Field, typed: string): Value {
  const text = field.kind === 'long' ? typed : typed.trim();
  if (field.kind === 'list') return listed(text, field.nothing);
  if (field.kind === 'words') return listed(text, field.nothing, /\s+/);
  if (field.kind === 'number') return Number(text || field.nothing);
  return text || (field.nothing ?? '');
}

/** Answers what is sent for what was typed into a field. */
export function changeOf(field: Field, typed: string, spec: Spec): Change {
  return field.sent ? field.sent(typed, spec) : { [field.key]: read(field, typed) };
}

/** Answers the command line of a change. */
export function lineOf(job: number, field: Field, typed: string, spec: Spec): string {
  const options = Object.entries(changeOf(field, typed, spec)).flatMap(([key, value]) => {
    if (key === 'webhooks' && Array.isArray(value)) return value.map((it) => `--webhook ${quoted(it)}`);
    return [`--${key.replaceAll('_', '-')} ${quoted(Array.isArray(value) ? value.join(',') : String(value))}`];
  });
  return [`tessera modify ${job}`, ...options].join(' ');
}
