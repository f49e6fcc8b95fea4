import { hex, PageTableError } from '../bits/index.ts';
import { messageOf } from './bytes.ts';

/** How a server is asked. */
export interface RangeRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds until a request that has not ended is given up. */
  readonly timeoutMs: number;
  /** Ends the request before its time. */
  readonly signal: AbortSignal;
}

/** What a server gave. */
export interface RangeAnswer {
  readonly bytes: Uint8Array;
  /** Bytes of the whole file. */
  readonly size: number;
  /** What changes with the file: its ETag, else its time of change; empty if the server tells neither. */
  readonly version: string;
}

/**
 * Asks a server for bytes of a file, once.
 *
 * @param offset - first byte; 0, or below the size of the file
 * @param length - bytes, at least 1; all that is there if the file ends before
 * @returns exactly the bytes of the file in that range: fewer than `length` only at its end
 * @throws {@link PageTableError} `READ_FAILED` if the server does not give that, whatever it does instead
 * @see RFC 9110, sections 14.2 "Range", 14.4 "Content-Range", 15.3.7 "206 Partial Content"
 */
export async function requestRange(
  request: RangeRequest,
  offset: number,
  length: number,
): Promise<RangeAnswer> {
  const { url, timeoutMs, signal } = request;
  const controller = new AbortController();
  const stop = () => controller.abort(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop);
  const timer = setTimeout(
    () => controller.abort(new Error(`the answer was not complete after ${timeoutMs} ms`)),
    timeoutMs,
  );
  let status: number | undefined;
  try {
    const headers = new Headers(request.headers);
    headers.set('Range', `bytes=${offset}-${offset + length - 1}`);
    // Pieces in a browser's cache could be of the file as it was before. Node's types do not know this option.
    const init = { headers, cache: 'no-store', signal: controller.signal } as const;
    const response = await fetch(url, init);
    status = response.status;
    return await answerOf(response, offset, length);
  } catch (cause) {
    throw new PageTableError(
      'READ_FAILED',
      `read: ${length} bytes at offset ${hex(offset)} of ${url}: ${failureText(cause)}`,
      { url, offset, length, ...(status === undefined ? {} : { status }) },
      { cause },
    );
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    // What a refused answer would still bring is not downloaded.
    controller.abort();
  }
}

async function answerOf(response: Response, offset: number, length: number): Promise<RangeAnswer> {
  const { status, headers } = response;
  const version = headers.get('ETag') ?? headers.get('Last-Modified') ?? '';
  const contentRange = headers.get('Content-Range');
  // An empty file has no range, so that no answer to a request for one is as usual.
  const isEmpty =
    (status === 416 && contentRange === 'bytes */0') ||
    (status === 200 && headers.get('Content-Length') === '0');
  if (isEmpty && offset === 0) return { bytes: new Uint8Array(0), size: 0, version };
  if (status === 200) {
    throw new Error(
      'expected status 206 (Partial Content), found 200: the server sends whole files only (no Range requests); download the file and open the copy',
    );
  }
  if (status !== 206) {
    throw new Error(
      `expected status 206 (Partial Content), found ${`${status} ${response.statusText}`.trimEnd()}`,
    );
  }
  const encoding = headers.get('Content-Encoding') ?? 'identity';
  if (encoding !== 'identity') {
    throw new Error(`expected the bytes as they are, found Content-Encoding ${encoding}`);
  }
  const { end, size } = parseContentRange(contentRange, offset, length);
  return { bytes: await readExactly(response, end - offset), size, version };
}

/** The end of the range that a server gives, and the size of the file, if that is the range that was asked for. */
function parseContentRange(
  text: string | null,
  offset: number,
  length: number,
): { readonly end: number; readonly size: number } {
  if (text === null) {
    throw new Error(
      'expected a Content-Range header, found none (a server of another origin must list it in Access-Control-Expose-Headers)',
    );
  }
  const [, first, last, size] = (/^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16})$/i.exec(text) ?? []).map(Number);
  const end = Math.min(offset + length, size);
  if (Number.isSafeInteger(size) && first === offset && last === end - 1 && end > offset) {
    return { end, size };
  }
  throw new Error(
    `expected Content-Range bytes ${offset}-${offset + length - 1}/SIZE, or up to the end, found '${text}'`,
  );
}

/** The body of an answer, never more than is expected. */
async function readExactly(response: Response, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  const reader = response.body?.getReader();
  let done = 0;
  for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
    if (part.value.length > length - done) throw new Error(`expected ${length} bytes, found more`);
    bytes.set(part.value, done);
    done += part.value.length;
  }
  if (done < length) throw new Error(`expected ${length} bytes, found ${done}`);
  return bytes;
}

/** What a failed request says; `fetch` hides the reason in the cause. */
function failureText(thrown: unknown): string {
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  if (!(cause instanceof Error)) return messageOf(thrown);
  const code = 'code' in cause ? String(cause.code) : '';
  return `${messageOf(thrown)}: ${cause.message || code}`;
}
