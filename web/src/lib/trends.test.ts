import { describe, expect, it } from 'vitest';
import type { TrendPoint, Trends } from './api';
import { greatest, hours, steps, values } from './trends';

const point = (at_ms: number, slots_used: number): TrendPoint => ({ at_ms, slots_used }) as TrendPoint;
const of = { from_ms: 0, to_ms: 1_100_000, step_ms: 300_000, points: [point(0, 3), point(600_000, 0)] } as unknown as Trends;

describe('trends', () => {
  it('leave a gap where nothing is known, and none where there was nothing', () => {
    expect(steps(of)).toEqual([0, 300, 600, 900]);
    expect(values(of, (it) => it.slots_used)).toEqual([3, null, 0, null]);
    expect(values(of, () => undefined)).toEqual([null, null, null, null]);
  });
  it('tell the greatest and when', () => {
    expect(greatest(steps(of), [null, 2, 7, 7])).toEqual({ at: 600_000, value: 7 });
    expect(greatest([], [])).toBeUndefined();
  });
  it('print hours as people read them', () => {
    expect([0, 36_000, 5_400_000, 3_600_000 * 1_234].map(hours)).toEqual(['0.00', '0.01', '1.5', (1_234).toLocaleString()]);
  });
});
