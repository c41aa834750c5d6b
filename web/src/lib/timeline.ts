// What a time line draws: who ran what where and when. Counting only; painting is the view's.
import type { TimelineSpan } from './api';

/** A span with the lane that it lies in, from 0. */
export interface Placed {
  span: TimelineSpan;
  lane: number;
  from: number;
  to: number;
}

/** Puts spans into lanes so that none covers another; an instance stays in its lane while that is free. */
export function placed(spans: readonly TimelineSpan[], now: number): { all: Placed[]; lanes: number } {
  const free: number[] = [];
  const last = new Map<string, number>();
  const sorted = [...spans].sort((a, b) => a.from_ms - b.from_ms || a.job - b.job || a.instance - b.instance);
  const all = sorted.map((span): Placed => {
    const key = `${span.job}.${span.instance}`;
    const [from, to] = [span.from_ms, Math.max(span.from_ms, span.to_ms ?? now)];
    const mine = last.get(key);
    let lane = mine !== undefined && (free[mine] ?? 0) <= from ? mine : free.findIndex((until) => until <= from);
    if (lane < 0) lane = free.length;
    free[lane] = to;
    last.set(key, lane);
    return { span, lane, from, to };
  });
  return { all, lanes: Math.max(1, free.length) };
}

/** Colours that are told apart by who sees few of them (Okabe and Ito). */
export const COLOURS = ['#e69f00', '#56b4e9', '#009e73', '#f0e442', '#cc79a7', '#d55e00', '#8da9ff', '#b5b5b5'];

/** Answers the colour of a job or a user: always the same one. */
export function colourOf(key: string): string {
  let sum = 2166136261;
  for (let at = 0; at < key.length; at++) sum = Math.imul(sum ^ key.charCodeAt(at), 16777619) >>> 0;
  return COLOURS[sum % COLOURS.length] ?? '#b5b5b5';
}

const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000];
/** Steps between marks of an axis, in milliseconds. */
const MARKS = [SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY];

/** Answers where an axis has its marks, at most so many; on whole hours and days of the viewer's zone. */
export function marks(from: number, to: number, most: number): { at: number[]; step: number } {
  const step = MARKS.find((it) => (to - from) / it <= most) ?? 7 * DAY;
  const zone = new Date(from).getTimezoneOffset() * MINUTE;
  const at: number[] = [];
  for (let mark = Math.ceil((from - zone) / step) * step + zone; mark <= to; mark += step) at.push(mark);
  return { at, step };
}

/** Shortest and longest time that is shown, in milliseconds. */
export const [SHOWN_MIN, SHOWN_MAX] = [10 * SECOND, 7 * DAY];

/** Zooms around a time: above 1 further out. */
export function zoomed(from: number, to: number, by: number, around = (from + to) / 2): [number, number] {
  const shown = Math.min(SHOWN_MAX, Math.max(SHOWN_MIN, (to - from) * by));
  const part = (around - from) / (to - from);
  const begin = Math.round(around - shown * part);
  return [begin, Math.round(begin + shown)];
}
