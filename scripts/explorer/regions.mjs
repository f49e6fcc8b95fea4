import { readFileSync } from 'node:fs';
import { ask, SAMPLES, same } from './command.mjs';
import { ExplorerPage } from './page.mjs';

/** Filters as a reader sets them, and the options of `maps` that ask for the same. */
const FILTERS = [
  { set: async () => {}, options: [] },
  {
    set: async (panel) => {
      await panel.getByRole('checkbox', { name: 'write' }).check();
      await panel.getByRole('combobox', { name: 'Whose rights' }).selectOption({ index: 1 });
    },
    options: ['--rights', 'user:w'],
  },
  {
    set: (panel) => panel.getByRole('combobox', { name: 'Page size' }).selectOption('2M'),
    options: ['--size', '2M'],
  },
  {
    set: async (panel) => {
      await panel.getByRole('textbox', { name: 'Minimal size' }).fill('1M');
      await panel.getByRole('textbox', { name: 'Minimal size' }).press('Tab');
      await panel.getByRole('combobox', { name: 'One row for' }).selectOption('rights');
    },
    options: ['--min-size', '1M', '--merge', 'rights'],
  },
  {
    set: async (panel) => {
      await panel.getByRole('textbox', { name: 'Range' }).fill('3f00000000+4G');
      await panel.getByRole('textbox', { name: 'Range' }).press('Enter');
    },
    options: ['--range', '3f00000000+4G'],
  },
  { set: (panel) => panel.getByRole('button', { name: 'Only W+X' }).click(), options: ['--rights', 'wx'] },
];

/** Lists of regions, their export, and what reaches a physical address. */
export async function regionsSubject({ browser, fileUrl }, checks) {
  for (const sample of SAMPLES) {
    await checks.check(`regions of ${sample.title} are the rows of maps, under every filter`, async () => {
      const one = await ExplorerPage.open(browser, fileUrl);
      await one.sample(sample);
      const panel = await one.tab('Regions');
      const counts = [];
      for (const { set, options } of FILTERS) {
        await set(panel);
        counts.push(await compareList(one, sample, options));
        if (options.length > 0) await panel.getByRole('button', { name: 'No filter' }).click();
      }
      await one.close();
      return counts.join(', ');
    });
  }

  await checks.check(
    'a filter that says nothing is refused in words, and the list before it stays',
    async () => {
      const one = await ExplorerPage.open(browser, fileUrl);
      await one.sample(SAMPLES[2]);
      const panel = await one.tab('Regions');
      await panel
        .getByRole('status')
        .getByText(/^175 rows\./)
        .waitFor();
      await panel.getByRole('textbox', { name: 'Range' }).fill('nowhere');
      await panel.getByRole('textbox', { name: 'Range' }).press('Tab');
      await panel
        .getByRole('alert')
        .getByText(/nowhere/)
        .waitFor();
      await panel
        .getByRole('status')
        .getByText(/^175 rows\./)
        .waitFor();
      await one.close();
    },
  );

  await checks.check('filter and panel stand in the address bar', async () => {
    const url = `${fileUrl}#sample=${SAMPLES[2].name}&panel=regions&rights=user%3Ax&size=4K`;
    const one = await ExplorerPage.open(browser, url);
    await one.drawn(SAMPLES[2].name);
    await compareList(one, SAMPLES[2], ['--rights', 'user:x', '--size', '4K']);
    await one.close();
  });

  for (const sample of SAMPLES) {
    await checks.check(`what reaches a physical address of ${sample.title} is what maps lists`, async () => {
      const rows = mapped(JSON.parse(await ask(sample, 'maps', '--json', '--all')));
      const one = await ExplorerPage.open(browser, fileUrl);
      await one.sample(sample);
      const panel = await one.tab('Find');
      const found = [];
      for (const physical of physicalOf(rows)) {
        await panel.getByRole('textbox', { name: 'Physical address' }).fill(`0x${physical.toString(16)}`);
        await panel.getByRole('button', { name: 'Find' }).click();
        const expected = rows
          .filter(({ from, length }) => physical >= from && physical < from + length)
          .map(({ first, from, user, supervisor }) =>
            [`0x${(first + physical - from).toString(16).padStart(16, '0')}`, user, supervisor].join(' '),
          );
        const where = `0x${physical.toString(16).padStart(16, '0')}`;
        await panel
          .getByRole('status')
          .getByText(new RegExp(`${where}[.:]`))
          .first()
          .waitFor();
        const shown = await panel.locator('table.found tbody tr').evaluateAll((all) =>
          all.map((row) =>
            [...row.children]
              .slice(0, 3)
              .map(({ textContent }) => textContent)
              .join(' '),
          ),
        );
        same(shown.sort(), expected.sort(), `${sample.title} ${where}`);
        found.push(shown.length);
      }
      await one.close();
      return found.join(', ');
    });
  }

  await checks.check('a root table is found where it lies', async () => {
    const one = await ExplorerPage.open(browser, fileUrl);
    await one.sample(SAMPLES[0]);
    const panel = await one.tab('Find');
    await panel.getByRole('textbox', { name: 'Physical address' }).fill('2a42000');
    await panel.getByRole('textbox', { name: 'Physical address' }).press('Enter');
    await panel.getByRole('link', { name: /^PML4 table at 0x0*2a42000$/ }).click();
    await one
      .panel('Table')
      .getByRole('heading', { name: /^PML4 table at 0x0*2a42000$/ })
      .waitFor();
    await one.close();
  });
}

/** Waits for the list that the command prints with these options, and compares rows and export. */
async function compareList(one, sample, options) {
  const what = `${sample.title} ${options.join(' ')}`;
  const lines = (await ask(sample, 'maps', ...options)).trimEnd().split('\n').slice(1);
  const json = JSON.parse(await ask(sample, 'maps', '--json', ...options));
  const { length } = json.regions;
  same([lines.length], [length], `${what}: lines and records of maps`);
  const panel = one.panel('Regions');
  await panel
    .getByRole('status')
    .getByText(new RegExp(`^${length.toLocaleString('en-US')} rows?\\.`))
    .waitFor();
  if (length > 0) {
    const seen = await rowsSeen(panel, lines[0].split(/\s+/)[0]);
    same(seen, lines.slice(0, seen.length).map(squeezed), `${what}: rows`);
  }
  const [download] = await Promise.all([
    one.page.waitForEvent('download'),
    panel.getByRole('button', { name: 'Export JSON' }).click(),
  ]);
  const exported = JSON.parse(readFileSync(await download.path(), 'utf8'));
  same(exported.regions.map(recordText), json.regions.map(recordText), `${what}: export`);
  return length;
}

function recordText(value) {
  return JSON.stringify(value);
}

/** The rows that are drawn, once the first is there: as texts without the links to the map. */
async function rowsSeen(panel, first) {
  const grid = panel.getByRole('grid', { name: 'Regions' });
  await grid.getByRole('link', { name: first, exact: true }).first().waitFor();
  return grid.evaluate((table) =>
    [...table.querySelectorAll('tr[data-row]')].map((row) =>
      [...row.children]
        .map((cell, i) => (i === 0 ? (cell.querySelector('a')?.textContent ?? '') : cell.textContent))
        .join(' ')
        .replace('W+X', '')
        .replace(/\s+/g, ' ')
        .trim(),
    ),
  );
}

function squeezed(line) {
  return line.replace(/\s+/g, ' ').trim();
}

/** Rows of `maps --all` that map something, in numbers. */
export function mapped({ regions }) {
  return regions
    .filter(({ kind }) => kind === 'mapped')
    .map(({ first, end, physical, user, supervisor, memoryType, global }) => ({
      first: BigInt(first),
      length: BigInt(end) - BigInt(first),
      from: BigInt(physical),
      user,
      supervisor,
      memoryType,
      global,
    }));
}

/** Addresses to look for: in a small row, in a large one, reached twice, not at all. */
function physicalOf(rows) {
  const large = rows.reduce((a, b) => (b.length > a.length ? b : a));
  const twice = rows.find(({ from }) =>
    rows.some((other) => other.from < from && other.from + other.length > from),
  );
  const top = rows.reduce((most, { from, length }) => (from + length > most ? from + length : most), 0n);
  const [small] = rows;
  return [small.from + 0x123n, large.from + large.length / 2n, (twice ?? small).from + 8n, top + 0x5000n];
}
