// Speed, memory and size of the explorer in headless Chromium: npm run bench:explorer
// Chromium draws without a graphics processor here: a desktop's frames are shorter, never longer.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findChromium, launchChromium } from '../scripts/chromium.mjs';
import { SAMPLES } from '../scripts/explorer/command.mjs';
import { mapPages, PAGE, writeSparseCore } from '../scripts/explorer/images.mjs';
import { ExplorerPage } from '../scripts/explorer/page.mjs';
import { FILE_URL } from '../scripts/explorer/serve.mjs';
import { bundleParts, fileSizes } from './explorer-bundle.mjs';
import { drawTimes, frameTimes, scrollTimes, watchDraws } from './explorer-frames.mjs';
import { processMemory } from './explorer-memory.mjs';
import { sparseRam } from './explorer-ram.mjs';
import { median } from './measure.mjs';

const ROUNDS = 5;
/** Tables of the last level: 16.7 million pages. */
const TABLES = 32_768;
/** Milliseconds that a frame may take at 60 a second. */
const FRAME = 1000 / 60;

const executablePath = findChromium();
if (executablePath === undefined)
  throw new Error('Chromium is not installed (looked on PATH and at CHROMIUM)');
const folder = mkdtempSync(join(tmpdir(), 'tablewalk-'));
const browser = await launchChromium(executablePath);
try {
  await openings();
  await frames();
  await memory();
  await sizes();
} finally {
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
}

/** From the click on a sample to the frame in which its map is drawn. */
async function openings() {
  title('From the click to the first map, milliseconds', ['sample', 'median', 'fastest', 'slowest']);
  for (const sample of SAMPLES) {
    const times = [];
    for (let i = 0; i < ROUNDS; i += 1) {
      const one = await openPage();
      const button = one.page.getByRole('button', { name: new RegExp(`^${sample.title}\\b`) });
      times.push(await drawTimes(button));
      await one.close();
    }
    row([sample.title, median(times), Math.min(...times), Math.max(...times)]);
  }
}

/** What is seen while a reader zooms, pans and scrolls over many pages. */
async function frames() {
  // From a seed: rights change from page to page, at random and by turns.
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return state >>> 8;
  };
  const images = [
    ['mixed rights', () => [7, 5, 3, 1][random() & 3], () => (random() & 1) * 0x8000_0000],
    ['rights by turns', (_, index) => (index % 2 === 0 ? 7 : 5), () => 0],
  ];
  const rows = [];
  const opened = [];
  for (const [name, low, high] of images) {
    const path = join(folder, 'many.elf');
    const tables = mapPages(TABLES, low, high);
    writeSparseCore(path, tables, tables.length, PAGE);
    const one = await openPage('#panel=table&range=0%2B1G');
    const start = performance.now();
    await one.page.getByLabel('Drop a memory image here, or choose one').setInputFiles(path);
    await one.drawn('many.elf');
    opened.push([name, performance.now() - start]);
    for (const [what, times] of Object.entries(await frameTimes(one))) rows.push([`${name}, ${what}`, times]);
    await one.tab('Table');
    rows.push([`${name}, entries of a table`, await scrollTimes(one, 'Entries of the table')]);
    await one.tab('Regions');
    rows.push([`${name}, regions`, await scrollTimes(one, 'Regions')]);
    await one.close();
  }
  title('16.7 million pages: from the choice of the file to the map, milliseconds', ['image', 'time']);
  for (const cells of opened) row(cells);
  title('Frames, milliseconds', [
    'what',
    'frames',
    'median',
    'longest',
    `missed (over ${FRAME * 1.5})`,
    'own work, median',
    'longest',
  ]);
  for (const [what, { deltas, works }] of rows) {
    const late = deltas.filter((one) => one > FRAME * 1.5).length / deltas.length;
    row([
      what,
      deltas.length,
      median(deltas),
      Math.max(...deltas),
      `${(late * 100).toFixed(1)} %`,
      median(works),
      Math.max(...works),
    ]);
  }
}

/** What the page's process holds. */
async function memory() {
  title('Memory of the page’s process, MiB', ['open', 'proportional (PSS)', 'resident (RSS)']);
  const empty = await openPage();
  row(['nothing', ...(await processMemory(browser, empty.page))]);
  await empty.close();
  for (const sample of SAMPLES) {
    const one = await openPage();
    await one.sample(sample);
    row([sample.title, ...(await processMemory(browser, one.page))]);
    await one.close();
  }
  const path = join(folder, 'ram.bin');
  const { cr3, size } = sparseRam(SAMPLES[0], path);
  const one = await openPage();
  await one.page.getByRole('checkbox', { name: 'it is raw memory' }).check();
  await one.page.getByLabel('Drop a memory image here, or choose one').setInputFiles(path);
  await one.page.getByRole('button', { name: 'Open', exact: true }).click();
  await one.page.getByRole('textbox', { name: /^CR3/ }).fill(cr3);
  await one.page.getByRole('button', { name: 'Read the tables' }).click();
  await one.drawn('ram.bin');
  row([`${size / 2 ** 30} GiB of raw memory`, ...(await processMemory(browser, one.page))]);
  await one.tab('Regions');
  await one.panel('Regions').getByRole('grid').waitFor();
  row(['and its regions', ...(await processMemory(browser, one.page))]);
  await one.close();
}

/** What a reader loads. */
async function sizes() {
  title('Files, bytes', ['file', 'bytes', 'gzip']);
  for (const cells of fileSizes()) row(cells);
  title('Code by part, before it is minified', ['part', 'bytes', 'share', 'gzip']);
  for (const cells of await bundleParts()) row(cells);
}

async function openPage(fragment = '') {
  const one = await ExplorerPage.open(browser, `${FILE_URL}${fragment}`, { prepare: watchDraws });
  one.page.setDefaultTimeout(60_000);
  return one;
}

function title(text, head) {
  console.log(`\n${text}`);
  row(head);
}

function row(cells) {
  const [first, ...rest] = cells.map((one) =>
    typeof one !== 'number' ? one : Number.isInteger(one) ? one.toLocaleString('en-US') : one.toFixed(1),
  );
  console.log([first.padEnd(36), ...rest.map((one) => one.padStart(18))].join(' '));
}
