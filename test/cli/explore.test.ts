import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { refusal } from '../../src/cli/explorer/requests.ts';
import { type ExplorerServer, startExplorer } from '../../src/cli/explorer/server.ts';
import { listWebFiles, type PageSource } from '../../src/cli/explorer/web-files.ts';
import { type ByteSource, httpBytes, memoryBytes } from '../../src/source/index.ts';
import { pattern } from '../source/build-elf.ts';
import { expectBytes, expectFailure } from '../source/expect.ts';
import { command } from '../support/command.ts';
import { samplePath } from '../support/sample.ts';

/** What stands before every path. */
const SECRET = '5ecre7';
const IMAGE = pattern(0, 1_000_000);
const PAGE = '<!doctype html><head><!--tablewalk-source--></head>';
const PAGE_SOURCE: PageSource = {
  name: `a"b'<c>&amp;$&.img`,
  sizeBytes: 1_000_000,
  options: { root: '1000', raw: true, page1gb: false },
  registers: 'CR0=80050033\n\u0000</script>',
};

let folder = '';
let web = '';
let explorer: ExplorerServer;
const running: ExplorerServer[] = [];
const children: ChildProcess[] = [];
const reports: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tablewalk-'));
  web = join(folder, 'dist/web');
  await mkdir(join(web, 'assets'), { recursive: true });
  await mkdir(join(web, 'samples'));
  await writeFile(join(folder, 'secret.txt'), 'secret');
  await writeFile(join(folder, 'image'), IMAGE);
  await writeFile(join(web, 'index.html'), PAGE);
  await writeFile(join(web, 'assets/main-1a.js'), 'export {};');
  await writeFile(join(web, 'assets/style.css'), '');
  await writeFile(join(web, 'samples/one two.gz'), Uint8Array.of(0x1f, 0x8b, 8));
  await symlink(join(folder, 'secret.txt'), join(web, 'link.txt'));
  explorer = await start(memoryBytes(IMAGE));
});
afterEach(() => Promise.all(running.splice(1).map((one) => one.close())));
afterAll(async () => {
  await Promise.all(running.map((one) => one.close()));
  for (const one of children) one.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

async function start(source: ByteSource, port = 0): Promise<ExplorerServer> {
  const files = await listWebFiles(web, PAGE_SOURCE);
  const started = await startExplorer({
    files,
    secret: SECRET,
    source,
    port,
    report: (text) => reports.push(text),
  });
  running.push(started);
  return started;
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Asks the server with any headers: `fetch` would refuse to send some of them. */
async function ask(
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
  url = explorer.url,
): Promise<Answer> {
  const { port, pathname } = new URL(url);
  const below = path.startsWith('/') ? pathname.slice(0, -1) + path : path;
  const sent = request({ host: '127.0.0.1', port, path: below, method, headers, agent: false }).end();
  const [response] = await once(sent, 'response');
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part);
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) };
}

/** What the page made up here is told of its source. */
function sourceIn(page: Buffer): unknown {
  const [, content] =
    /^<!doctype html><head><meta name="tablewalk-source" content="([^"<>']*)"><\/head>$/.exec(
      page.toString(),
    ) ?? [];
  const json = content.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code));
  // `&` stands in escapes alone.
  expect(content.replace(/&#\d+;/g, '')).not.toContain('&');
  return JSON.parse(json);
}

function portOf(one: ExplorerServer): string {
  return new URL(one.url).port;
}

describe('files of the page', () => {
  it.each([
    ['/assets/main-1a.js', 'text/javascript; charset=utf-8', 'export {};'],
    ['/assets/main-1a.js?v=1', 'text/javascript; charset=utf-8', 'export {};'],
    ['/assets/style.css', 'text/css; charset=utf-8', ''],
    ['/samples/one%20two.gz', 'application/gzip', '\x1f\x8b\b'],
  ])('%s is given with its type', async (path, type, body) => {
    const answer = await ask(path);
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({ 'content-type': type, 'content-length': String(body.length) });
    expect(answer.body.toString('latin1')).toBe(body);
  });

  it.each([
    '/nothing.js',
    '/link.txt',
    '/assets',
    '/assets/',
    '/../../secret.txt',
    '/assets/../../../secret.txt',
    '/%2e%2e/%2e%2e/secret.txt',
    '/..%2f..%2fsecret.txt',
    '/..%5c..%5csecret.txt',
    '//index.html',
    '/%00',
    '/%',
    '/index.html/',
    '/source/',
    '*',
    'http://127.0.0.1/',
  ])('%s does not exist', async (path) => {
    const { status, body } = await ask(path);
    expect(status).toBe(404);
    expect(body.toString()).toBe('there is no such file\n');
  });

  it('a file that is made after the start does not exist', async () => {
    await writeFile(join(web, 'late.js'), '');
    expect((await ask('/late.js')).status).toBe(404);
  });

  it('a file that is gone is an error, and the server goes on', async () => {
    await writeFile(join(web, 'gone.js'), '');
    const { url } = await start(memoryBytes(IMAGE));
    await rm(join(web, 'gone.js'));
    expect((await ask('/gone.js', {}, 'GET', url)).status).toBe(500);
    expect(reports.pop()).toMatch(/^\/gone\.js: open: .*ENOENT/);
    expect((await ask('/', {}, 'GET', url)).status).toBe(200);
  });

  it.each(['/', '/index.html', '/?va=1'])('%s tells the page its source, and nothing else', async (path) => {
    const { headers, body } = await ask(path);
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    const { name, options, registers } = PAGE_SOURCE;
    expect(sourceIn(body)).toEqual({ name, size: 1_000_000, options, registers });
  });

  it('a page that is not built says how to build it', async () => {
    const said = ['the page is not built', 'npm run build:web'];
    await expectFailure(listWebFiles(join(folder, 'nothing'), PAGE_SOURCE), 'READ_FAILED', ...said);
    const other = join(folder, 'other');
    await mkdir(other);
    await writeFile(join(other, 'index.html'), '<!doctype html>');
    await expectFailure(listWebFiles(other, PAGE_SOURCE), 'READ_FAILED', ...said, 'tablewalk-source');
  });
});

it.each(['/', '/source', '/index.html', '/5ecre/source', '/5ecre7x/source', '/5ecre7'])(
  'without the part that cannot be guessed, %s does not exist',
  async (path) => {
    const { status, body } = await ask(path, {}, 'GET', explorer.url.replace(`${SECRET}/`, ''));
    expect(status).toBe(404);
    expect(body.toString()).toBe('there is no such file\n');
  },
);

describe('/source', () => {
  it('is the whole file without Range', async () => {
    const { status, headers, body } = await ask('/source');
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'accept-ranges': 'bytes',
      'content-length': '1000000',
      'content-type': 'application/octet-stream',
    });
    expect(headers['content-range']).toBeUndefined();
    expectBytes(body, IMAGE);
  });

  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=10-19', 10, 20],
    ['bytes=100-600000', 100, 600_001],
    ['bytes=999990-', 999_990, 1_000_000],
    ['bytes=999990-5000000', 999_990, 1_000_000],
    ['bytes=5-99999999999999999999999999', 5, 1_000_000],
    ['bytes=-3', 999_997, 1_000_000],
    ['bytes=-3000000', 0, 1_000_000],
    ['Bytes = 1-2', 1, 3],
  ])('gives one range: %s', async (range, first, end) => {
    const { status, headers, body } = await ask('/source', { range });
    expect(status).toBe(206);
    expect(headers).toMatchObject({
      'content-range': `bytes ${first}-${end - 1}/1000000`,
      'content-length': String(end - first),
    });
    expectBytes(body, IMAGE.subarray(first, end));
  });

  it.each([
    'bytes=1000000-',
    'bytes=1000000-1000001',
    'bytes=99999999999999999999-',
    'bytes=20-10',
    'bytes=-0',
    'bytes=-',
    'bytes=',
    'bytes=a-b',
    'bytes=0x1-0x2',
    'bytes=0-1,5-6',
    'bytes=-1-2',
  ])('refuses %s', async (range) => {
    const { status, headers } = await ask('/source', { range });
    expect(status).toBe(416);
    expect(headers['content-range']).toBe('bytes */1000000');
  });

  it.each<[string, Record<string, string>]>([
    ['of another unit', { range: 'pages=0-1' }],
    ['with If-Range, since no answer has a mark', { range: 'bytes=0-1', 'if-range': '"x"' }],
  ])('passes over a range %s', async (_, headers) => {
    const { status, body } = await ask('/source', headers);
    expect(status).toBe(200);
    expect(body.length).toBe(1_000_000);
  });

  it('tells HEAD the size, without a range', async () => {
    const { status, headers, body } = await ask('/source', { range: 'bytes=0-1' }, 'HEAD');
    expect(status).toBe(200);
    expect(headers).toMatchObject({ 'accept-ranges': 'bytes', 'content-length': '1000000' });
    expect(body.length).toBe(0);
  });

  it('may be empty', async () => {
    const { url } = await start(memoryBytes(new Uint8Array(0)));
    expect((await ask('/source', {}, 'GET', url)).headers['content-length']).toBe('0');
    expect((await ask('/source', { range: 'bytes=0-' }, 'GET', url)).status).toBe(416);
    expect((await httpBytes(`${url}source`)).size).toBe(0);
  });

  it('is what httpBytes reads', async () => {
    const bytes = await httpBytes(`${explorer.url}source`);
    expect(bytes.size).toBe(1_000_000);
    expectBytes(await bytes.read(123_456, 700_000), IMAGE.subarray(123_456, 823_456));
    await bytes.close();
  });

  /** A source of 1 GiB, made up when it is read, that notes how far it was read; from `end` on it fails. */
  function large(end: number): ByteSource & { readAt: number } {
    return {
      size: 2 ** 30,
      readAt: 0,
      async read(offset, length) {
        if (offset + length > end) throw new Error('the disk failed');
        this.readAt = Math.max(this.readAt, offset + length);
        return new Uint8Array(length);
      },
      async close() {},
    };
  }

  it.each(['reader', 'server'])(
    'is read no faster than it is taken, and no further once the %s has gone',
    async (who) => {
      const source = large(2 ** 30);
      const one = await start(source);
      const socket = connect(Number(portOf(one)), '127.0.0.1');
      socket.on('error', () => {}).pause();
      socket.write(`GET /${SECRET}/source HTTP/1.1\r\nHost: 127.0.0.1:${portOf(one)}\r\n\r\n`);
      let before = -1;
      while (source.readAt === 0 || source.readAt !== before) {
        before = source.readAt;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      // Buffers of the two ends; 1 GiB would be read in the same time.
      expect(source.readAt).toBeLessThan(2 ** 26);
      if (who === 'reader') socket.destroy();
      await one.close();
      socket.destroy();
      expect(source.readAt).toBeLessThan(2 ** 26);
    },
  );

  it('is an error if nothing of it can be read; if that comes later, the connection is cut', async () => {
    const early = await start(large(0));
    expect((await ask('/source', {}, 'GET', early.url)).status).toBe(500);
    expect(reports.pop()).toBe('/source: the disk failed');
    const late = await start(large(2 ** 20));
    await expect(ask('/source', {}, 'GET', late.url)).rejects.toThrow(/aborted|hang up|ECONNRESET/);
    expect(reports.pop()).toBe('/source: the disk failed');
  });
});

const SAFE_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

describe('requests', () => {
  it.each<[string, string, Record<string, string>, string, number]>([
    ['the page', '/', {}, 'GET', 200],
    ['a range', '/source', { range: 'bytes=0-1' }, 'GET', 206],
    ['a range outside', '/source', { range: 'bytes=9999999-' }, 'GET', 416],
    ['no file', '/x', {}, 'GET', 404],
    ['another method', '/', {}, 'POST', 405],
    ['a refused request', '/', { host: 'example.org' }, 'GET', 403],
    ['HEAD', '/', {}, 'HEAD', 200],
  ])(
    'of other origins are shut out by headers, on every answer: %s',
    async (_, path, headers, method, expected) => {
      const answer = await ask(path, headers, method);
      expect(answer.status).toBe(expected);
      expect(answer.headers).toMatchObject(SAFE_HEADERS);
      expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    },
  );

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH'])(
    'are GET and HEAD alone: %s',
    async (method) => {
      const { status, headers } = await ask('/source', {}, method);
      expect(status).toBe(405);
      expect(headers).toMatchObject({ allow: 'GET, HEAD', connection: 'close' });
    },
  );

  /** Headers with `PORT` in place of the server's. */
  type Headers = Record<string, string>;
  const withPort = (headers: Headers): Headers =>
    Object.fromEntries(
      Object.entries(headers).map(([name, text]) => [name, text.replaceAll('PORT', portOf(explorer))]),
    );

  const fetched = (site: string): Headers => ({ 'sec-fetch-site': site, 'sec-fetch-mode': 'cors' });
  const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };

  it.each<[string, string, Headers]>([
    ['localhost', '/source', { host: 'localhost:PORT' }],
    ['another case', '/source', { host: 'LocalHost:PORT' }],
    ['its own origin', '/source', { origin: 'http://127.0.0.1:PORT' }],
    ['its own origin, as localhost', '/source', { host: 'localhost:PORT', origin: 'http://localhost:PORT' }],
    ['a fetch of the page', '/source', fetched('same-origin')],
    ['an address typed in', '/', { ...link, 'sec-fetch-site': 'none' }],
    ['a link elsewhere', '/', link],
    ['a link on another port', '/?va=1', { ...link, 'sec-fetch-site': 'same-site' }],
  ])('are answered: %s', async (_, path, headers) => {
    expect((await ask(path, withPort(headers))).status).toBe(200);
  });

  it.each<[string, string, Headers]>([
    ['a name that leads here', '/', { host: 'evil.example:PORT' }],
    ['a name with the port of HTTP', '/', { host: 'evil.example' }],
    ['a host without the port', '/', { host: '127.0.0.1' }],
    ['another port', '/', { host: '127.0.0.1:1' }],
    ['a host that begins like ours', '/', { host: '127.0.0.1:PORT.evil.example' }],
    ['a host with a user', '/', { host: 'x@127.0.0.1:PORT' }],
    ['IPv6', '/', { host: '[::1]:PORT' }],
    ['another origin', '/source', { origin: 'https://evil.example' }],
    ['another port', '/source', { origin: 'http://127.0.0.1:1' }],
    ['another scheme', '/source', { origin: 'https://127.0.0.1:PORT' }],
    ['no origin in particular', '/source', { origin: 'null' }],
    ['our other name', '/source', { origin: 'http://localhost:PORT' }],
    ['a link with another origin', '/', { ...link, origin: 'https://evil.example' }],
    ['a fetch of another site', '/source', fetched('cross-site')],
    ['a fetch of another port', '/source', fetched('same-site')],
    ['a fetch of who knows whom', '/source', fetched('new-site')],
    ['a fetch of the page by another site', '/', fetched('cross-site')],
    ['a link to the image', '/source', link],
    ['a link to a file', '/assets/main-1a.js', link],
    ['a frame', '/', { ...link, 'sec-fetch-dest': 'iframe' }],
    ['a script', '/', { ...link, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' }],
    ['half of a link', '/', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }],
  ])('are refused: %s', async (_, path, headers) => {
    for (const method of ['GET', 'HEAD', 'POST']) {
      const answer = await ask(path, withPort(headers), method);
      expect(answer.status).toBe(403);
      expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
      if (method === 'GET') expect(answer.body.toString()).toMatch(/^expected [^\n]*\n$/);
    }
  });

  /** What a server answers to these bytes until it ends the connection. */
  async function talk(text: string): Promise<string> {
    const socket = connect(Number(portOf(explorer)), '127.0.0.1');
    socket.end(text);
    let answer = '';
    for await (const part of socket) answer += part;
    return answer;
  }

  it('are refused with two hosts, none, and headers without an end', async () => {
    const host = `Host: 127.0.0.1:${portOf(explorer)}\r\n`;
    expect(await talk(`GET / HTTP/1.1\r\n${host}${host}\r\n`)).toMatch(/^HTTP\/1\.1 40[03] /);
    expect(await talk('GET / HTTP/1.1\r\nHost:\r\n\r\n')).toMatch(/^HTTP\/1\.1 403 /);
    expect(await talk('GET / HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect(await talk('GET / HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 403 /);
    expect(await talk(`GET / HTTP/1.1\r\n${host}x: ${'x'.repeat(2 ** 20)}`)).toMatch(/^HTTP\/1\.1 431 /);
  });

  it('are turned away on more connections than 64, and answered again when some have gone', async () => {
    const one = await start(memoryBytes(IMAGE));
    const sockets = Array.from({ length: 64 }, () => connect(Number(portOf(one)), '127.0.0.1'));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    await expect(ask('/', {}, 'GET', one.url)).rejects.toThrow(/hang up|ECONNRESET/);
    for (const socket of sockets.splice(0)) socket.destroy();
    let answer: Answer | undefined;
    while (answer === undefined) answer = await ask('/', {}, 'GET', one.url).catch(() => undefined);
    expect(answer.status).toBe(200);
  });

  it('may leave the port out, at port 80 alone', () => {
    const to = (host: string) => ({ headersDistinct: { host: [host] } }) as unknown as IncomingMessage;
    expect(refusal(to('localhost'), 80, '/')).toBeUndefined();
    expect(refusal(to('127.0.0.1:80'), 80, '/')).toBeUndefined();
    expect(refusal(to('localhost'), 8080, '/')).toMatch(/^expected Host/);
    expect(refusal(to('evil.example'), 80, '/')).toMatch(/^expected Host/);
  });

  it('reach it at no address but 127.0.0.1', async () => {
    // All of 127.0.0.0/8 is this machine: a server at every address would answer.
    const socket = connect(Number(portOf(explorer)), '127.0.0.2');
    const [error] = await once(socket, 'error');
    expect(error.code).toBe('ECONNREFUSED');
  });
});

it('a port that is in use is an error that names it', async () => {
  const port = Number(portOf(explorer));
  await expectFailure(start(memoryBytes(IMAGE), port), 'BAD_ARGUMENT', `port ${port} of 127.0.0.1 is in use`);
});

describe('the verb', () => {
  it.each<[string, string[], number, RegExp]>([
    ['no file', ['no-such-file'], 3, /no-such-file: ENOENT/],
    ['a folder', ['.'], 3, /expected a regular file, found a directory/],
    ['a device', ['/dev/null'], 3, /expected a regular file, found a device/],
    ['a port that is none', [samplePath('core.elf.gz'), '--port', '65536'], 2, /--port is '65536'/],
    ['a port of text', [samplePath('core.elf.gz'), '--port', 'http'], 2, /--port is 'http'; expected/],
    ['an unknown option', [samplePath('core.elf.gz'), '--host', '::'], 2, /unknown option '--host'/],
    ['a base that is none', [samplePath('core.elf.gz'), '--base', 'x'], 2, /--base is 'x'/],
    ['no source', [], 2, /missing required argument 'source'/],
    [
      'no registers',
      [samplePath('core.elf.gz'), '--registers', 'none'],
      3,
      /--registers none: cannot be read/,
    ],
    ['both kinds of JSON', [samplePath('core.elf.gz'), '--json', '--ndjson'], 2, /both --json and --ndjson/],
  ])('refuses %s at once', async (_, args, exit, message) => {
    const result = await command('explore', ...args);
    expect(result.err).toMatch(message);
    expect(result).toMatchObject({ exit, out: '' });
  });

  /** The built command in a folder of its own, with the page made up here beside it. */
  function child(main: string, ...args: string[]): ChildProcess {
    const flags = ['--preserve-symlinks', '--preserve-symlinks-main'];
    const started = spawn(process.execPath, [...flags, main, 'explore', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(started);
    return started;
  }

  /** Puts links to all that is built but the page into a folder, and gives the path of the command there. */
  async function linkBuilt(to: string): Promise<string> {
    const root = fileURLToPath(new URL('../..', import.meta.url));
    await mkdir(join(to, 'dist'), { recursive: true });
    for (const name of ['package.json', 'node_modules']) await symlink(join(root, name), join(to, name));
    for (const name of await readdir(join(root, 'dist'))) {
      if (name !== 'web') await symlink(join(root, 'dist', name), join(to, 'dist', name));
    }
    return join(to, 'dist/cli/main.js');
  }

  it('prints one line, serves, and ends with exit 0 when it is told to', async () => {
    const main = await linkBuilt(folder);
    const registers = samplePath('registers.json');
    const given = ['--root', '1000', '--no-page1gb', '--registers', registers];
    const runs = (['SIGINT', 'SIGTERM'] as const).map(async (signal, i) => {
      const process = child(main, join(folder, 'image'), ...given, ...(i === 0 ? [] : ['--json']));
      let out = '';
      let err = '';
      process.stderr?.on('data', (text) => {
        err += text;
      });
      process.stdout?.on('data', (text) => {
        out += text;
      });
      while (!out.endsWith('\n')) await once(process.stdout as NodeJS.EventEmitter, 'data');
      const url = i === 0 ? out.trimEnd() : JSON.parse(out).url;
      expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f-]{36}\/$/);
      expect(sourceIn((await ask('/', {}, 'GET', url)).body)).toEqual({
        name: 'image',
        size: 1_000_000,
        options: { root: '1000', page1gb: false },
        registers: readFileSync(registers, 'utf8'),
      });
      expectBytes((await ask('/source', { range: 'bytes=5-9' }, 'GET', url)).body, IMAGE.subarray(5, 10));
      // A connection that stays open does not keep it.
      const idle = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {});
      await once(idle, 'connect');
      process.kill(signal);
      const [code] = await once(process, 'exit');
      expect({ code, out, err }).toEqual({ code: 0, out, err: expect.stringMatching(/^serving .*\n$/) });
      idle.destroy();
    });
    await Promise.all(runs);
  });

  it('exits 3 where the page is not built', async () => {
    const process = child(await linkBuilt(join(folder, 'bare')), join(folder, 'image'));
    let err = '';
    process.stderr?.on('data', (text) => {
      err += text;
    });
    const [code] = await once(process, 'close');
    expect(code).toBe(3);
    expect(err).toMatch(/^tablewalk: explore: the page is not built: .*npm run build:web\n$/);
  });
});
