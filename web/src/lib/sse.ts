// Reads server-sent events out of a stream of bytes. The browser's own reader hears only kinds that it was told of.

export interface Sent {
  id?: number;
  kind: string;
  data: string;
}

/** Most characters of one event that are kept; a longer one is dropped. */
const EVENT_CHARS_MAX = 1 << 20;

export class SseReader {
  private rest = '';
  private readonly decoder = new TextDecoder();

  /** Takes bytes; answers the events that are whole. */
  take(bytes: Uint8Array): Sent[] {
    const parts = (this.rest + this.decoder.decode(bytes, { stream: true })).split('\n\n');
    this.rest = parts.pop() ?? '';
    if (this.rest.length > EVENT_CHARS_MAX) this.rest = '';
    return parts.map(read).filter((sent) => sent !== undefined);
  }
}

function read(part: string): Sent | undefined {
  const sent: Sent = { kind: 'message', data: '' };
  for (const line of part.split('\n')) {
    const at = line.indexOf(':');
    if (at <= 0) continue;
    const value = line.slice(at + 1).replace(/^ /, '');
    if (line.startsWith('id:')) sent.id = Number(value);
    else if (line.startsWith('event:')) sent.kind = value;
    else if (line.startsWith('data:')) sent.data += value;
  }
  return sent.data ? sent : undefined;
}
