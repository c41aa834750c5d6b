// Asks the API; the same one that the command line uses.
import type { components } from './schema';

type Schemas = components['schemas'];
export type Job = Schemas['JobSummary'];
export type Jobs = Schemas['Jobs'];
export type JobDetail = Schemas['JobDetail'];
export type ItemCounts = Schemas['ItemCounts'];
export type Item = Schemas['ItemRow'];
export type Items = Schemas['Items'];
export type ItemStates = Schemas['ItemStates'];
export type Attempt = Schemas['AttemptRow'];
export type Attempts = Schemas['Attempts'];
export type Host = Schemas['HostRow'];
export type Hosts = Schemas['Hosts'];
export type HostDetail = Schemas['HostDetail'];
export type Errors = Schemas['Errors'];
export type ErrorGroup = Schemas['ErrorGroup'];
export type Timeline = Schemas['Timeline'];
export type TimelineSpan = Schemas['TimelineSpan'];
export type Trends = Schemas['Trends'];
export type TrendPoint = Schemas['TrendPoint'];
export type Why = Schemas['Why'];
export type HostWhy = Schemas['HostWhy'];
export type Info = Schemas['Info'];
export type FarmEvent = Schemas['Event'];
export type History = Schemas['History'];
export type ActionReply = Schemas['ActionReply'];
export type Token = Schemas['Token'];
export type Tokens = Schemas['Tokens'];
export type JoinToken = Schemas['JoinToken'];
export type Resource = Schemas['ResourceRow'];
export type Resources = Schemas['Resources'];
export type FarmSettings = Schemas['FarmSettings'];
export type WorkerFile = Schemas['WorkerFile'];
export type WorkerFileChecked = Schemas['WorkerFileChecked'];
export type FileFinding = Schemas['FileFinding'];
export type Reconfigured = Schemas['ReconfigureReply'];
export type ModifyRequest = Schemas['ModifyRequest'];
export type SiteCertificate = Schemas['SiteCertificate'];
export type Audit = Schemas['Audit'];
export type SubmitRequest = Schemas['SubmitRequest'];
export type SubmitReply = Schemas['SubmitReply'];
export type ApiError = Schemas['ApiError'];

/** Where the API begins. */
export const PREFIX = '/api/v1';
/** Most entries of a page, as the API has it. */
export const PAGE_MAX = 1000;
/** How long an answer may take to begin, in milliseconds. */
const ANSWER_MS_MAX = 35_000;

/** The supervisor refused. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint?: string,
    /** What is wrong with which field. */
    readonly fields: Record<string, string> = {},
  ) {
    super(message);
  }
}

/** The supervisor can't be reached. */
export class Unreachable extends Error {
  constructor() {
    super('the supervisor can’t be reached');
  }
}

type Heard = { refused?: () => void };
const heard: Heard = {};

/** Says who is told when the session is over. */
export function onSessionOver(told: () => void): void {
  heard.refused = told;
}

/** Sends a request as the page does; answers what came, whatever the status. */
export async function send(method: string, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (method !== 'GET') headers.set('X-Tessera-Web', '1');
  try {
    return await fetch(PREFIX + path, { ...init, method, headers, credentials: 'same-origin', redirect: 'error' });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Unreachable();
  }
}

/** Answers the refusal in an answer. */
export async function refusal(answer: Response): Promise<Refused> {
  const body = (await answer.json().catch(() => ({}))) as Partial<ApiError>;
  const fields = (body.fields ?? []).map((it) => `${it.field}: ${it.message}`).join('; ');
  const message = [body.message ?? `the supervisor answered ${answer.status}`, fields].filter(Boolean).join(': ');
  if (answer.status === 401 && !answer.url.endsWith('/session')) heard.refused?.();
  return new Refused(answer.status, body.code ?? 'unknown', message, body.hint ?? undefined, Object.fromEntries((body.fields ?? []).map((it) => [it.field, it.message])));
}

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { signal: AbortSignal.timeout(ANSWER_MS_MAX) };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { 'Content-Type': 'application/json' };
  }
  const answer = await send(method, path, init).catch(() => {
    throw new Unreachable();
  });
  if (!answer.ok) throw await refusal(answer);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

export const get = <T>(path: string): Promise<T> => ask<T>('GET', path);
export const post = <T = void>(path: string, body?: unknown): Promise<T> => ask<T>('POST', path, body);
export const put = <T>(path: string, body: unknown): Promise<T> => ask<T>('PUT', path, body);
export const patch = (path: string, body: unknown): Promise<void> => ask('PATCH', path, body);
export const remove = (path: string): Promise<void> => ask('DELETE', path);

/** Prints a query, without what is undefined. */
export function query(of: Record<string, string | number | boolean | undefined>): string {
  const said = Object.entries(of).filter(([, value]) => value !== undefined && value !== false);
  const text = new URLSearchParams(said.map(([key, value]) => [key, String(value)])).toString();
  return text && `?${text}`;
}
