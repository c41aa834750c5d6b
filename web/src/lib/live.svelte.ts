// What happens on the farm, as it happens. A connection that breaks is made again and resumed after what was heard last.
import { refusal, Refused, send, type FarmEvent } from './api';
import { SseReader } from './sse';

/** Pauses before a new try, in milliseconds; the last one stays. */
const PAUSES_MS = [250, 1_000, 2_000, 5_000, 10_000];
/** The server says something at least every 15 seconds; after so long the line is dead. */
const SILENCE_MS_MAX = 40_000;

export const live = $state({ isOn: false, since: Date.now(), hasBeenOn: false });

type Hears = (events: FarmEvent[]) => void;
const hearers = new Set<Hears>();
const renewers = new Set<() => void>();

/** Hears events, many at once; answers how to stop. */
export function hear(hears: Hears): () => void {
  hearers.add(hears);
  return () => hearers.delete(hears);
}

/** Is told when what was shown may be old: read it anew. Answers how to stop. */
export function onRenew(renew: () => void): () => void {
  renewers.add(renew);
  return () => renewers.delete(renew);
}

let after: number | undefined;
let waiting: FarmEvent[] = [];
let isDue = false;
let current: AbortController | undefined;

function pass(): void {
  isDue = false;
  const events = waiting;
  waiting = [];
  for (const hears of hearers) hears(events);
}

function take(event: FarmEvent): void {
  waiting.push(event);
  if (isDue) return;
  isDue = true;
  // One repaint for all that came; a hidden page is not painted.
  if (document.hidden) setTimeout(pass, 500);
  else requestAnimationFrame(pass);
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

function turn(isOn: boolean): void {
  if (live.isOn !== isOn) Object.assign(live, { isOn, since: Date.now() });
  if (isOn) live.hasBeenOn = true;
}

async function listen(stop: AbortController): Promise<void> {
  const answer = await send('GET', `/events${after === undefined ? '' : `?after=${after}`}`, {
    signal: stop.signal,
    cache: 'no-store',
  });
  if (!answer.ok || !answer.body) throw await refusal(answer);
  const [from, reader] = [answer.body.getReader(), new SseReader()];
  let watch = 0;
  const awake = (): void => {
    clearTimeout(watch);
    watch = window.setTimeout(() => stop.abort(), SILENCE_MS_MAX);
  };
  try {
    for (awake(); ; awake()) {
      const { done, value } = await from.read();
      if (done) return;
      turn(true);
      for (const sent of reader.take(value)) {
        if (sent.id !== undefined) after = sent.id;
        if (sent.kind === 'resync') renewers.forEach((renew) => renew());
        else if (sent.kind !== 'hello') take(JSON.parse(sent.data) as FarmEvent);
      }
    }
  } finally {
    clearTimeout(watch);
  }
}

// Grows with each beginning and end: who listens for an older one stops.
let turnNumber = 0;

/** Listens until the session is over. */
export async function begin(): Promise<void> {
  current?.abort();
  const mine = ++turnNumber;
  let tries = 0;
  while (mine === turnNumber) {
    current = new AbortController();
    const began = Date.now();
    try {
      await listen(current);
    } catch (error) {
      if (error instanceof Refused && error.status === 401) break;
    }
    if (mine !== turnNumber) return;
    turn(false);
    tries = Date.now() - began > 10_000 ? 0 : tries + 1;
    await pause(PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)] ?? 1_000);
  }
}

/** Stops listening and forgets where it stood. */
export function end(): void {
  turnNumber++;
  current?.abort();
  after = undefined;
  Object.assign(live, { isOn: false, hasBeenOn: false });
}

// The browser knows before a read fails.
addEventListener('offline', () => current?.abort());
