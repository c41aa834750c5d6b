import { describe, expect, it } from 'vitest';
import type { Job } from './api';
import { bytes, duration, ending, estimate, parts, places, quoted } from './words';

describe('words', () => {
  it('tells time and size', () => {
    expect([0, 9_400, 61_000, 3_600_000, 200_000_000, undefined].map(duration)).toEqual([
      '0.0 s', '9.4 s', '1 min 01 s', '1 h 00 min', '2 d 7 h', '–',
    ]);
    expect([0, 1023, 1024, 5 * 1024 ** 3, null].map(bytes)).toEqual(['0 B', '1023 B', '1.0 KiB', '5.0 GiB', '–']);
  });
  it('writes selectors and commands so that they read back', () => {
    expect(places([4, 0, 1, 2, 9, 1])).toBe('1-3,5,10');
    expect(["it's", 'a b', '--x=1', '', '$HOME'].map(quoted)).toEqual([`'it'\\''s'`, `'a b'`, '--x=1', `''`, `'$HOME'`]);
  });
  it('parts lists and loses nothing', () => {
    expect(parts([1, 2, 3, 4, 5], 2)).toEqual([[1, 2], [3, 4], [5]]);
    expect([parts([], 3), parts([1, 2, 3], 3)]).toEqual([[], [[1, 2, 3]]]);
  });
  it('says how it ended', () => {
    const end = { kind: 'exit', outcome: 'failed', text: 'exit 127', exit_status: 127 };
    expect(ending(end)).toMatch(/not found/);
    expect(ending({ ...end, kind: 'signal', signal: 11 })).toMatch(/crashed/);
  });
  it('estimates only from something, and says how sure it is', () => {
    const job = { status: 'running', started_ms: 1_000, items: { total: 104, complete: 4, pending: 99, running: 1 } } as unknown as Job;
    expect(estimate(job, 5_000)).toEqual({ likely: 100_000, least: 50_000, most: 150_000 });
    expect(estimate({ ...job, items: { ...job.items, complete: 2 } }, 4_000)).toBeUndefined();
    expect(estimate({ ...job, status: 'complete' }, 4_000)).toBeUndefined();
  });
});
