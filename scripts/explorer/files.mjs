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
    ['an empty file', 'nothing.bin', Buffer.alloc(0), /UNSUPPORTED_IMAGE.*is empty; expected an ELF core/],
    ['text', 'notes.txt', Buffer.from('no image at all\n'), /UNSUPPORTED_IMAGE.*begins with 6e 6f 20/],
    [
      'an ELF file cut off',
      'cut.elf',
      core(tables, { cr3: PAGE }).subarray(0, 40),
      /TRUNCATED_IMAGE|MALFORMED_IMAGE/,
    ],
    ['an ELF program', 'ls', core(tables, { cr3: PAGE, type: ET_EXEC }), /UNSUPPORTED_IMAGE.*core/],
    [
      'damaged gzip',
      'bad.gz',
      Buffer.concat([packed.subarray(0, 99), Buffer.alloc(99, 7)]),
      /MALFORMED_IMAGE|TRUNCATED_IMAGE/,
    ],
    ['gzip cut off', 'cut.gz', packed.subarray(0, packed.length >> 1), /TRUNCATED_IMAGE|MALFORMED_IMAGE/],
    ['zeros packed', 'zeros.gz', gzipSync(Buffer.alloc(1 << 22)), /UNSUPPORTED_IMAGE.*begins with 00 00/],
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

  await checks.check('a core without registers asks for them, and takes CR3', async () => {
    const one = await ExplorerPage.open(browser, fileUrl);
    await one.drop('unknown.elf', core(tables));
    await one.page.getByRole('heading', { name: 'unknown.elf: which tables?' }).waitFor();
    if (!/NO_ROOT/.test(await one.error())) throw new Error(await one.error());
    await one.page.getByRole('textbox', { name: /^CR3/ }).fill('nonsense');
    await one.page.getByRole('button', { name: 'Read the tables' }).click();
    await one.page.getByText(/nonsense/).waitFor();
    await one.page.getByRole('textbox', { name: /^CR3/ }).fill('0x1000');
    await one.page.getByRole('button', { name: 'Read the tables' }).click();
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
