import { expect, it } from 'vitest';
import { SseReader } from './sse';

it('puts events together however they are cut', () => {
  const bytes = new TextEncoder().encode('id: 7\nevent: job.status\ndata: {"a":"ä"}\n\n:\n\nevent: item.progress\ndata: {}\n\nid: 8\n');
  for (let cut = 1; cut < bytes.length; cut++) {
    const reader = new SseReader();
    const all = [...reader.take(bytes.slice(0, cut)), ...reader.take(bytes.slice(cut))];
    expect(all).toEqual([
      { id: 7, kind: 'job.status', data: '{"a":"ä"}' },
      { kind: 'item.progress', data: '{}' },
    ]);
  }
});
