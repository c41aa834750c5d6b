// Reads the output of an attempt: its end first, what comes after as it comes, what was before when asked for.
import { refusal, send } from './api';

/** Bytes that are read of what was printed before somebody looked. */
export const TAIL_BYTES = 256 * 1024;
/** Lines that are kept; the oldest go. */
export const LINES_MAX = 20_000;
/** Bytes before each frame of an answer, and the longest frame that is taken. */
const HEAD_BYTES = 5;
const FRAME_BYTES_MAX = 1024 * 1024;

export interface Line {
  text: string;
  isErr: boolean;
}

export type Stream = 'out' | 'err' | 'both';

interface Begun {
  text: string;
  decoder: TextDecoder;
}

const begun = (): Record<'out' | 'err', Begun> => ({
  out: { text: '', decoder: new TextDecoder() },
  err: { text: '', decoder: new TextDecoder() },
});

/** Puts pieces of two streams together as lines. */
export class Lines {
  readonly lines: Line[] = [];
  /** Lines that were kept once and are no longer. */
  dropped = 0;
  private open = begun();

  add(bytes: Uint8Array, isErr: boolean): void {
    const from = this.open[isErr ? 'err' : 'out'];
    const parts = (from.text + from.decoder.decode(bytes, { stream: true })).split('\n');
    from.text = parts.pop() ?? '';
    for (const text of parts) this.lines.push({ text, isErr });
    const over = this.lines.length - LINES_MAX;
    if (over > 0) {
      this.lines.splice(0, over);
      this.dropped += over;
    }
  }

  /** Forgets all, also what was begun: what comes next is read from another place. */
  clear(): void {
    this.lines.length = 0;
    this.dropped = 0;
    this.open = begun();
  }

  /** Answers what was begun and not ended by a new line. */
  rest(): Line[] {
    const of = [
      { text: this.open.out.text, isErr: false },
      { text: this.open.err.text, isErr: true },
    ];
    return of.filter((line) => line.text);
  }
}

/** Takes frames apart: kind (1 stdout, 2 stderr, 0 nothing new, 3 the end), length, bytes. */
export class Frames {
  private rest = new Uint8Array();

  /** Answers the whole frames among what came. */
  take(bytes: Uint8Array): { kind: number; bytes: Uint8Array }[] {
    const all = new Uint8Array(this.rest.length + bytes.length);
    all.set(this.rest);
    all.set(bytes, this.rest.length);
    const found = [];
    let at = 0;
    while (all.length - at >= HEAD_BYTES) {
      const length = new DataView(all.buffer, at + 1, 4).getUint32(0);
      if (length > FRAME_BYTES_MAX) throw new Error('the answer is no log');
      if (all.length - at < HEAD_BYTES + length) break;
      found.push({ kind: all[at] ?? 0, bytes: all.slice(at + HEAD_BYTES, at + HEAD_BYTES + length) });
      at += HEAD_BYTES + length;
    }
    this.rest = all.slice(at);
    return found;
  }
}

export interface Place {
  job: number;
  item: number;
  attempt: number;
  stream: Stream;
}

/** Answers the address of a log. */
export const logPath = (of: Place, more: string): string =>
  `/jobs/${of.job}/items/${of.item}/log?attempt=${of.attempt}&stream=${of.stream}${more}`;

/** Answers how many bytes there are, and whether no more will come. */
export async function sizeOf(of: Place, signal: AbortSignal): Promise<{ size: number; isComplete: boolean }> {
  const answer = await send('GET', logPath(of, '&limit=1'), { signal, cache: 'no-store' });
  if (!answer.ok) throw await refusal(answer);
  await answer.body?.cancel();
  return { size: Number(answer.headers.get('x-tessera-size')), isComplete: answer.headers.get('x-tessera-complete') === 'true' };
}

/** Reads a piece that was printed before. */
export async function piece(of: Place, offset: number, limit: number, signal: AbortSignal): Promise<Line[]> {
  const answer = await send('GET', logPath(of, `&framed=true&offset=${offset}&limit=${limit}`), { signal, cache: 'no-store' });
  if (!answer.ok) throw await refusal(answer);
  const [frames, lines] = [new Frames(), new Lines()];
  for (const frame of frames.take(new Uint8Array(await answer.arrayBuffer()))) {
    if (frame.kind === 1 || frame.kind === 2) lines.add(frame.bytes, frame.kind === 2);
  }
  return [...lines.lines, ...lines.rest()];
}

/** Follows a log from a place on until the attempt has ended; `heard` is called for what came. Answers how many bytes came. */
export async function follow(of: Place, offset: number, into: Lines, heard: () => void, signal: AbortSignal): Promise<{ isOver: boolean; bytes: number }> {
  const answer = await send('GET', logPath(of, `&framed=true&follow=true&offset=${offset}`), { signal, cache: 'no-store' });
  if (!answer.ok || !answer.body) throw await refusal(answer);
  const [reader, frames] = [answer.body.getReader(), new Frames()];
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { isOver: false, bytes };
    for (const frame of frames.take(value)) {
      if (frame.kind === 3) return { isOver: true, bytes };
      if (frame.kind !== 1 && frame.kind !== 2) continue;
      bytes += frame.bytes.length;
      into.add(frame.bytes, frame.kind === 2);
    }
    heard();
  }
}
