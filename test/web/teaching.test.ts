import { readFileSync } from 'node:fs';
import { hex64, pageOf } from 'tablewalk/bits';
import { countText, plural, rangeText, sizeText } from 'tablewalk/report';
import { beforeAll, expect, test } from 'vitest';
import { fromFragment, type Place } from '../../web/state.ts';
import { OpenImage } from '../../web/worker/open-image.ts';
import { Work } from '../../web/worker/work.ts';
import { AMD64, ARM64, RISCV64, samplePath } from '../support/sample.ts';

// Inline code in docs/teaching.md is either a fragment of the explorer's address, or, in answers, what the library says of
// the fragments of the same part, word for word.

const TEXT = readFileSync(new URL('../../docs/teaching.md', import.meta.url), 'utf8');

/** The parts below headings of level 3: title, fragments, and quotations in the answer. */
const PARTS = TEXT.split(/^### /m)
  .slice(1)
  .map((part) => {
    const answer = /<details>[\s\S]*<\/details>/.exec(part)?.[0] ?? '';
    return {
      title: part.slice(0, part.indexOf('\n')),
      fragments: [...part.matchAll(/`#(sample=[^`]*)`/g)].map(([, fragment]) => fromFragment(fragment)),
      quoted: [...answer.matchAll(/`([^`]*)`/g)]
        .map(([, words]) => words)
        .filter((words) => !words.startsWith('#')),
    };
  });

const work = new Work(() => {});
const opened = new Map<string, OpenImage>();

beforeAll(async () => {
  for (const name of [AMD64, ARM64, RISCV64]) {
    const image = new OpenImage();
    const registers = readFileSync(samplePath('registers.json', name), 'utf8');
    const blob = new Blob([readFileSync(samplePath('core.elf.gz', name))]);
    await image.open(work, { name, blob, registers });
    await image.choose(work, {});
    opened.set(name, image);
  }
});

/** What a fragment shows, as the command and the page say it. */
async function saidOf({
  sample,
  panel,
  address,
  filter,
  physical,
  table,
  entry,
  changes,
}: Place): Promise<string[]> {
  const image = opened.get(sample ?? '');
  if (image === undefined) throw new Error(`no sample ${sample}`);
  switch (panel) {
    case 'walk': {
      if (address === undefined) return [];
      const { lines } = await image.explain(work, address);
      // Without the breaks that fit a terminal.
      return [lines.map((line) => line.trim()).join(' ')];
    }
    case 'regions': {
      const { count } = await image.regions(work, filter);
      return (await image.regionRows(work, 0, count)).map(({ cells }) => cells.join(' '));
    }
    case 'find': {
      const { count, pages } = await image.find(work, physical ?? -1n);
      const each = pages.map(({ linear, rights }) => `${hex64(linear)} ${rights.join(' ')}`);
      return [`${countText(count)} linear addresses`, ...each];
    }
    case 'table': {
      if (table === undefined || entry === undefined)
        throw new Error('a table, and an entry of it, are expected');
      const { parents, count } = await image.table(work, table);
      expect(entry).toBeLessThan(count);
      return parents.map((one) => `${one.entry} ${one.index} to ${one.index + one.count - 1}`);
    }
    case 'try': {
      expect(changes.length).toBeGreaterThan(0);
      const { rows, bytes, more } = await image.attempt(work, changes);
      await image.attempt(work, []);
      expect(more).toBe(false);
      return [
        plural(rows.length, 'range'),
        bytes === 0n ? 'nothing changes meaning' : sizeText(bytes),
        ...rows.flatMap(({ first, end, before, after, repeat }) => [
          `${rangeText(pageOf(first), pageOf(end))} ${before} ${repeat}`,
          after,
        ]),
      ];
    }
    case 'image':
      throw new Error('nothing is quoted from the panel Image');
  }
}

test.each(PARTS)('$title: what the answer quotes is what the sample says', async ({ fragments, quoted }) => {
  expect(fragments.length).toBeGreaterThan(0);
  expect(quoted.length).toBeGreaterThan(1);
  const said: string[] = [];
  for (const fragment of fragments) said.push(...(await saidOf(fragment)));
  expect(quoted.filter((words) => !said.some((line) => line.includes(words)))).toEqual([]);
});

test('the steps take the 20 minutes that the exercise says', () => {
  const minutes = [...TEXT.matchAll(/^### \d\..*\((\d) minutes\)$/gm)].map(([, time]) => Number(time));
  expect(minutes).toHaveLength(8);
  expect(minutes.reduce((sum, each) => sum + each)).toBe(20);
});
