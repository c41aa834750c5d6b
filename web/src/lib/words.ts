// Words, numbers and times as people read them. States have a word, a colour (by class) and a shape.
import type { ItemCounts, Job } from './api';

/** Each state of an item with its letter in the API and its shape. The order is that of a state bar. */
export const STATES = [
  { letter: 'c', word: 'complete', shape: '✓' },
  { letter: 'f', word: 'failed', shape: '✕' },
  { letter: 'r', word: 'running', shape: '▶' },
  { letter: 's', word: 'suspended', shape: '‖' },
  { letter: 'w', word: 'waiting', shape: '◔' },
  { letter: 'p', word: 'pending', shape: '○' },
  { letter: 'b', word: 'blocked', shape: '■' },
  { letter: 'k', word: 'killed', shape: '–' },
] as const;
export type StateWord = (typeof STATES)[number]['word'];

const SHAPES: Record<string, string> = {
  ...Object.fromEntries(STATES.map((it) => [it.word, it.shape])),
  failing: '✕',
  stranded: '✕',
  retrying: '↻',
  badlogin: '⚿',
  up: '●',
  away: '◌',
  down: '✕',
  panic: '!',
  locked: '■',
};

/** Answers the shape of a state. */
export const shape = (state: string): string => SHAPES[state] ?? '·';
/** Answers the word for a letter of the API. */
export const wordOf = (letter: string): StateWord => STATES.find((it) => it.letter === letter)?.word ?? 'pending';
/** Answers the letter of a word. */
export const letterOf = (word: string): string | undefined => STATES.find((it) => it.word === word)?.letter;

/** Answers what is shown as a job's state: failing and retrying are said of what goes on, stranded of what waits in vain. */
export function stateOf(job: Job): string {
  if (job.is_stranded) return 'stranded';
  if (job.is_failing) return 'failing';
  return job.is_retrying && job.status !== 'running' ? 'retrying' : job.status;
}

/** Says whether a state is an end. */
export const isEnded = (state: string): boolean => ['complete', 'failed', 'killed'].includes(state);

/** Answers how much is done, from 0 to 1. */
export const done = (items: ItemCounts): number => (items.total ? (items.complete ?? 0) / items.total : 0);

/** Prints a length of time, two units at most. */
export function duration(ms: number | null | undefined): string {
  if (ms === undefined || ms === null || ms < 0) return '–';
  const s = ms / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  const [whole, m] = [Math.round(s), Math.floor(Math.round(s) / 60)];
  if (whole < 60) return `${whole} s`;
  if (m < 60) return `${m} min ${String(whole % 60).padStart(2, '0')} s`;
  const h = Math.floor(m / 60);
  if (h < 48) return `${h} h ${String(m % 60).padStart(2, '0')} min`;
  return `${Math.floor(h / 24)} d ${h % 24} h`;
}

// Made once: each of these costs more than all that is printed with it.
const HOUR = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const DAY_OF_YEAR = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
const IN_FULL = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' });

/** Prints a time as people tell it: of today the hour, else the day too; in the viewer's zone. */
export function moment(ms: number | null | undefined, now = Date.now()): string {
  if (ms === undefined || ms === null) return '–';
  const [at, today] = [new Date(ms), new Date(now)];
  const time = HOUR.format(at);
  const isThisYear = at.getFullYear() === today.getFullYear();
  if (isThisYear && at.getMonth() === today.getMonth() && at.getDate() === today.getDate()) return time;
  return `${(isThisYear ? DAY : DAY_OF_YEAR).format(at)}, ${time}`;
}

/** Prints a time in full. */
export const fully = (ms: number | null | undefined): string => (ms ? IN_FULL.format(ms) : '');

/** Prints a number of bytes. */
export function bytes(n: number | null | undefined): string {
  if (n === undefined || n === null) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = n < 1 ? 0 : Math.min(Math.floor(Math.log2(n) / 10), units.length - 1);
  const value = n / 1024 ** step;
  return `${step && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[step]}`;
}

/** Prints a count with its noun. */
export const count = (n: number, one: string, many = `${one}s`): string => `${n.toLocaleString()} ${n === 1 ? one : many}`;

/** Parts a list into lists of `most` at most. */
export function parts<T>(of: readonly T[], most: number): T[][] {
  const all: T[][] = [];
  for (let from = 0; from < of.length; from += most) all.push(of.slice(from, from + most));
  return all;
}

/** Prints places of items (from 0) as the selectors have them: from 1, runs put together. */
export function places(items: readonly number[]): string {
  const sorted = [...new Set(items)].sort((a, b) => a - b);
  const runs: [number, number][] = [];
  for (const at of sorted) {
    const last = runs.at(-1);
    if (last && last[1] === at - 1) last[1] = at;
    else runs.push([at, at]);
  }
  return runs.map(([a, b]) => (a === b ? `${a + 1}` : `${a + 1}-${b + 1}`)).join(',');
}

/** Quotes a word for a shell, when it needs that. */
export const quoted = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/** Says how an attempt ended, in words for who does not know signals. */
export function ending(end: { kind: string; outcome: string; text: string; exit_status?: number | null; signal?: number | null }): string {
  if (end.outcome === 'done') return 'It finished well.';
  if (end.kind === 'exit' && end.exit_status === 127) return 'The program was not found (exit 127): check the command and PATH on that host.';
  if (end.kind === 'exit' && end.exit_status === 126) return 'The program could not be run (exit 126): it may not be executable.';
  if (end.kind === 'exit') return `The program said that it failed (${end.text}). What it printed last usually says why.`;
  if (end.kind === 'signal' && end.signal === 11) return 'The program crashed (signal 11, SEGV): it touched memory that is not its own.';
  if (end.kind === 'signal' && end.signal === 9) return 'It was killed (signal 9), by somebody on the host or for want of memory there.';
  if (end.kind === 'signal') return `It was ended by ${end.text}.`;
  if (end.kind === 'out_of_memory') return 'It needed more memory than it had reserved. It is tried again with more, if it may.';
  if (end.kind === 'limit') return `It ran into one of its limits: ${end.text}.`;
  if (end.kind === 'not_started') return `It could not be started: ${end.text}.`;
  if (end.kind === 'lost') return `Its host was lost: ${end.text}. That uses up no retry.`;
  if (end.kind === 'asked') return `Somebody or the farm ended it: ${end.text}.`;
  return end.text;
}

/** An estimate in milliseconds, and the range that it most likely lies in. */
export interface Estimate {
  likely: number;
  least: number;
  most: number;
}

/** Items that must be done before anything is estimated. */
const ESTIMATE_FROM = 3;

/** Estimates how long a job still takes: by what was done since it started, surer the more that is. */
export function estimate(job: Job, now: number): Estimate | undefined {
  const items = job.items;
  const complete = items.complete ?? 0;
  const left = (items.pending ?? 0) + (items.waiting ?? 0) + (items.running ?? 0);
  if (job.status !== 'running' || !job.started_ms || complete < ESTIMATE_FROM || !left) return undefined;
  const likely = ((now - job.started_ms) / complete) * left;
  const unsure = Math.min(0.6, 1 / Math.sqrt(complete));
  return { likely, least: likely * (1 - unsure), most: likely * (1 + unsure) };
}
