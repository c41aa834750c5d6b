// The farm as the page knows it: who we are, jobs, hosts. It is read once, then follows what happens; what is shown stays
// until what is newer has come.
import { get, onSessionOver, PAGE_MAX, post, query, Refused, remove, type FarmEvent, type Host, type Hosts, type Info, type Job, type Jobs } from './api';
import * as live from './live.svelte';
import { go } from './router.svelte';

/** Jobs that the page holds; older ones are found by the command line. */
export const JOBS_MAX = 200_000;
/** Least time between two reads of what changed, in milliseconds. */
const READ_EVERY_MS = 300;
/** How long it waits after a read that failed, in milliseconds. */
const READ_AGAIN_MS = 3_000;

export const farm = $state({
  info: undefined as Info | undefined,
  /** Not yet known; out: nobody is logged in. */
  session: 'unknown' as 'unknown' | 'in' | 'out',
  /** Why the farm could not be read, when it could not. */
  problem: '',
  /** What everybody should know now: that the farm takes no submissions, or starts nothing. */
  notices: [] as string[],
  hosts: [] as Host[],
  hasHosts: false,
  hasJobs: false,
  /** Grows with every change of the jobs. */
  version: 0,
  now: Date.now(),
});

const jobs = new Map<number, Job>();
const dirty = new Set<number>();
let hostsDirty = false;
let timer = 0;
/** Jobs that something happened to while all are read. */
let meanwhile: Set<number> | undefined;

/** Answers the jobs, the newest first. */
export function allJobs(): Job[] {
  void farm.version;
  return [...jobs.values()].sort((a, b) => b.id - a.id);
}

/** Answers a job, if it is known. */
export function jobOf(id: number): Job | undefined {
  void farm.version;
  return jobs.get(id);
}

/** Answers who looks. */
export const me = (): string => farm.info?.caller.name ?? '';

async function readJobs(): Promise<void> {
  let cursor: string | undefined;
  const seen = new Set<number>();
  const before = [...jobs.keys()];
  const happened = (meanwhile = new Set<number>());
  do {
    const page: Jobs = await get(`/jobs${query({ limit: PAGE_MAX, cursor })}`);
    for (const job of page.jobs) {
      jobs.set(job.id, job);
      seen.add(job.id);
    }
    cursor = page.next ?? undefined;
    farm.notices = page.notices ?? [];
    farm.version++;
    farm.hasJobs = true;
  } while (cursor && seen.size < JOBS_MAX);
  // What has come since is on no page, and what has changed since may stand there as it was.
  for (const id of before) if (!seen.has(id)) jobs.delete(id);
  if (meanwhile === happened) meanwhile = undefined;
  happened.forEach((id) => dirty.add(id));
  if (dirty.size) later();
  farm.version++;
}

/** Reads what everybody should know now; every page of jobs says it. */
async function readNotices(): Promise<void> {
  const page: Jobs = await get(`/jobs${query({ limit: 1 })}`);
  farm.notices = page.notices ?? [];
}

async function readHosts(): Promise<void> {
  farm.hosts = (await get<Hosts>('/hosts')).hosts;
  farm.hasHosts = true;
}

async function readDirty(): Promise<void> {
  timer = 0;
  const wanted = [...dirty].slice(0, PAGE_MAX);
  const withHosts = hostsDirty;
  try {
    if (withHosts) {
      hostsDirty = false;
      await readHosts();
    }
    if (wanted.length) {
      wanted.forEach((id) => dirty.delete(id));
      const page: Jobs = await get(`/jobs${query({ ids: wanted.join(','), limit: PAGE_MAX })}`);
      const found = new Set(page.jobs.map((job) => job.id));
      page.jobs.forEach((job) => jobs.set(job.id, job));
      wanted.filter((id) => !found.has(id)).forEach((id) => jobs.delete(id));
      farm.version++;
    }
    farm.problem = '';
  } catch {
    // Nobody is logged in any more: nothing is read.
    if (farm.session !== 'in') return;
    // What was not read is read when the line is back.
    wanted.forEach((id) => dirty.add(id));
    hostsDirty ||= withHosts;
    return later(READ_AGAIN_MS);
  }
  if (dirty.size || hostsDirty) later();
}

function later(after = READ_EVERY_MS): void {
  timer ||= window.setTimeout(readDirty, after);
}

function hears(events: FarmEvent[]): void {
  for (const event of events) {
    if (event.kind === 'item.progress') continue;
    // When that fails the line is down, and all is read when it is back.
    if (event.kind === 'farm.mode') void readNotices().catch(() => undefined);
    if (event.job !== undefined && event.job !== null) {
      dirty.add(event.job);
      meanwhile?.add(event.job);
    }
    if (event.kind.startsWith('host.') || event.kind.startsWith('instance.')) hostsDirty = true;
  }
  if (dirty.size || hostsDirty) later();
}

async function readAll(): Promise<void> {
  try {
    await Promise.all([readHosts(), readJobs()]);
    farm.problem = '';
  } catch (error) {
    farm.problem = String((error as Error).message);
    if (farm.session === 'in') setTimeout(readAll, 3_000);
  }
}

/** Finds out who is logged in; begins to follow the farm when somebody is. */
export async function begin(): Promise<void> {
  try {
    farm.info = await get<Info>('/info');
  } catch (error) {
    if (error instanceof Refused) {
      farm.session = 'out';
      farm.problem = error.status === 401 ? '' : error.message;
    } else {
      farm.problem = String((error as Error).message);
      setTimeout(begin, 2_000);
    }
    return;
  }
  farm.session = 'in';
  void live.begin();
  await readAll();
}

/** Logs in by the secret of a link or by a token. */
export async function logIn(by: { link: string } | { token: string }): Promise<void> {
  await post('/session', by);
  await begin();
}

function forget(): void {
  live.end();
  jobs.clear();
  dirty.clear();
  meanwhile = undefined;
  hostsDirty = false;
  clearTimeout(timer);
  timer = 0;
  Object.assign(farm, { info: undefined, session: 'out', notices: [], hosts: [], hasHosts: false, hasJobs: false, version: farm.version + 1 });
}

/** Ends the session; nothing of the farm is left in the page. */
export async function logOut(): Promise<void> {
  await remove('/session').catch(() => undefined);
  forget();
  go('/login', true);
}

onSessionOver(() => {
  if (farm.session === 'in') forget();
  farm.session = 'out';
});
live.hear(hears);
live.onRenew(() => void readAll());
setInterval(() => (farm.now = Date.now()), 1_000);
