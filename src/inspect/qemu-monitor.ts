import { hexPage, joinHalves } from '../bits/index.ts';
import type { Paging } from '../format/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { eachPage } from './qemu-pages.ts';

/** QEMU's masks of the address in an entry, by format and `log2` of the page's bytes; its mistakes are kept. */
const ADDRESS_MASKS: Readonly<Record<string, Readonly<Record<number, bigint>>>> = {
  '32-bit': { 12: 0xffff_f000n, 22: 0xffe0_0000n },
  PAE: { 12: 0xffff_ffff_ffff_f000n, 21: 0xffff_ffff_fff0_0000n },
  '4-level': { 12: 0x3_ffff_ffff_f000n, 21: 0x3_ffff_ffe0_0000n, 30: 0x3_ffff_c000_0000n },
  '5-level': { 12: 0x3_ffff_ffff_f000n, 21: 0x3_ffff_ffe0_0000n, 30: 0x3_ffff_c000_0000n },
};

const FLAGS = [
  ['X', 63],
  ['G', 8],
  ['P', 7],
  ['D', 6],
  ['A', 5],
  ['C', 4],
  ['T', 3],
  ['U', 2],
  ['W', 1],
] as const;

/**
 * What QEMU's monitor prints for `info tlb` on x86: a line per page.
 *
 * @param print - takes each line, without its line feed
 * @returns how many entries lead to tables that are not in memory, of which nothing is printed
 * @throws {@link PageTableError} `LIMIT_EXCEEDED` if there are more than 16,777,216 pages; then nothing is printed
 */
export function printQemuTlb(memory: PhysicalMemory, paging: Paging, print: (line: string) => void): number {
  const { fact } = paging.format;
  const masks = ADDRESS_MASKS[fact.name];
  return eachPage(memory, paging, (cursor) => {
    const shift = cursor.order + 12;
    const entry = joinHalves(cursor.low, cursor.high);
    const flags = FLAGS.map(([letter, bit]) => {
      const shown = ((entry >> BigInt(bit)) & 1n) === 1n && !(bit === 7 && shift === 12);
      return shown ? letter : '-';
    });
    const address = (entry & masks[shift]).toString(16).padStart(16, '0');
    print(`${hexPage(cursor.page)}: ${address} ${flags.join('')}`);
  });
}

/**
 * What QEMU's monitor prints for `info mem` on x86: a line per range of equal U/S and R/W. Execute-disable plays no part,
 * and a range may run over the hole between the halves. Of 5-level paging QEMU prints nothing; this prints the ranges.
 *
 * @param print - takes each line, without its line feed
 * @returns how many entries lead to tables that are not in memory, of which nothing is printed
 * @throws {@link PageTableError} `LIMIT_EXCEEDED` if there are more than 16,777,216 pages; then nothing is printed
 */
export function printQemuMem(memory: PhysicalMemory, paging: Paging, print: (line: string) => void): number {
  const { vaBits, signExtended } = paging.format.fact;
  const span = 2 ** (vaBits - 12);
  let start = 0;
  let end = 0;
  let rights = 0;
  const flush = () => {
    if (rights === 0) return;
    const text = [start, end, end - start].map((page) =>
      hexPage(signExtended ? canonical(page, span) : page),
    );
    print(`${text[0]}-${text[1]} ${text[2]} ${rights & 4 ? 'u' : '-'}r${rights & 2 ? 'w' : '-'}`);
  };
  const missing = eachPage(memory, paging, (cursor) => {
    const page = cursor.page % span;
    const next = (cursor.and & cursor.low & 6) | 1;
    if (page !== end || next !== rights) {
      flush();
      start = page;
      rights = next;
    }
    end = page + 2 ** cursor.order;
  });
  flush();
  return missing;
}

/** Sign-extends a page number of which the tables translate `span` pages, as QEMU does: sizes too. */
function canonical(page: number, span: number): number {
  return page >= span / 2 && page < span ? page + 2 ** 52 - span : page;
}
