import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ask, command, SAMPLES, same, sampleFiles } from './command.mjs';
import { ExplorerPage } from './page.mjs';
import { mapped } from './regions.mjs';

/** The sample that is changed: few pages, so that all of it can be compared. */
const SAMPLE = SAMPLES[2];
/** What its privileges are called. */
const PRIVILEGES = ['U', 'S'];

/** Units of sizes, each 1024 of the one before. */
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Bits to flip: on the way to an address, at a depth. Sv39: V is bit 0, R, W and X bits 1 to 3. */
const FLIPS = [
  { address: '3f9ae00000', depth: 1, bit: 2 },
  { address: '10000', depth: 0, bit: 0 },
  { address: 'ffffffff80a7662c', depth: 1, bit: 3 },
];

/** Changes of the scratch copy, against `maps` of a file that was changed in the same places. */
export async function trySubject({ browser, fileUrl }, checks) {
  const folder = mkdtempSync(join(tmpdir(), 'tablewalk-'));
  try {
    await checks.check(
      'flipped bits change what they change in a changed file; undoing restores',
      async () => {
        const file = join(folder, 'core.elf');
        const bytes = gunzipSync(readFileSync(sampleFiles(SAMPLE).core));
        writeFileSync(file, bytes);
        const one = await ExplorerPage.open(browser, fileUrl);
        await openWithRegisters(one, file);
        const before = await rowsOf(file);
        const counts = [];
        for (const [i, flip] of FLIPS.entries()) {
          const { entry, address } = await flipInWalk(one, flip);
          bytes[offsetOf(bytes, Number(address)) + (flip.bit >> 3)] ^= 1 << (flip.bit & 7);
          writeFileSync(join(folder, 'changed.elf'), bytes);
          const panel = await one.tab('Try it');
          const list = panel.getByRole('region', { name: 'Changes made' }).getByRole('listitem');
          await list
            .nth(i)
            .getByText(new RegExp(`^${entry} .*: bit ${flip.bit} \\(\\w+\\) [01] → [01]`))
            .waitFor();
          counts.push(await compareDifferences(one, before, await rowsOf(join(folder, 'changed.elf'))));
        }
        const bar = one.page.locator('.try-bar');
        await bar
          .getByRole('status')
          .getByText(/^Scratch copy: 3 changes, /)
          .waitFor();
        const panel = await one.tab('Regions');
        const rows = JSON.parse(await maps(join(folder, 'changed.elf'))).regions.length;
        await panel
          .getByRole('status')
          .getByText(new RegExp(`^${rows} rows\\.`))
          .waitFor();
        await bar.getByRole('button', { name: 'Undo last' }).click();
        await bar
          .getByRole('status')
          .getByText(/^Scratch copy: 2 changes, /)
          .waitFor();
        await bar.getByRole('button', { name: 'Discard' }).click();
        await bar.waitFor({ state: 'detached' });
        const original = JSON.parse(await maps(file)).regions.length;
        await panel
          .getByRole('status')
          .getByText(new RegExp(`^${original} rows\\.`))
          .waitFor();
        await one.page.goBack();
        await bar
          .getByRole('status')
          .getByText(/^Scratch copy: 2 changes, /)
          .waitFor();
        await one.close();
        const now = createHash('sha256').update(readFileSync(file)).digest('hex');
        const then = createHash('sha256').update(gunzipSync(readFileSync(sampleFiles(SAMPLE).core)));
        same([now], [then.digest('hex')], 'the bytes of the file');
        return `${counts.join(', ')} ranges`;
      },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }

  await checks.check('flags change what the same registers change for the command', async () => {
    const one = await ExplorerPage.open(browser, fileUrl);
    await one.sample(SAMPLE);
    const panel = await one.tab('Try it');
    const before = mapped(JSON.parse(await ask(SAMPLE, 'maps', '--json', '--all')));
    const flags = panel.getByRole('group', { name: 'sstatus' });
    // RISC-V privileged specification, sstatus: SUM is bit 18, MXR bit 19.
    const value = statusOf(SAMPLE);
    const counts = [];
    for (const [name, bit] of [
      ['SUM', 18n],
      ['MXR', 19n],
    ]) {
      await flags.getByRole('checkbox', { name: new RegExp(`^${name} = `) }).click();
      await panel.getByRole('region', { name: 'Changes made' }).getByText(`sstatus.${name}: `).waitFor();
      const changed = `0x${(value ^ (1n << bit)).toString(16)}`;
      const after = mapped(JSON.parse(await ask(SAMPLE, 'maps', '--json', '--all', '--sstatus', changed)));
      counts.push(await compareDifferences(one, before, after));
      await panel.getByRole('button', { name: 'Discard all' }).click();
      await panel.getByText('None: all panels show the tables as they are in the image.').waitFor();
    }
    await one.close();
    return `${counts.join(', ')} ranges`;
  });

  await checks.check('changes stand in the address bar', async () => {
    const one = await ExplorerPage.open(browser, fileUrl);
    await one.sample(SAMPLE);
    await flipInWalk(one, FLIPS[0]);
    const bar = one.page.locator('.try-bar');
    await bar
      .getByRole('status')
      .getByText(/^Scratch copy: 1 change, 2 MiB change/)
      .waitFor();
    const url = one.page.url();
    await one.close();
    const other = await ExplorerPage.open(browser, url);
    await other.drawn(SAMPLE.name);
    const same = other.page.locator('.try-bar');
    await same
      .getByRole('status')
      .getByText(/^Scratch copy: 1 change, 2 MiB change/)
      .waitFor();
    await other.close();
  });
}

/** Opens a core that does not say its registers, and gives them as the sample's file has them. */
async function openWithRegisters(one, file) {
  await one.page.getByLabel('Drop a memory image here, or choose one').setInputFiles(file);
  await one.page
    .getByRole('textbox', { name: /info registers/ })
    .fill(readFileSync(sampleFiles(SAMPLE).options[1], 'utf8'));
  await one.page.getByRole('button', { name: 'Use these' }).click();
  await one.drawn('core.elf');
}

/** Flips one bit of the walk to an address; returns where the command says that the entry is. */
async function flipInWalk(one, { address, depth, bit }) {
  const { levels } = JSON.parse(await ask(SAMPLE, 'explain', address, '--json'));
  const { entry, index, address: at } = levels[depth];
  await one.address(address);
  const level = one.panel('Walk').getByRole('region', { name: `${entry} ${index} at ${at}`, exact: true });
  const button = level.getByRole('button', { name: new RegExp(`^bit ${bit}, .* Flip in the scratch copy$`) });
  await button.click();
  await level.getByRole('button', { name: new RegExp(`^bit ${bit}, .* Changed; flip back$`) }).waitFor();
  return { entry, address: at };
}

/** Compares what changes meaning with what two lists of `maps` say; returns how many ranges there are. */
async function compareDifferences(one, before, after) {
  const expected = differencesOf(before, after);
  const bytes = expected.reduce((sum, { first, end }) => sum + end - first, 0n);
  const part = one.panel('Try it').getByRole('region', { name: 'What changes meaning' });
  const summary = part.getByText(`, ${sizeText(bytes)} in all.`);
  await summary.waitFor();
  const [, count] = /^([\d,]+) range/.exec(await summary.innerText()) ?? [];
  const rows = await allRows(one, part.getByRole('grid'), Number(count?.replace(',', '')));
  const shown = rows.flatMap(({ range, repeat, meanings }) => {
    const [first, end] = range.split('-').map((text) => BigInt(`0x${text}`));
    return copiesOf(repeat).map((by) => `${hex(first + by)}-${hex(end + by)} ${meanings}`);
  });
  const texts = expected.map(
    ({ first, end, before: was, after: is }) =>
      `${hex(first)}-${hex(end)} before${meaning(was)} after${meaning(is)}`,
  );
  same(shown.sort(), texts.sort(), 'what changes meaning');
  return expected.length;
}

/** Every row of a list of which only those in view are drawn. */
async function allRows(one, grid, count) {
  const rows = new Map();
  await one.until(`${count} rows`, async () => {
    const drawn = await grid.evaluate((table) => {
      const text = (row, selector) => row.querySelector(selector)?.textContent ?? '';
      const list = [...table.querySelectorAll('tr[data-row]')].map((row) => [
        Number(row.getAttribute('data-row')),
        {
          range: text(row, 'a'),
          repeat: text(row, '.repeat'),
          meanings: `${text(row, '.before')} ${text(row, '.after')}`,
        },
      ]);
      table.parentElement.scrollTop += 200;
      return list;
    });
    for (const [index, row] of drawn) rows.set(index, row);
    return rows.size === count;
  });
  return [...rows.values()];
}

/** How far the copies of a row lie behind it: `3 times, every 12 KiB`. */
function copiesOf(repeat) {
  if (repeat === '') return [0n];
  const [, times, every, unit] = /^([\d,]+) times, every ([\d.]+) (\w+)$/.exec(repeat) ?? [];
  if (times === undefined) throw new Error(`no repetition: ${repeat}`);
  const stride = BigInt(Number(every) * 1024 ** UNITS.indexOf(unit));
  return Array.from({ length: Number(times.replaceAll(',', '')) }, (_, i) => BigInt(i) * stride);
}

/** Where two lists of rows say something else, in ranges that are contiguous on both sides. */
function differencesOf(before, after) {
  const edges = [...new Set([...before, ...after].flatMap(({ first, length }) => [first, first + length]))];
  edges.sort((a, b) => (a < b ? -1 : 1));
  const at = (rows, address) => {
    const row = rows.find(({ first, length }) => address >= first && address < first + length);
    return row && { ...row, from: row.from + address - row.first };
  };
  const ranges = [];
  for (let i = 0; i + 1 < edges.length; i += 1) {
    const [first, end] = [edges[i], edges[i + 1]];
    const [was, is] = [at(before, first), at(after, first)];
    if (meaning(was) === meaning(is)) continue;
    const last = ranges[ranges.length - 1];
    const goesOn = (one, next) =>
      one === undefined || next === undefined
        ? one === next
        : meaning({ ...one, from: one.from + first - last.first }) === meaning(next);
    if (last !== undefined && last.end === first && goesOn(last.before, was) && goesOn(last.after, is))
      last.end = end;
    else ranges.push({ first, end, before: was, after: is });
  }
  return ranges;
}

/** What a row means, in the words of the page. */
function meaning(row) {
  if (row === undefined) return 'not mapped';
  const rights = [row.user, row.supervisor].map((one, i) => `${PRIVILEGES[i]} ${one}`);
  return [`0x${hex(row.from)}`, ...rights, row.memoryType, ...(row.global ? ['global'] : [])].join(', ');
}

function maps(file, ...options) {
  return command('maps', file, '--json', ...options, ...sampleFiles(SAMPLE).options);
}

async function rowsOf(file) {
  return mapped(JSON.parse(await maps(file, '--all')));
}

/** `mstatus` of the first processor, which has the bits of `sstatus`. */
function statusOf(sample) {
  const [, status] =
    /"mstatus": "(0x[0-9a-f]+)"/.exec(readFileSync(sampleFiles(sample).options[1], 'utf8')) ?? [];
  return BigInt(status);
}

/** Offset in a 64-bit ELF core of a physical byte address. */
function offsetOf(bytes, physical) {
  const start = Number(bytes.readBigUInt64LE(32));
  for (let i = 0; i < bytes.readUInt16LE(56); i += 1) {
    const at = start + i * bytes.readUInt16LE(54);
    const [offset, first, size] = [8, 24, 32].map((field) => Number(bytes.readBigUInt64LE(at + field)));
    if (bytes.readUInt32LE(at) === 1 && physical >= first && physical < first + size)
      return offset + physical - first;
  }
  throw new Error(`0x${physical.toString(16)} is not in the core`);
}

function hex(value) {
  return value.toString(16).padStart(16, '0');
}

/** `2 MiB`, as the command says sizes: with one digit behind the point where it is not whole. */
function sizeText(bytes) {
  let unit = 0;
  let value = Number(bytes);
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${UNITS[unit]}`;
}
