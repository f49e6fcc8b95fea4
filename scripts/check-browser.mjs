// Loads the built library in headless Chromium, straight from dist/ with no bundler.
// Usage: node scripts/check-browser.mjs [SAMPLE]; CHROMIUM names the browser if it is not on PATH.

import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { delimiter, extname, join, resolve, sep } from 'node:path';
import { chromium } from 'playwright-core';
import { Checks, ROOT, SAMPLE } from './checks.mjs';

const FLAGS = [
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const TYPES = { '.js': 'text/javascript', '.json': 'application/json' };

const sample = resolve(ROOT, process.argv[2] ?? SAMPLE);
const checks = new Checks();
const executablePath = findChromium();
if (executablePath === undefined) {
  checks.skip('browser', 'Chromium is not installed (looked on PATH and at CHROMIUM)');
} else if (!existsSync(join(ROOT, 'dist/index.js'))) {
  await checks.check('dist/ is built', () => Promise.reject(new Error('run `npm run build` first')));
} else {
  const server = createServer(serve);
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  try {
    await checkInBrowser(`http://127.0.0.1:${server.address().port}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}
checks.finish();

function findChromium() {
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const folders = (process.env.PATH ?? '').split(delimiter);
  const candidates = [
    process.env.CHROMIUM,
    ...names.flatMap((name) => folders.map((folder) => join(folder, name))),
  ];
  return candidates.find((path) => path !== undefined && path !== '' && existsSync(path));
}

/** Serves an empty page, the sample, and files under `dist/` and `test/package/`; nothing else. */
function serve(request, response) {
  const { pathname } = new URL(request.url, 'http://localhost');
  if (pathname === '/') {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>tablewalk</title>');
    return;
  }
  const file = pathname === '/sample' ? sample : join(ROOT, pathname);
  const shared = ['dist', 'test/package'].some((folder) => file.startsWith(join(ROOT, folder) + sep));
  if (!(file === sample || shared) || !existsSync(file)) {
    response.writeHead(404).end();
    return;
  }
  const type = TYPES[extname(file)] ?? 'application/octet-stream';
  response.writeHead(200, { 'content-type': type }).end(readFileSync(file));
}

async function checkInBrowser(origin) {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const modules = Object.entries(exports)
    .filter(([subPath, path]) => path.endsWith('.js') && subPath !== './source/node')
    .map(([, path]) => path.slice(1));
  const browser = await chromium.launch({ executablePath, args: FLAGS, chromiumSandbox: false });
  try {
    const page = await browser.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(origin);
    for (const path of modules) {
      await checks.check(`browser imports ${path}`, async () => {
        const count = await page.evaluate(async (url) => Object.keys(await import(url)).length, path);
        return `${count} values`;
      });
    }
    // What the page does with the library is in a file of its own.
    const names = await page.evaluate(async () => {
      globalThis.steps = (await import('/test/package/browser-page.js')).steps;
      return Object.keys(globalThis.steps);
    });
    for (const name of names) {
      await checks.check(`browser: ${name}`, () =>
        page.evaluate((step) => globalThis.steps[step]('/sample'), name),
      );
    }
    await checks.check('the page has no uncaught error', () => {
      if (errors.length > 0) {
        throw new Error(errors.join('; '));
      }
    });
  } finally {
    await browser.close();
  }
}
