import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type HttpOptions, httpBytes, openImage } from '../../src/source/index.ts';
import { pattern } from './build-elf.ts';
import { expectBytes, expectFailure, failure } from './expect.ts';

type Answer = (response: ServerResponse, first: number, last: number, request: IncomingMessage) => void;

const DATA = pattern(7, 1000);
const OPTIONS: HttpOptions = { chunkBytes: 100, cacheBytes: 300, requestsAtOnce: 2, timeoutMs: 5000 };

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

/** A server that gives {@link DATA} in ranges, or answers as `answer` says; and the first bytes of the ranges asked for. */
async function serve(answer: Answer = giveRange): Promise<{ url: string; asked: number[] }> {
  const asked: number[] = [];
  const server = createServer((request, response) => {
    const [, first, last] = (/^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []).map(Number);
    asked.push(first);
    answer(response, first, last, request);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/image`, asked };
}

const giveRange: Answer = (response, first, last) => {
  const end = Math.min(last + 1, DATA.length);
  response.writeHead(206, { 'Content-Range': `bytes ${first}-${end - 1}/${DATA.length}` });
  response.end(DATA.subarray(first, end));
};

/** Answers the first request as it should be, and those after it otherwise. */
function laterOn(answer: Answer): Answer {
  let count = 0;
  return (...request) => {
    count += 1;
    (count === 1 ? giveRange : answer)(...request);
  };
}

test('reads give exactly the bytes asked for, within a chunk and over several', async () => {
  const { url } = await serve();
  const bytes = await httpBytes(new URL(url), OPTIONS);
  expect(bytes.size).toBe(1000);
  for (const [offset, length] of [
    [0, 1],
    [99, 2],
    [150, 50],
    [0, 1000],
    [333, 555],
    [999, 1],
    [1000, 0],
    [250, 0],
  ] as const) {
    expectBytes(await bytes.read(offset, length), DATA.subarray(offset, offset + length));
  }
  await expectFailure(bytes.read(999, 2), 'OUT_OF_RANGE', '[0, 0x3e8)');
  await bytes.close();
});

test('neighbours come with one request, and a chunk is asked for once by reads at the same time', async () => {
  const { url, asked } = await serve();
  const bytes = await httpBytes(url, OPTIONS);
  const reads = [510, 520, 590, 505].map((offset) => bytes.read(offset, 8));
  expectBytes(Buffer.concat(await Promise.all(reads)).subarray(0, 8), DATA.subarray(510, 518));
  await bytes.read(550, 20);
  // The first is the one that told the size.
  expect(asked).toEqual([0, 500]);
});

test('what was read last is kept, up to the limit', async () => {
  const { url, asked } = await serve();
  const bytes = await httpBytes(url, OPTIONS);
  // Room for three: 0 is used again before 100, 200 and 300 come, so that 100 is dropped first.
  for (const offset of [100, 200, 0, 300, 0, 100]) await bytes.read(offset, 10);
  expect(asked).toEqual([0, 100, 200, 300, 100]);
  const without = await serve();
  const kept = await httpBytes(without.url, { ...OPTIONS, cacheBytes: 0 });
  await kept.read(0, 10);
  await kept.read(0, 10);
  expect(without.asked).toEqual([0, 0, 0]);
});

test('a view of the cache is not given: what a reader writes is his own', async () => {
  const { url } = await serve();
  const bytes = await httpBytes(url, OPTIONS);
  (await bytes.read(0, 10)).fill(0xff);
  expectBytes(await bytes.read(0, 10), DATA.subarray(0, 10));
});

test('at most the given number of requests is under way at once', async () => {
  let now = 0;
  let most = 0;
  const { url, asked } = await serve((response, first, last, request) => {
    now += 1;
    most = Math.max(most, now);
    setTimeout(() => {
      now -= 1;
      giveRange(response, first, last, request);
    }, 5);
  });
  const bytes = await httpBytes(url, OPTIONS);
  await Promise.all([bytes.read(0, 1000), bytes.read(500, 500), bytes.read(900, 100)]);
  expect(most).toBe(2);
  expect(asked.length).toBeGreaterThanOrEqual(10);
});

test('an image is opened through it', async () => {
  const { url } = await serve();
  const machine = await openImage(await httpBytes(url, OPTIONS), { base: 0n });
  expect(machine.kind).toContain('raw');
  await machine.close();
});

test.each<[string, Answer]>([
  ['416', (response) => response.writeHead(416, { 'Content-Range': 'bytes */0' }).end()],
  ['200', (response) => response.writeHead(200, { 'Content-Length': 0 }).end()],
])('a file without bytes has none: status %s', async (_, answer) => {
  const { url } = await serve(answer);
  const bytes = await httpBytes(url, OPTIONS);
  expect(bytes.size).toBe(0);
  expect((await bytes.read(0, 0)).length).toBe(0);
});

test('headers of the caller are sent with each request', async () => {
  const seen: unknown[] = [];
  const { url } = await serve((response, first, last, request) => {
    seen.push(request.headers.authorization);
    giveRange(response, first, last, request);
  });
  const bytes = await httpBytes(url, {
    ...OPTIONS,
    headers: { Authorization: 'Bearer x', range: 'bytes=0-' },
  });
  await bytes.read(500, 1);
  expect(seen).toEqual(['Bearer x', 'Bearer x']);
});

/** Answers 206 with these headers, and this many bytes. */
const partial =
  (contentRange: string, length: number, headers: Record<string, string> = {}): Answer =>
  (response) => {
    response.writeHead(206, { 'Content-Range': contentRange, ...headers }).end(DATA.subarray(0, length));
  };

const MISBEHAVIOUR: readonly [string, Answer, string][] = [
  ['gives no ranges', (response) => response.end(DATA), 'found 200: the server sends whole files only'],
  ['fails', (response) => response.writeHead(500).end('oh'), 'found 500 Internal Server Error'],
  ['does not know the file', (response) => response.writeHead(404).end(), 'found 404 Not Found'],
  ['refuses a range', (response) => response.writeHead(416).end(), 'found 416 Range Not Satisfiable'],
  [
    'names no range',
    (response) => response.writeHead(206).end('x'),
    'expected a Content-Range header, found none',
  ],
  ['gives another range', partial('bytes 1-100/1000', 100), "found 'bytes 1-100/1000'"],
  ['gives less than asked for', partial('bytes 0-49/1000', 50), "found 'bytes 0-49/1000'"],
  ['gives more than asked for', partial('bytes 0-199/1000', 200), "found 'bytes 0-199/1000'"],
  ['gives a range beyond the end', partial('bytes 0-99/50', 100), "found 'bytes 0-99/50'"],
  ['does not tell the size', partial('bytes 0-99/*', 100), "found 'bytes 0-99/*'"],
  ['tells a size that no number holds', partial('bytes 0-99/9007199254740993', 100), 'found'],
  ['tells nonsense', partial('bytes zero-99/1000', 100), "found 'bytes zero-99/1000'"],
  ['packs the bytes', partial('bytes 0-99/1000', 100, { 'Content-Encoding': 'br' }), 'Content-Encoding br'],
  ['sends a shorter body', partial('bytes 0-99/1000', 60), 'expected 100 bytes, found 60'],
  ['sends a longer body', partial('bytes 0-99/1000', 140), 'expected 100 bytes, found more'],
  [
    'cuts the body',
    (response) => {
      response.writeHead(206, { 'Content-Range': 'bytes 0-99/1000', 'Content-Length': 100 });
      response.write(DATA.subarray(0, 50), () => response.destroy());
    },
    'of http://127.0.0.1:',
  ],
  ['cuts the connection', (response) => response.destroy(), 'fetch failed: '],
];

test.each(MISBEHAVIOUR)('a server that %s is refused', async (_, answer, said) => {
  const { url } = await serve(answer);
  await expectFailure(
    httpBytes(url, OPTIONS),
    'READ_FAILED',
    `read: 100 bytes at offset 0x0 of ${url}: `,
    said,
  );
});

test('a server that begins well and fails later fails at the read, and is asked anew by the next one', async () => {
  let broken = true;
  const { url } = await serve(
    laterOn((response, first, last, request) => {
      if (broken) response.writeHead(503).end();
      else giveRange(response, first, last, request);
    }),
  );
  const bytes = await httpBytes(url, OPTIONS);
  const error = await failure(bytes.read(0, 1000));
  expect(error.code).toBe('READ_FAILED');
  expect(error.message).toContain('found 503 Service Unavailable');
  expect(error.detail).toMatchObject({ url, length: 100, status: 503 });
  broken = false;
  expectBytes(await bytes.read(0, 1000), DATA);
});

test('a file that changes on the server is not mixed with what it was', async () => {
  const grown = await serve(
    laterOn((response, first, last) =>
      response
        .writeHead(206, { 'Content-Range': `bytes ${first}-${last}/1001` })
        .end(DATA.subarray(first, last + 1)),
    ),
  );
  const bytes = await httpBytes(grown.url, OPTIONS);
  await expectFailure(
    bytes.read(500, 1),
    'READ_FAILED',
    'the file changed',
    'expected 1000 bytes, found 1001',
  );
  let tag = '"a"';
  const tagged = await serve((response, ...request) => {
    response.setHeader('ETag', tag);
    giveRange(response, ...request);
  });
  const other = await httpBytes(tagged.url, OPTIONS);
  await other.read(500, 1);
  tag = '"b"';
  await expectFailure(other.read(600, 1), 'READ_FAILED', 'the file changed', 'version "a", found "b"');
});

test('a server that does not answer, or never ends, is given up', async () => {
  const silent = await serve(() => {});
  await expectFailure(httpBytes(silent.url, { ...OPTIONS, timeoutMs: 50 }), 'READ_FAILED', 'after 50 ms');
  const endless = await serve((response) => {
    response.writeHead(206, { 'Content-Range': 'bytes 0-99/1000' }).write('x');
  });
  await expectFailure(httpBytes(endless.url, { ...OPTIONS, timeoutMs: 50 }), 'READ_FAILED', 'after 50 ms');
});

test('nobody listens, or the address is none', async () => {
  const { url } = await serve();
  servers.pop()?.close();
  await expectFailure(httpBytes(url, OPTIONS), 'READ_FAILED', 'ECONNREFUSED');
  await expectFailure(httpBytes('no address', OPTIONS), 'READ_FAILED', 'no address');
});

test('closing ends reads under way, and those that wait; a closed source is not read again', async () => {
  const { url, asked } = await serve(laterOn(() => {}));
  const bytes = await httpBytes(url, OPTIONS);
  const reads = [bytes.read(100, 900), bytes.read(500, 10)].map(failure);
  while (asked.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  await bytes.close();
  await bytes.close();
  for (const { code, message } of await Promise.all(reads)) {
    expect(`${code} ${message}`).toMatch(/^READ_FAILED .*the source was closed/);
  }
  await expectFailure(bytes.read(0, 1), 'READ_FAILED', 'the source was closed before');
  expect(asked.length).toBe(3);
});

test.each<HttpOptions>([
  { chunkBytes: 0 },
  { chunkBytes: 0.5 },
  { cacheBytes: -1 },
  { requestsAtOnce: Number.POSITIVE_INFINITY },
  { timeoutMs: 2 ** 31 },
])('an option that is no such number is refused: %o', async (options) => {
  await expectFailure(httpBytes('http://127.0.0.1:1/', options), 'BAD_ARGUMENT', 'expected an integer in [');
});
