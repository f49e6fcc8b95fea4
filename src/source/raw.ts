import { FRAME_BYTES, hex, offsetOf, PageTableError } from '../bits/index.ts';
import type { Machine } from '../machine/index.ts';
import type { ByteSource } from './bytes.ts';
import { Extents } from './extents.ts';
import { StoredMemory } from './stored-memory.ts';

/** Where a raw image belongs. */
export interface RawOptions {
  /** Physical byte address of the file's first byte; a multiple of 4096. */
  readonly base: bigint;
}

const ADDRESS_END = 1n << 53n;

/**
 * Opens a file that is physical memory and nothing else.
 *
 * @param bytes - closed with the machine; on failure it stays open
 * @throws {@link PageTableError} `MISALIGNED` if `base` is not a multiple of 4096, `OUT_OF_RANGE` if it is negative or
 *   the image reaches 2^53
 */
export async function openRaw(bytes: ByteSource, options: RawOptions): Promise<Machine> {
  const { base } = options;
  if (base < 0n || base + BigInt(bytes.size) >= ADDRESS_END) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `raw image: ${bytes.size} bytes at base ${hex(base)}; expected a range inside [0, 2^53)`,
      { base, size: bytes.size },
    );
  }
  if (offsetOf(base) !== 0) {
    throw new PageTableError(
      'MISALIGNED',
      `raw image: base ${hex(base)}; expected a multiple of ${FRAME_BYTES}`,
      {
        base,
      },
    );
  }
  const extents = new Extents();
  // Below 2^53, checked above.
  const start = Number(base);
  extents.push(start, start + bytes.size, 0);
  const memory = new StoredMemory(bytes, extents);
  const rest = bytes.size % FRAME_BYTES;
  return {
    kind: 'raw memory image',
    architecture: undefined,
    longMode: undefined,
    cpus: [],
    roots: [],
    frames: memory.frames,
    remarks:
      rest === 0 ? [] : [`The last ${rest} bytes of the file are not a whole frame and are not given.`],
    readFrames: (frames, target) => memory.readFrames(frames, target),
    close: () => bytes.close(),
  };
}
