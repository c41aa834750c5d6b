// The filter of the list of jobs: `user:mia state:failed,failing frames>100 -name:test shot`. It is in the address.
import type { Job } from './api';
import { isEnded, stateOf } from './words';

export interface Filter {
  passes: (job: Job) => boolean;
  /** What could not be understood, in words. */
  problems: string[];
}

type Test = (job: Job) => boolean;

const TEXTS: Record<string, (job: Job, value: string, me: string) => boolean> = {
  user: (job, value, me) => job.user === (value === 'me' ? me : value),
  name: (job, value) => job.name.toLowerCase().includes(value),
  kind: (job, value) => job.kind === value,
  id: (job, value) => String(job.id) === value,
  state: (job, value) => {
    if (value === 'active') return !isEnded(job.status);
    if (value === 'ended') return isEnded(job.status);
    return stateOf(job) === value || job.status === value;
  },
};

const NUMBERS: Record<string, (job: Job) => number> = {
  id: (job) => job.id,
  frames: (job) => job.items.total ?? 0,
  failed: (job) => job.items.failed ?? 0,
  running: (job) => job.items.running ?? 0,
  left: (job) => (job.items.total ?? 0) - (job.items.complete ?? 0),
  priority: (job) => job.priority,
  instances: (job) => job.running_instances ?? 0,
};

/** Words that `state:` takes beside the states of a job. */
const STATE_WORDS = [
  'active', 'ended', 'stranded', 'failing', 'retrying',
  'pending', 'blocked', 'waiting', 'badlogin', 'running', 'suspended', 'complete', 'failed', 'killed',
];

/** What can be filtered by, for the help and for completing. */
export const KEYS = [...Object.keys(TEXTS).map((key) => `${key}:`), ...Object.keys(NUMBERS).map((key) => `${key}>`)];

/** Words of a filter, at most. */
const WORDS_MAX = 32;

/** Splits at spaces; quotes keep them. */
const split = (text: string): string[] => (text.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? []).slice(0, WORDS_MAX);

/** Reads a filter. What is not understood is said, and filters nothing. */
export function parse(text: string, me: string): Filter {
  const tests: Test[] = [];
  const problems: string[] = [];
  for (const word of split(text)) {
    const isNot = word.startsWith('-') && word.length > 1;
    const test = parseWord((isNot ? word.slice(1) : word).replaceAll('"', ''), me, problems);
    if (test) tests.push(isNot ? (job) => !test(job) : test);
  }
  return { passes: (job) => tests.every((test) => test(job)), problems };
}

function parseWord(word: string, me: string, problems: string[]): Test | undefined {
  const number = /^([a-z]+)(>=|<=|>|<|=)(-?\d+)$/.exec(word);
  if (number) {
    const of = NUMBERS[number[1] ?? ''];
    const value = Number(number[3]);
    if (!of) return refuse(problems, `“${number[1]}” is no number of a job; those are ${Object.keys(NUMBERS).join(', ')}`);
    return compare(of, number[2] ?? '=', value);
  }
  const at = word.indexOf(':');
  if (at < 0) {
    const wanted = word.toLowerCase();
    return (job) => job.name.toLowerCase().includes(wanted) || String(job.id) === wanted;
  }
  const [key, values] = [word.slice(0, at), word.slice(at + 1).toLowerCase().split(',').filter(Boolean)];
  const of = TEXTS[key];
  if (!of) return refuse(problems, `“${key}:” is no filter; those are ${Object.keys(TEXTS).map((it) => `${it}:`).join(' ')}`);
  const unknown = key === 'state' && values.find((value) => !STATE_WORDS.includes(value));
  if (unknown) return refuse(problems, `“${unknown}” is no state; those are ${STATE_WORDS.join(', ')}`);
  if (!values.length) return undefined;
  return (job) => values.some((value) => of(job, value, me));
}

function compare(of: (job: Job) => number, sign: string, value: number): Test {
  if (sign === '>') return (job) => of(job) > value;
  if (sign === '<') return (job) => of(job) < value;
  if (sign === '>=') return (job) => of(job) >= value;
  if (sign === '<=') return (job) => of(job) <= value;
  return (job) => of(job) === value;
}

function refuse(problems: string[], text: string): undefined {
  problems.push(text);
  return undefined;
}
