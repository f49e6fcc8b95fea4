import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PageTableError } from '../../bits/index.ts';
import type { ByteSource } from '../../source/index.ts';
import { parseRange, refusal } from './requests.ts';
import type { WebFile } from './web-files.ts';

/** What a server of the explorer needs. */
export interface ExplorerOptions {
  /** Files of the page, by path. */
  readonly files: ReadonlyMap<string, WebFile>;
  /** First part of every path: who does not know it is given nothing, also on this machine. Letters and digits. */
  readonly secret: string;
  /** The image, given as `/source`; not closed. */
  readonly source: ByteSource;
  /** In `[0, 65535]`; 0 takes any that is free. */
  readonly port: number;
  /** Told what went wrong while it ran. */
  report(message: string): void;
}

/** A server that runs. */
export interface ExplorerServer {
  /** Address of the page. */
  readonly url: string;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** Headers of every answer: the page may load what this server has, and nothing else; no other page may embed or read it. */
const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
    "worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
};

/** More are turned away: a browser opens six. */
const MAX_CONNECTIONS = 64;
/** Milliseconds for a request to arrive, and for a reader to take something of an answer. */
const REQUEST_MS = 30_000;
const IDLE_MS = 120_000;
/** Bytes read from a file at once. */
const PIECE = 2 ** 18;

/**
 * Serves the explorer's page and one image to this machine. It keeps nothing between requests and does not look into the
 * image.
 *
 * @throws {@link PageTableError} `BAD_ARGUMENT` if the port cannot be had
 */
export async function startExplorer(options: ExplorerOptions): Promise<ExplorerServer> {
  const server = createServer({ headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS });
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = IDLE_MS;
  const port = await listen(server, options.port);
  server.on('error', (error) => options.report(error.message));
  server.on('request', (request, response) => {
    answer(request, response, port, options).catch((error: unknown) => {
      // A reader that went away has no need of an answer.
      if (request.socket.destroyed) return;
      options.report(
        `${pathOf(request.url ?? '', options.secret)}: ${error instanceof Error ? error.message : error}`,
      );
      if (response.headersSent) request.socket.destroy();
      else answerText(response, 500, 'cannot be read');
    });
  });
  return {
    url: `http://127.0.0.1:${port}/${options.secret}/`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The port at which a server listens now, for this machine alone. */
async function listen(server: Server, port: number): Promise<number> {
  try {
    server.listen({ port, host: '127.0.0.1', exclusive: true });
    await once(server, 'listening');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    const found = code === 'EADDRINUSE' ? 'is in use' : 'cannot be had';
    throw new PageTableError(
      'BAD_ARGUMENT',
      `explore: port ${port} of 127.0.0.1 ${found} (${code}); expected a free one, or 0 for any`,
      { port },
      { cause },
    );
  }
  // Of a server that listens at a port, and not at a pipe.
  return (server.address() as AddressInfo).port;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  port: number,
  { files, secret, source }: ExplorerOptions,
): Promise<void> {
  const path = pathOf(request.url ?? '', secret);
  const refused = refusal(request, port, path);
  if (refused !== undefined) return answerText(response, 403, refused);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return answerText(response, 405, 'expected GET or HEAD', { Allow: 'GET, HEAD' });
  }
  if (path === '/source') return answerBytes(request, response, source, 'application/octet-stream');
  const file = files.get(path);
  if (file === undefined) return answerText(response, 404, 'there is no such file');
  const bytes = await file.open();
  try {
    await answerBytes(request, response, bytes, file.type);
  } finally {
    await bytes.close();
  }
}

/** The path that is asked for, without the secret before it and its query, as text; empty if it is none. */
function pathOf(url: string, secret: string): string {
  try {
    const path = decodeURIComponent(url.split('?', 1)[0]);
    return path.startsWith(`/${secret}/`) ? path.slice(secret.length + 1) : '';
  } catch {
    return '';
  }
}

function answerText(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  // Whatever else comes on this connection is not read.
  const all = { ...HEADERS, ...headers, 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' };
  response.writeHead(status, all).end(`${text}\n`);
}

/** Sends a file, or the range of it that is asked for, no faster than the reader takes it. */
async function answerBytes(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: ByteSource,
  type: string,
): Promise<void> {
  const { size } = bytes;
  const range = rangeOf(request, size);
  if (range === 'refused') {
    return answerText(response, 416, `expected one range in ${size} bytes`, {
      'Content-Range': `bytes */${size}`,
    });
  }
  const { first, end } = range ?? { first: 0, end: size };
  const headers = {
    ...HEADERS,
    ...(range === undefined ? {} : { 'Content-Range': `bytes ${first}-${end - 1}/${size}` }),
    'Content-Type': type,
    'Content-Length': end - first,
    'Accept-Ranges': 'bytes',
  };
  const status = range === undefined ? 200 : 206;
  if (request.method === 'HEAD') {
    response.writeHead(status, headers).end();
    return;
  }
  for (let at = first; at < end && !request.socket.destroyed; ) {
    const piece = await bytes.read(at, Math.min(PIECE, end - at));
    // Not before something could be read: until then an error can be said.
    if (at === first) response.writeHead(status, headers);
    at += piece.length;
    if (!response.write(piece) && at < end) await drained(request, response);
  }
  if (first === end) response.writeHead(status, headers);
  response.end();
}

function rangeOf(request: IncomingMessage, size: number): ReturnType<typeof parseRange> {
  const text = request.headers.range;
  // HEAD has no ranges, and no answer has the mark that If-Range would have to name.
  if (text === undefined || request.method !== 'GET' || 'if-range' in request.headers) return undefined;
  return parseRange(text, size);
}

/** Waits until the reader has taken what was written, or has gone. */
async function drained(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.socket.destroyed) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      response.off('drain', done);
      request.socket.off('close', done);
      resolve();
    };
    response.on('drain', done);
    request.socket.on('close', done);
  });
}
