import { describe, expect, it } from 'vitest';
import type { TimelineSpan } from './api';
import { COLOURS, colourOf, marks, placed, SHOWN_MAX, SHOWN_MIN, zoomed } from './timeline';

const span = (job: number, instance: number, from_ms: number, to_ms?: number): TimelineSpan => ({ job, instance, from_ms, to_ms }) as TimelineSpan;

describe('a time line', () => {
  it('puts spans into lanes so that none covers another, and an instance into its own', () => {
    const { all, lanes } = placed([span(1, 0, 0, 10), span(2, 0, 5, 20), span(1, 0, 20, 30), span(3, 0, 12)], 100);
    expect(all.map((it) => [it.span.job, it.lane, it.to])).toEqual([[1, 0, 10], [2, 1, 20], [3, 0, 100], [1, 1, 30]]);
    expect(lanes).toBe(2);
    expect(placed([span(1, 0, 0, 10), span(2, 0, 0, 4), span(2, 0, 10, 12)], 0).all.at(-1)?.lane).toBe(1);
    expect(placed([], 0)).toEqual({ all: [], lanes: 1 });
  });
  it('covers nothing, whatever comes', () => {
    const many = Array.from({ length: 300 }, (_, n) => span(n % 7, n % 3, (n * 7919) % 1000, ((n * 7919) % 1000) + ((n * 31) % 90)));
    const { all } = placed(many, 0);
    for (const a of all) for (const b of all) if (a !== b && a.lane === b.lane) expect(a.to <= b.from || b.to <= a.from || a.from === a.to || b.from === b.to).toBe(true);
  });
  it('gives a job the same colour each time', () => {
    expect(colourOf('12')).toBe(colourOf('12'));
    expect(new Set(Array.from({ length: 100 }, (_, n) => colourOf(String(n)))).size).toBe(COLOURS.length);
  });
  it('has few marks, on whole minutes', () => {
    const { at, step } = marks(1_000_000_007, 1_003_600_000, 8);
    expect(step).toBe(600_000);
    expect(at.length).toBeGreaterThan(4);
    expect(at.every((mark) => mark % 60_000 === 0)).toBe(true);
  });
  it('zooms around a time, and not for ever', () => {
    expect(zoomed(0, 100_000, 0.5, 25_000)).toEqual([12_500, 62_500]);
    expect(zoomed(0, SHOWN_MIN, 0.1)).toEqual([0, SHOWN_MIN]);
    const [from, to] = zoomed(0, SHOWN_MAX, 9);
    expect(to - from).toBe(SHOWN_MAX);
  });
});
