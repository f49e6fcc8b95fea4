// Loads the built library in headless Chromium, straight from dist/ with no bundler, then uses the built explorer.
// Usage: node scripts/check-browser.mjs [SAMPLE]; CHROMIUM names the browser if it is not on PATH.

import { existsSync, readFileSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { Checks, ROOT, SAMPLE } from './checks.mjs';
import { findChromium, launchChromium } from './chromium.mjs';
import { checkExplorer } from './explorer/check.mjs';
import { serveFiles } from './explorer/serve.mjs';

const sample = resolve(ROOT, process.argv[2] ?? SAMPLE);
const checks = new Checks();
const executablePath = findChromium();
if (executablePath === undefined) {
  checks.skip('browser', 'Chromium is not installed (looked on PATH and at CHROMIUM)');
} else if (!existsSync(join(ROOT, 'dist/index.js'))) {
  await checks.check('dist/ is built', () => Promise.reject(new Error('run `npm run build` first')));
} else {
  const server = await serveFiles(fileOf);
  const browser = await launchChromium(executablePath);
  try {
    await checkLibrary(browser, server.origin);
    await checkExplorer(browser, checks);
  } finally {
    await browser.close();
    server.close();
  }
}
checks.finish();

/** An empty page, the sample, and files under `dist/` and `test/package/`; nothing else. */
function fileOf(path) {
  if (path === '/') return join(ROOT, 'test/package/empty.html');
  if (path === '/sample') return sample;
  const file = join(ROOT, path);
  return ['dist', 'test/package'].some((folder) => file.startsWith(join(ROOT, folder) + sep))
    ? file
    : undefined;
}

async function checkLibrary(browser, origin) {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const modules = Object.entries(exports)
    .filter(([subPath, path]) => path.endsWith('.js') && subPath !== './source/node')
    .map(([, path]) => path.slice(1));
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
  await page.close();
}
