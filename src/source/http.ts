import { hex, PageTableError } from '../bits/index.ts';
import { type ByteSource, checkRange } from './bytes.ts';
import { type RangeAnswer, type RangeRequest, requestRange } from './http-range.ts';

/** How {@link httpBytes} reads. */
export interface HttpOptions {
  /** Headers of each request, such as `Authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes asked for at once; a positive integer, 256 KiB if not given. */
  readonly chunkBytes?: number;
  /** Bytes kept at most of what was read; an integer, 0 to keep nothing, 32 MiB if not given. */
  readonly cacheBytes?: number;
  /** Requests under way at once; a positive integer, 4 if not given. */
  readonly requestsAtOnce?: number;
  /** Milliseconds that one request may take; a positive integer below 2^31, 60,000 if not given. */
  readonly timeoutMs?: number;
}

type Limits = Required<Omit<HttpOptions, 'headers'>>;

const DEFAULTS: Limits = {
  chunkBytes: 2 ** 18,
  cacheBytes: 2 ** 25,
  requestsAtOnce: 4,
  timeoutMs: 60_000,
};

/**
 * The bytes of a file on a web server, read in chunks by HTTP Range requests. Page tables lie scattered: neighbours come
 * with one request, and what was read last is kept. A failed read is not remembered; the next one asks again.
 *
 * @param url - in a browser also relative, as in `/source`
 * @throws {@link PageTableError} `READ_FAILED` if the server cannot be reached, does not give ranges, or gives what was
 *   not asked for; reads throw it too, also once the file has changed on the server; `BAD_ARGUMENT` if an option is not
 *   such a number
 */
export async function httpBytes(url: string | URL, options: HttpOptions = {}): Promise<ByteSource> {
  const { headers = {}, ...given } = options;
  const limits: Limits = { ...DEFAULTS, ...given };
  checkLimits(limits);
  const closing = new AbortController();
  const request = { url: String(url), headers, timeoutMs: limits.timeoutMs, signal: closing.signal };
  const start = await requestRange(request, 0, limits.chunkBytes);
  return new HttpBytes(request, closing, limits, start);
}

function checkLimits(limits: Limits): void {
  for (const name of ['chunkBytes', 'cacheBytes', 'requestsAtOnce', 'timeoutMs'] as const) {
    const least = name === 'cacheBytes' ? 0 : 1;
    // Longer times overflow in timers, and would be over at once.
    const end = name === 'timeoutMs' ? 2 ** 31 : 2 ** 53;
    const value = limits[name];
    if (Number.isSafeInteger(value) && value >= least && value < end) continue;
    throw new PageTableError(
      'BAD_ARGUMENT',
      `httpBytes: ${name} is ${value}; expected an integer in [${least}, ${end})`,
      { [name]: value },
    );
  }
}

class HttpBytes implements ByteSource {
  readonly size: number;
  private readonly request: RangeRequest;
  private readonly closing: AbortController;
  private readonly limits: Limits;
  private readonly version: string;
  /** By number, the least recently used first. */
  private readonly chunks = new Map<number, Uint8Array>();
  private readonly pending = new Map<number, Promise<Uint8Array>>();
  private readonly waiting: (() => void)[] = [];
  private running = 0;

  constructor(request: RangeRequest, closing: AbortController, limits: Limits, start: RangeAnswer) {
    this.request = request;
    this.closing = closing;
    this.limits = limits;
    this.size = start.size;
    this.version = start.version;
    this.keep(0, start.bytes);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkRange(this.size, offset, length);
    this.checkOpen(offset, length);
    if (length === 0) return new Uint8Array(0);
    const { chunkBytes, requestsAtOnce } = this.limits;
    const bytes = new Uint8Array(length);
    let next = Math.floor(offset / chunkBytes);
    const end = Math.ceil((offset + length) / chunkBytes);
    const copyChunks = async (): Promise<void> => {
      while (next < end) {
        const index = next;
        next += 1;
        const chunk = await this.chunk(index);
        const at = index * chunkBytes - offset;
        bytes.set(chunk.subarray(Math.max(0, -at), length - at), Math.max(0, at));
      }
    };
    const copiers = Array.from({ length: Math.min(requestsAtOnce, end - next) }, () =>
      copyChunks().catch((error: unknown) => {
        // The others stop with what they have asked for.
        next = end;
        throw error;
      }),
    );
    await Promise.all(copiers);
    return bytes;
  }

  async close(): Promise<void> {
    this.closing.abort(new Error('the source was closed'));
    this.chunks.clear();
  }

  private checkOpen(offset: number, length: number): void {
    if (!this.closing.signal.aborted) return;
    const { url } = this.request;
    throw new PageTableError(
      'READ_FAILED',
      `read: ${length} bytes at offset ${hex(offset)} of ${url}: the source was closed before`,
      { url, offset, length },
    );
  }

  /** One chunk: from the cache, from a request that is under way, or from a new one. */
  private chunk(index: number): Promise<Uint8Array> {
    const known = this.chunks.get(index);
    if (known !== undefined) {
      this.keep(index, known);
      return Promise.resolve(known);
    }
    const asked = this.pending.get(index);
    if (asked !== undefined) return asked;
    const loaded = this.inTurn(() => this.load(index)).finally(() => this.pending.delete(index));
    this.pending.set(index, loaded);
    return loaded;
  }

  private async load(index: number): Promise<Uint8Array> {
    const offset = index * this.limits.chunkBytes;
    const length = Math.min(this.limits.chunkBytes, this.size - offset);
    this.checkOpen(offset, length);
    const { bytes, size, version } = await requestRange(this.request, offset, length);
    if (size !== this.size || version !== this.version) {
      const { url } = this.request;
      const what =
        size === this.size
          ? `version ${this.version}, found ${version}`
          : `${this.size} bytes, found ${size}`;
      throw new PageTableError(
        'READ_FAILED',
        `read: ${length} bytes at offset ${hex(offset)} of ${url}: the file changed on the server: expected ${what}`,
        { url, offset, length, size },
      );
    }
    this.keep(index, bytes);
    return bytes;
  }

  /** Keeps a chunk as the one that was used last, and drops those for which there is no room. */
  private keep(index: number, bytes: Uint8Array): void {
    if (this.closing.signal.aborted) return;
    this.chunks.delete(index);
    this.chunks.set(index, bytes);
    for (const oldest of this.chunks.keys()) {
      if (this.chunks.size * this.limits.chunkBytes <= this.limits.cacheBytes) return;
      this.chunks.delete(oldest);
    }
  }

  /** Does work when fewer than `requestsAtOnce` others do. */
  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.running < this.limits.requestsAtOnce) this.running += 1;
    else await new Promise<void>((resume) => this.waiting.push(resume));
    try {
      return await work();
    } finally {
      // The place goes to the next in line, if there is one.
      const next = this.waiting.shift();
      if (next === undefined) this.running -= 1;
      else next();
    }
  }
}
