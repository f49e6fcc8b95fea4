import type { FrameReader } from 'tablewalk/capture';
import type { SparseMemory } from 'tablewalk/memory';
import type { ByteSource } from 'tablewalk/source';
import type { Work } from './work.ts';

/** A source of which each read may be stopped, and tells how far it is, until the image is open. */
export interface WatchedSource extends ByteSource {
  /** From now on, other work reads it. */
  rest(): void;
}

/** Watches a source for the work that opens it. */
export function watched(source: ByteSource, work: Work, what: string): WatchedSource {
  let isOpening = true;
  let done = 0;
  return {
    size: source.size,
    async read(offset, length) {
      done = Math.max(done, offset + length);
      if (isOpening) await work.breathe(what, done, source.size);
      return source.read(offset, length);
    },
    close: () => source.close(),
    rest() {
      isOpening = false;
    },
  };
}

/** A machine of which each batch of tables may be stopped, and tells how many were read. */
export function stoppable(machine: FrameReader, work: Work, into: SparseMemory): FrameReader {
  return {
    async readFrames(frames, target) {
      await work.breathe('reading tables', into.size);
      return machine.readFrames(frames, target);
    },
  };
}
