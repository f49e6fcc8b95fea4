import { hex, PageTableError } from '../bits/index.ts';
import { type ByteSource, checkRange, messageOf } from './bytes.ts';

/** Unpacked bytes that {@link gunzip} keeps at most, unless told otherwise: 2 GiB. */
export const DEFAULT_MAX_UNPACKED_BYTES = 2 ** 31;

/** How {@link gunzip} unpacks. */
export interface GunzipOptions {
  /** A positive integer; {@link DEFAULT_MAX_UNPACKED_BYTES} if not given. */
  readonly maxUnpackedBytes?: number;
}

/**
 * Small, because a browser may queue everything that one input chunk unpacks to (up to 1032 times as much) before the
 * limit is looked at.
 */
const PACKED_CHUNK = 1 << 16;
const CHUNK_BYTES = 1 << 20;

/**
 * Whether a source begins like a gzip file.
 *
 * @see RFC 1952, section 2.3.1, "Member header and trailer": ID1, ID2, CM = 8, and the reserved bits of FLG are zero
 */
export async function isGzip(bytes: ByteSource): Promise<boolean> {
  if (bytes.size < 4) return false;
  const [id1, id2, method, flags] = await bytes.read(0, 4);
  return id1 === 0x1f && id2 === 0x8b && method === 8 && (flags & 0xe0) === 0;
}

/**
 * Unpacks a gzip file into memory, because page tables are read in no order and gzip can only be read from the start.
 * Node joins the members of a file that has several; browsers take that for damage.
 *
 * @param packed - closed with the result; on failure it stays open
 * @returns the unpacked bytes
 * @throws {@link PageTableError} `LIMIT_EXCEEDED` if it unpacks to more than the limit, `TRUNCATED_IMAGE` or
 *   `MALFORMED_IMAGE` if it is damaged, `BAD_ARGUMENT` if the limit is not a positive integer, `READ_FAILED`
 */
export async function gunzip(packed: ByteSource, options: GunzipOptions = {}): Promise<ByteSource> {
  const limit = options.maxUnpackedBytes ?? DEFAULT_MAX_UNPACKED_BYTES;
  if (!Number.isSafeInteger(limit) || limit <= 0) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `gunzip: maxUnpackedBytes ${limit}; expected a positive integer`,
      { limit },
    );
  }
  const input = new PackedStream(packed);
  const reader = input.stream.pipeThrough(new DecompressionStream('gzip')).getReader();
  const unpacked = new UnpackedBytes(packed);
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw input.failure ?? damageError(cause, packed.size);
      });
      if (done) return unpacked;
      if (unpacked.size + value.length > limit) throw limitError(limit);
      unpacked.append(value);
    }
  } catch (error) {
    // Cancelling an already failed stream reports the same failure once more.
    await reader.cancel(error).catch(() => undefined);
    throw error;
  }
}

/** The compressed bytes as a stream, which remembers why reading failed: not every engine passes that through. */
class PackedStream {
  failure: unknown;
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;

  constructor(packed: ByteSource) {
    let offset = 0;
    this.stream = new ReadableStream({
      pull: async (controller) => {
        const length = Math.min(PACKED_CHUNK, packed.size - offset);
        if (length === 0) {
          controller.close();
          return;
        }
        try {
          // Copied: streams may take over the buffer, and it can be the caller's own.
          controller.enqueue(new Uint8Array(await packed.read(offset, length)));
        } catch (error) {
          this.failure = error;
          throw error;
        }
        offset += length;
      },
    });
  }
}

/** Unpacked bytes in chunks of equal size: no single huge allocation, and the chunk of an offset is a division. */
class UnpackedBytes implements ByteSource {
  size = 0;
  private chunks: Uint8Array[] = [];
  private readonly packed: ByteSource;

  constructor(packed: ByteSource) {
    this.packed = packed;
  }

  append(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = this.size % CHUNK_BYTES;
      if (at === 0) this.chunks.push(new Uint8Array(CHUNK_BYTES));
      const part = bytes.subarray(done, done + CHUNK_BYTES - at);
      this.chunks[this.chunks.length - 1].set(part, at);
      this.size += part.length;
      done += part.length;
    }
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkRange(this.size, offset, length);
    const chunk = Math.floor(offset / CHUNK_BYTES);
    const at = offset % CHUNK_BYTES;
    if (length === 0) return new Uint8Array(0);
    if (this.chunks.length === 0) {
      throw new PageTableError(
        'READ_FAILED',
        `read: ${length} bytes at offset ${hex(offset)}: the image was closed before`,
        {
          offset,
          length,
        },
      );
    }
    if (at + length <= CHUNK_BYTES) return this.chunks[chunk].subarray(at, at + length);
    const result = new Uint8Array(length);
    let from = at;
    for (let done = 0, i = chunk; done < length; i++) {
      const part = this.chunks[i].subarray(from, from + length - done);
      result.set(part, done);
      done += part.length;
      from = 0;
    }
    return result;
  }

  async close(): Promise<void> {
    this.chunks = [];
    await this.packed.close();
  }
}

function limitError(limit: number): PageTableError {
  return new PageTableError(
    'LIMIT_EXCEEDED',
    `gunzip: the file unpacks to more than ${limit} bytes; give a larger maxUnpackedBytes, or unpack it to a file first`,
    { limit },
  );
}

function damageError(cause: unknown, size: number): PageTableError {
  // Node says "unexpected end of file" (Z_BUF_ERROR), browsers "Compressed input was truncated" or the like.
  const cut = /truncat|unexpected end/i.test(messageOf(cause));
  return new PageTableError(
    cut ? 'TRUNCATED_IMAGE' : 'MALFORMED_IMAGE',
    `gunzip: the gzip file of ${size} bytes is ${cut ? 'cut short' : 'damaged'}: ${messageOf(cause)}`,
    { size },
    { cause },
  );
}
