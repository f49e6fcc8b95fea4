import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { SAMPLES, sampleFiles } from './command.mjs';
import { core, mapPages, PAGE, randomTables, selfLeading, writeSparseCore } from './images.mjs';
import { ExplorerPage } from './page.mjs';

/** `e_type` of a program that can be run. */
const ET_EXEC = 2;

/** Tables of 512 pages each: 16.7 million pages, of which no two neighbours are alike. */
const MANY = 32_768;

/** What the page says of files that are no images, and whether it goes on afterwards. */
export async function filesSubject({ browser, fileUrl }, checks) {
  const tables = mapPages(1, () => 7);
  const packed = readFileSync(sampleFiles(SAMPLES[0]).core);
  const refused = [
    ['an empty file', 'nothing.bin', Buffer.alloc(0), /is empty; expected an ELF core.*UNSUPPORTED_IMAGE/s],
    ['text', 'notes.txt', Buffer.from('no image at all\n'), /begins with 6e 6f 20.*UNSUPPORTED_IMAGE/s],
    [
      'an ELF file cut off',
      'cut.elf',
      core(tables, { cr3: PAGE }).subarray(0, 40),
      /TRUNCATED_IMAGE|MALFORMED_IMAGE/,
    ],
    ['an ELF program', 'ls', core(tables, { cr3: PAGE, type: ET_EXEC }), /core.*UNSUPPORTED_IMAGE/s],
    [
      'damaged gzip',
      'bad.gz',
      Buffer.concat([packed.subarray(0, 99), Buffer.alloc(99, 7)]),
      /MALFORMED_IMAGE|TRUNCATED_IMAGE/,
    ],
    ['gzip cut off', 'cut.gz', packed.subarray(0, packed.length >> 1), /TRUNCATED_IMAGE|MALFORMED_IMAGE/],
    ['zeros packed', 'zeros.gz', gzipSync(Buffer.alloc(1 << 22)), /begins with 00 00.*UNSUPPORTED_IMAGE/s],
  ];
  await checks.check(
    'files that are no images are refused in words, and a sample opens after each',
    async () => {
      const one = await ExplorerPage.open(browser, fileUrl);
      for (const [what, name, bytes, expected] of refused) {
        await one.drop(name, bytes);
        const text = await one.error();
        if (!expected.test(text)) throw new Error(`${what}: ${text}`);
        await one.sample(SAMPLES[2]);
        await one.page.getByRole('button', { name: 'Open another' }).click();
        await one.page.getByRole('heading', { name: 'Look into real page tables' }).waitFor();
      }
      await one.close();
      return `${refused.length} files`;
    },
  );

  await checks.check('a file that is refused leaves open what is open, also the place in it', async () => {
    const one = await ExplorerPage.open(browser, fileUrl);
    await one.sample(SAMPLES[0]);
    await one.address('402000');
    const place = one.page.url();
    await one.drop('notes.txt', Buffer.from('no image at all\n'));
    const text = await one.error();
    if (!text.startsWith('notes.txt was not opened; what is open stays. The file begins with'))
      throw new Error(text);
    await one.address('403000');
    await one
      .panel('Walk')
      .getByRole('heading', { name: /^0x0*403000 translates/ })
      .waitFor();
    await one.page.goBack();
    if (one.page.url() !== place) throw new Error(`the place is ${one.page.url()}; expected ${place}`);
    await one.page.getByRole('button', { name: 'Dismiss' }).click();
    await one.page.locator('.error').waitFor({ state: 'detached' });
    await one.drawn(SAMPLES[0].name);
    await one.close();
  });

  await checks.check('a core without registers asks for them, and takes CR3', async () => {
    const one = await ExplorerPage.open(browser, fileUrl);
    await one.drop('unknown.elf', core(tables));
    await one.page.getByRole('heading', { name: 'unknown.elf: which tables?' }).waitFor();
    if (!/NO_ROOT/.test(await one.error())) throw new Error(await one.error());
    const cr3 = one.page.getByRole('textbox', { name: /^CR3/ });
    await cr3.fill('nonsense');
    await one.page.getByRole('button', { name: 'Read the tables' }).click();
    await one.page
      .getByRole('alert')
      .getByText(/nonsense/)
      .waitFor();
    await one.until('the field that is wrong', () => cr3.evaluate((it) => it === document.activeElement));
    const all = one.page.getByRole('textbox', { name: /info registers/ });
    await all.fill('nothing of that kind');
    await one.page.getByRole('button', { name: 'Use these' }).click();
    await one.page
      .getByRole('alert')
      .getByText(/^Registers: none found/)
      .waitFor();
    if ((await all.inputValue()) !== 'nothing of that kind') throw new Error('what was typed is gone');
    await cr3.fill('0x1000');
    await cr3.press('Enter');
    await one.drawn('unknown.elf');
    await one.page.goBack();
    await one.page.getByRole('heading', { name: 'unknown.elf: which tables?' }).waitFor();
    await one.page.goForward();
    await one.drawn('unknown.elf');
    await one.close();
  });

  await checks.check('raw memory opens at the base that is given', async () => {
    const one = await ExplorerPage.open(browser, fileUrl);
    await one.page.getByRole('checkbox', { name: 'it is raw memory' }).check();
    await one.page
      .getByLabel('Drop a memory image here, or choose one')
      .setInputFiles({ name: 'ram.bin', mimeType: '', buffer: tables.subarray(PAGE) });
    await one.page.getByRole('textbox', { name: /begins at physical address/ }).fill('0x1000');
    await one.page.getByRole('button', { name: 'Open', exact: true }).click();
    await one.page.getByRole('textbox', { name: /^CR3/ }).fill('1000');
    await one.page.getByRole('button', { name: 'Read the tables' }).click();
    await one.drawn('ram.bin');
    await one.close();
  });

  await checks.check('names and texts that are HTML stay text', async () => {
    const one = await ExplorerPage.open(browser, fileUrl);
    const name = '<img src=x onerror=globalThis.hit=1><script>globalThis.hit=1</script>.elf';
    const harmless = async (where) => {
      const hit = await one.page.evaluate(
        () => globalThis.hit === 1 || document.querySelector('img, main script, header script') !== null,
      );
      if (hit) throw new Error(`became an element: ${where}`);
    };
    await one.drop(name, core(tables, { cr3: PAGE }));
    await one.drawn(name);
    await one.page.getByRole('banner').getByText(name, { exact: true }).waitFor();
    await harmless('the name of an open file');
    await one.tab('Image');
    await harmless('the facts');
    await one.page.getByRole('button', { name: 'Open another' }).click();
    await one.drop(name, core(tables));
    await one.page.getByRole('heading', { name: `${name}: which tables?` }).waitFor();
    await one.page.getByRole('textbox', { name: /^CR3/ }).fill(name);
    await one.page.getByRole('button', { name: 'Read the tables' }).click();
    await one.page
      .getByRole('alert')
      .getByText(/img src=x/)
      .waitFor();
    await harmless('an error');
    await one.close();
  });

  const hostile = [
    ['tables that lead to themselves from everywhere', core(selfLeading(), { cr3: PAGE })],
    ['random tables', core(randomTables(64, 7), { cr3: PAGE })],
    ['other random tables', core(randomTables(16, 11), { cr3: PAGE })],
  ];
  for (const [what, bytes] of hostile) {
    await checks.check(`${what} open, and the page does not hang`, async () => {
      const one = await ExplorerPage.open(browser, fileUrl);
      const start = Date.now();
      await one.drop('hostile.elf', bytes);
      await one.drawn('hostile.elf');
      const taken = Date.now() - start;
      const whole = await one.view();
      await one.page.getByRole('button', { name: 'Zoom in' }).click();
      await one.viewOtherThan(whole);
      await one.address('1234567890');
      await one.close();
      return `${taken} ms`;
    });
  }

  const folder = mkdtempSync(join(tmpdir(), 'tablewalk-'));
  try {
    const path = join(folder, 'large.elf');
    const many = mapPages(MANY, (_, index) => (index % 2 === 0 ? 7 : 5));
    writeSparseCore(path, many, many.length, PAGE);
    // Reading gives way to a stop; outlining does not, and ends with its worker.
    for (const work of ['reading tables', 'outlining tables']) {
      await checks.check(`Stop ends long work: ${work}`, async () => {
        const one = await ExplorerPage.open(browser, fileUrl);
        await one.page.getByLabel('Drop a memory image here, or choose one').setInputFiles(path);
        await one.page.getByRole('status').getByText(`${work}:`).waitFor();
        const start = Date.now();
        await one.page.getByRole('button', { name: 'Stop' }).click();
        const text = await one.error();
        if (!/stopped/i.test(text)) throw new Error(text);
        const taken = Date.now() - start;
        if (await one.map.isVisible()) throw new Error('the map is there all the same');
        await one.sample(SAMPLES[0]);
        await one.close();
        return `${taken} ms`;
      });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
