// Makes the pictures of docs/pictures/ with Chromium, from the samples that ship: npm run pictures

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './checks.mjs';
import { findChromium, launchChromium } from './chromium.mjs';

const PAGE = pathToFileURL(join(ROOT, 'dist/web/index.html')).href;
const FOLDER = join(ROOT, 'docs/pictures');

/** Name, size, theme, place, and how much of the page is seen (all of it, if not given). */
const PICTURES = [
  ['map', 1280, 'light', 'sample=linux-amd64-la48&va=7f75ed6ec000&zoom=7f0000000-7f7ffffff&panel=walk', 720],
  ['walk', 1280, 'dark', 'sample=linux-amd64-la48&va=ffffffffb6000123&panel=walk', 1130],
  ['table', 1280, 'light', 'sample=linux-arm64-4k-nokaslr&panel=table&table=1.2.4fffe&entry=66', undefined],
  ['try', 1280, 'dark', 'sample=linux-amd64-la48&panel=try&try=CR4.SMEP*EFER.NXE', 1130],
  ['narrow', 390, 'light', 'sample=linux-riscv64-sv39&panel=walk&va=ffffffff80001000', 844],
];

const executablePath = findChromium();
if (executablePath === undefined) {
  console.error('Chromium is not installed (looked on PATH and at CHROMIUM)');
  process.exit(1);
}
mkdirSync(FOLDER, { recursive: true });
const browser = await launchChromium(executablePath);
try {
  for (const [name, width, theme, place, height] of PICTURES) {
    const context = await browser.newContext({
      viewport: { width, height: height ?? 900 },
      colorScheme: theme,
      reducedMotion: 'reduce',
    });
    const page = await context.newPage();
    await page.goto(`${PAGE}#${place}`);
    await page.getByRole('application', { name: /^Map of/ }).waitFor();
    await page.getByRole('tabpanel').getByRole('heading').first().waitFor();
    // Until changes are made, they are told with dots.
    await page.waitForFunction(
      () => document.querySelector('.progress') === null && !/changes? …/.test(document.body.innerText),
    );
    await page.evaluate(() => document.fonts.ready);
    const path = join(FOLDER, `explorer-${name}.png`);
    await page.screenshot({ path, fullPage: height === undefined });
    console.log(path);
    await context.close();
  }
} finally {
  await browser.close();
}
