// Puts the farm's trends into what a chart draws: one place a step, nothing where nothing is known.
import type { TrendPoint, Trends } from './api';

/** One line of a chart. */
export interface Series {
  label: string;
  /** The name of its colour among those of the page. */
  colour: string;
  values: (number | null)[];
  /** Whether what is below it is filled. */
  isFilled?: boolean;
  /** Whether its line is broken, so that it is told from another without colour. */
  isDashed?: boolean;
}

/** Answers the beginning of each step, in seconds since 1970. */
export function steps(of: Trends): number[] {
  const all: number[] = [];
  for (let at = of.from_ms; at <= of.to_ms; at += of.step_ms) all.push(at / 1000);
  return all;
}

/** Answers a value for each step; a step of which nothing is known has none. */
export function values(of: Trends, read: (point: TrendPoint) => number | null | undefined): (number | null)[] {
  const known = new Map(of.points.map((point) => [point.at_ms, read(point) ?? null]));
  return steps(of).map((at) => known.get(at * 1000) ?? null);
}

/** Answers the greatest value and when it was; nothing when there is none. */
export function greatest(times: readonly number[], of: readonly (number | null)[]): { at: number; value: number } | undefined {
  let found: { at: number; value: number } | undefined;
  of.forEach((value, place) => {
    if (value !== null && (!found || value > found.value)) found = { at: (times[place] ?? 0) * 1000, value };
  });
  return found;
}

/** Prints slots times milliseconds as hours. */
export function hours(slotMs: number): string {
  const of = slotMs / 3_600_000;
  return of >= 100 ? Math.round(of).toLocaleString() : of >= 1 ? of.toFixed(1) : of.toFixed(2);
}
