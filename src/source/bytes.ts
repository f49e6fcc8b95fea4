import { hex, PageTableError } from '../bits/index.ts';

/** A run of bytes that can be read in pieces: a file, a Blob, an array. */
export interface ByteSource {
  /** Number of bytes; below 2^53. */
  readonly size: number;

  /**
   * Reads exactly `length` bytes.
   *
   * @param offset - first byte, an integer in `[0, size]`
   * @param length - bytes, an integer in `[0, size - offset]`
   * @returns the bytes; may be a view of the source's own memory, so it is not written to
   * @throws {@link PageTableError} `OUT_OF_RANGE` if the range is not inside the source, `READ_FAILED` if the source
   *   fails underneath
   */
  read(offset: number, length: number): Promise<Uint8Array>;

  /** Releases what the source holds. Closing twice is allowed. */
  close(): Promise<void>;
}

/**
 * Refuses a range that is not inside a source.
 *
 * @param size - bytes in the source
 * @param offset - first byte asked for
 * @param length - bytes asked for
 * @throws {@link PageTableError} `OUT_OF_RANGE` if `offset` or `length` is not an integer, is negative or leaves the source
 */
export function checkRange(size: number, offset: number, length: number): void {
  const inside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  // `size - offset` cannot overflow; `offset + length` could.
  if (inside && length <= size - offset) return;
  throw new PageTableError(
    'OUT_OF_RANGE',
    `read: ${length} bytes at offset ${hex(offset)}; expected a range inside [0, ${hex(size)})`,
    { offset, length, size },
  );
}

/**
 * The bytes of an array, not copied.
 *
 * @param data - the bytes; later changes to them are seen
 */
export function memoryBytes(data: Uint8Array | ArrayBuffer): ByteSource {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  return {
    size: bytes.length,
    async read(offset, length) {
      checkRange(bytes.length, offset, length);
      return bytes.subarray(offset, offset + length);
    },
    async close() {},
  };
}

/**
 * The bytes of a Blob or a browser's File, read piece by piece.
 *
 * @param blob - read on demand; a file that changes on disk afterwards makes reads fail
 */
export function blobBytes(blob: Blob): ByteSource {
  return {
    size: blob.size,
    async read(offset, length) {
      checkRange(blob.size, offset, length);
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        throw new PageTableError(
          'READ_FAILED',
          `read: ${length} bytes at offset ${hex(offset)} of a Blob: ${messageOf(cause)}`,
          { offset, length },
          { cause },
        );
      }
    },
    async close() {},
  };
}

/** What a thrown value says, for use inside another message. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
