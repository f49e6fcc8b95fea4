import { spawn } from 'node:child_process';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../checks.mjs';

/** The built page. */
export const WEB = join(ROOT, 'dist/web');

/** The page as a file. */
export const FILE_URL = String(pathToFileURL(join(WEB, 'index.html')));

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
};

/** Milliseconds that the command may take to say where it listens. */
const PATIENCE = 15_000;

/**
 * Serves files as any plain server of files does.
 *
 * @param find - path of a URL → the file, or `undefined`
 * @returns where, and how to end it
 */
export async function serveFiles(find) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const file = find(pathname);
    if (file === undefined || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' });
    createReadStream(file).pipe(response);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Serves the built page below `/explorer/`: it must not matter where it lies. */
export function serveWeb() {
  return serveFiles((path) => {
    const file = join(WEB, path.replace(/^\/explorer\/$/, '/explorer/index.html').slice('/explorer'.length));
    return path.startsWith('/explorer/') && file.startsWith(WEB + sep) ? file : undefined;
  });
}

/** Starts `tablewalk explore`, and waits for the address that it prints. */
export async function explore(...args) {
  const child = spawn(process.execPath, [join(ROOT, 'dist/cli/main.js'), 'explore', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  const url = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`explore printed no address: ${printed}`)), PATIENCE);
    const read = (text) => {
      printed += text;
      const [found] = /http:\/\/127\.0\.0\.1:\d+\/\S*/.exec(printed) ?? [];
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(found);
    };
    child.stdout.setEncoding('utf8').on('data', read);
    child.stderr.setEncoding('utf8').on('data', read);
    child.on('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`explore ended with ${code}: ${printed}`));
    });
  });
  return { url, close: () => child.kill() };
}
