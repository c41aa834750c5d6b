// The columns of the list of jobs, and views of one's own; as a browser keeps them.
import type { Job } from './api';
import { done, stateOf } from './words';

export interface Column {
  key: string;
  name: string;
  /** What it is ordered by. */
  of: (job: Job, now: number) => number | string;
  /** Its width, as a grid has it. */
  width: string;
  isText?: boolean;
}
/** A filter, an order and columns under a name. */
export interface View {
  name: string;
  q: string;
  sort: string;
  columns: string[];
}

export const COLUMNS: readonly Column[] = [
  { key: 'id', name: 'Job', of: (job) => job.id, width: '64px' },
  { key: 'name', name: 'Name', of: (job) => job.name, width: 'minmax(140px, 3fr)', isText: true },
  { key: 'user', name: 'User', of: (job) => job.user, width: 'minmax(70px, 1fr)', isText: true },
  { key: 'state', name: 'State', of: (job) => stateOf(job), width: '112px', isText: true },
  { key: 'done', name: 'Frames', of: (job) => done(job.items), width: 'minmax(150px, 2fr)' },
  { key: 'failed', name: 'Failed', of: (job) => job.items.failed ?? 0, width: '58px' },
  { key: 'running', name: 'Run', of: (job) => job.items.running ?? 0, width: '50px' },
  { key: 'left', name: 'Left', of: (job) => (job.items.total ?? 0) - (job.items.complete ?? 0), width: '64px' },
  { key: 'instances', name: 'Instances', of: (job) => job.running_instances ?? 0, width: '84px' },
  { key: 'priority', name: 'Prio', of: (job) => job.priority, width: '54px' },
  { key: 'kind', name: 'Kind', of: (job) => job.kind, width: '88px', isText: true },
  { key: 'submitted', name: 'Submitted', of: (job) => job.submitted_ms, width: '108px' },
  { key: 'started', name: 'Began', of: (job) => job.started_ms ?? Infinity, width: '108px' },
  { key: 'ended', name: 'Ended', of: (job) => job.ended_ms ?? Infinity, width: '108px' },
  { key: 'took', name: 'Time', of: (job, now) => (job.ended_ms ?? now) - (job.started_ms ?? now), width: '104px' },
];
/** What is there unless somebody chose otherwise. */
export const USUAL: readonly string[] = ['id', 'name', 'user', 'state', 'done', 'failed', 'running', 'priority', 'submitted', 'took'];
/** Always there: by these a row is found and opened. */
export const FIXED: readonly string[] = ['id', 'name'];
/** Views of one's own. */
export const VIEWS_MAX = 20;
/** Characters of a view's name. */
export const NAME_MAX = 40;

/** Reads what a browser kept; what is none of ours is left out. */
export function readKept(text: string | null): { columns: string[]; views: View[] } {
  const known = (of: unknown): string[] => {
    const named = Array.isArray(of) ? of : USUAL;
    return COLUMNS.map((it) => it.key).filter((key) => FIXED.includes(key) || named.includes(key));
  };
  try {
    const found = JSON.parse(text ?? '{}') as { columns?: unknown; views?: unknown } | null;
    const views = (Array.isArray(found?.views) ? found.views : []) as Partial<View>[];
    const good = views.filter((it) => it && typeof it.name === 'string' && it.name && typeof it.q === 'string');
    return {
      columns: known(found?.columns),
      views: good.slice(0, VIEWS_MAX).map((it) => ({ name: String(it.name).slice(0, NAME_MAX), q: String(it.q), sort: typeof it.sort === 'string' ? it.sort : '', columns: known(it.columns) })),
    };
  } catch {
    return { columns: [...USUAL], views: [] };
  }
}
