import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { pageOf } from 'tablewalk/bits';
import { listRegions } from 'tablewalk/inspect';
import { expect, test } from 'vitest';
import { CLASS_NAMES } from '../../web/map/atlas.ts';
import { findPage, longestRun, suggestPages } from '../../web/views/suggestions.ts';
import { openSample } from './sample.ts';

/** Where the kernel's code begins and ends, as the guest's own `/proc/kallsyms` had it when the image was taken. */
function kernelText(name: string): { first: number; last: number } {
  const file = new URL(`../../samples/${name}/console.txt.gz`, import.meta.url);
  const text = gunzipSync(readFileSync(file)).toString();
  const page = (symbol: string) =>
    pageOf(BigInt(`0x${new RegExp(`^([0-9a-f]{16}) . ${symbol}\\b`, 'm').exec(text)?.[1]}`));
  return { first: page('_stext'), last: page('_etext') - 1 };
}

test.for(['linux-amd64-la48', 'linux-arm64-4k-nokaslr', 'linux-riscv64-sv39'])(
  "%s: the kernel's code is where the guest says, not in a module",
  async (name) => {
    const { atlases } = await openSample(name);
    const { first, last } = kernelText(name);
    const suggested = suggestPages(atlases).find(({ text }) => text.includes('code of the kernel'));
    const run = atlases
      .flatMap((atlas) => longestRun(atlas, 'kernel-rx') ?? [])
      .find((one) => one.first === suggested?.page);
    expect(run?.first).toBeLessThanOrEqual(first);
    // A page of 2 MiB may begin before it.
    expect(run?.first).toBeGreaterThan(first - 512);
    expect(run?.end).toBeGreaterThan(last);
  },
);

test('a page that is two things has both names, and no page stands twice', async () => {
  const { atlases } = await openSample('linux-riscv64-sv39');
  const suggested = suggestPages(atlases);
  // RISC-V: the test process is linked at 0x10000, and nothing is mapped below.
  expect(suggested[0]).toEqual({ text: 'first mapped page, code of an application', page: 0x10 });
  expect(new Set(suggested.map(({ page }) => page)).size).toBe(suggested.length);
});

test('first and last pages of a class; none where a space has none', async () => {
  const { spaces, memory, atlases } = await openSample('linux-amd64-la48');
  const pages = listRegions(memory, spaces[0].paging).filter((row) => row.kind === 'mapped');
  expect(findPage(atlases[0], CLASS_NAMES, false)).toBe(pages[0].first);
  expect(findPage(atlases[0], CLASS_NAMES, true)).toBe(pages[pages.length - 1].end - 1);
  expect(findPage(atlases[0], ['none'], false)).toBeUndefined();
  expect(longestRun(atlases[0], 'none')).toBeUndefined();
});
