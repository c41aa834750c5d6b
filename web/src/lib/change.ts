// What can be changed of a job once it is there, as `tessera modify` has it: how each is shown, read and sent.
import type { JobDetail, ModifyRequest } from './api';
import { quoted } from './words';

export type Spec = JobDetail['spec'];
type Value = string | number | string[];
export interface Field {
  key: keyof ModifyRequest;
  label: string;
  help: string;
  kind: 'text' | 'number' | 'list' | 'time' | 'long';
  /** What holds now, as it is typed; empty when nothing is said. */
  of: (spec: Spec) => string;
  /** What says that nothing holds, when that is no empty text. */
  nothing?: string;
}

/** Prints a length of time as the API reads it. */
export function time(ms: number | null | undefined): string {
  if (!ms) return '';
  const s = ms / 1000;
  if (s % 3600 === 0) return `${s / 3600}h`;
  return s % 60 === 0 ? `${s / 60}m` : `${s}s`;
}
const list = (of: readonly string[] | undefined): string => (of ?? []).join(',');

export const FIELDS: readonly Field[] = [
  { key: 'name', label: 'name', help: '', kind: 'text', of: (spec) => spec.name },
  { key: 'cpus', label: 'instances', help: 'how many run at a time', kind: 'number', of: (spec) => String(spec.cpus) },
  { key: 'reservations', label: 'reserves', help: 'for instances that start from then on; empty: one slot', kind: 'text', of: (spec) => spec.reservations ?? '' },
  { key: 'hosts', label: 'only on', help: 'names, with commas; empty: any', kind: 'list', of: (spec) => list(spec.hosts) },
  { key: 'omithosts', label: 'not on', help: 'names, with commas', kind: 'list', of: (spec) => list(spec.omithosts) },
  { key: 'groups', label: 'only in groups', help: 'names, with commas; empty: any', kind: 'list', of: (spec) => list(spec.groups) },
  { key: 'omitgroups', label: 'not in groups', help: 'names, with commas', kind: 'list', of: (spec) => list(spec.omitgroups) },
  { key: 'requirements', label: 'asks of a host', help: 'host.os == linux and host.memory >= 64G', kind: 'text', of: (spec) => spec.requirements ?? '' },
  { key: 'host_order', label: 'picks first', help: '+host.memory.avail: those with most of it', kind: 'text', of: (spec) => spec.host_order ?? '' },
  { key: 'cluster', label: 'cluster', help: '/show/shot; empty: /', kind: 'text', of: (spec) => spec.cluster ?? '' },
  { key: 'restrictions', label: 'only in clusters', help: '/show || /show/+; empty: any', kind: 'text', of: (spec) => spec.restrictions ?? '' },
  { key: 'retrywork', label: 'retries', help: 'of a failed frame', kind: 'number', of: (spec) => String(spec.retrywork) },
  { key: 'retryworkdelay', label: 'pause before a retry', help: '30s, 5m', kind: 'time', of: (spec) => time(spec.retryworkdelay_ms), nothing: '0' },
  { key: 'retrysubjob', label: 'retries of an instance', help: '', kind: 'number', of: (spec) => String(spec.retrysubjob) },
  { key: 'retry_oom', label: 'retries with more memory', help: 'of a frame that ran out of it', kind: 'number', of: (spec) => String(spec.retry_oom ?? 0) },
  { key: 'timelimit', label: 'limit of an instance', help: '2h; empty: none', kind: 'time', of: (spec) => time(spec.timelimit_ms), nothing: 'none' },
  { key: 'agendatimelimit', label: 'limit of a frame', help: '90s, 2h; empty: none', kind: 'time', of: (spec) => time(spec.agendatimelimit_ms), nothing: 'none' },
  { key: 'silence_limit', label: 'limit of silence', help: 'without output; empty: none', kind: 'time', of: (spec) => time(spec.silence_limit_ms), nothing: 'none' },
  { key: 'after', label: 'after', help: '12, 12:frames, 12:done; empty: nothing', kind: 'text', of: (spec) => (spec.waitfor?.length ? spec.waitfor.join(',') : (spec.after ?? '')), nothing: 'none' },
  { key: 'notes', label: 'notes', help: '', kind: 'long', of: (spec) => spec.notes ?? '' },
];

/** Reads what was typed into a field as the API takes it. */
export function read(field: Field, typed: string): Value {
  const text = field.kind === 'long' ? typed : typed.trim();
  if (field.kind === 'list') return text.split(',').map((it) => it.trim()).filter(Boolean);
  if (field.kind === 'number') return Number(text);
  return text || (field.nothing ?? '');
}

/** Answers the command line of a change. */
export function lineOf(job: number, field: Field, typed: string): string {
  const value = read(field, typed);
  return `tessera modify ${job} --${field.key.replaceAll('_', '-')} ${quoted(Array.isArray(value) ? value.join(',') : String(value))}`;
}
