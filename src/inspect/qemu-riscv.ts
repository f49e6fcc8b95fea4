import { hexPage, joinHalves } from '../bits/index.ts';
import type { Paging } from '../format/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { eachPage } from './qemu-pages.ts';

/** Letters of bits 1 to 7 of an entry, in the order in which they are printed. */
const LETTERS = 'rwxugad';

/** Pages that QEMU prints as one row. */
interface Row {
  /** First page, without sign extension. */
  readonly page: number;
  /** Physical address of its first byte, as QEMU takes it from the entry. */
  readonly physical: bigint;
  /** Bits 7:0 of each of its entries. */
  readonly flags: number;
  /** The same of the last page: what must go on for the row to go on. */
  last: { readonly page: number; readonly physical: bigint; readonly order: number };
}

/**
 * What QEMU's monitor prints for `info mem` on RISC-V: two lines of header, then a line per range that is contiguous in
 * virtual and physical addresses and equal in R, W, X, U, G, A and D. Its peculiarities are kept: a range ends with the
 * table that maps it; bits 63:54 of an entry count as part of its address, save those that a shift by two puts out, and
 * so does the code of a Svnapot group; A and D of pointers and reserved encodings play no part.
 *
 * @param print - takes each line, without its line feed
 * @returns how many entries lead to tables that are not in memory, of which nothing is printed
 * @throws {@link PageTableError} `LIMIT_EXCEEDED` if there are more than 16,777,216 pages; then nothing is printed
 * @see QEMU target/riscv/monitor.c, `walk_pte`
 */
export function printQemuRiscvMem(
  memory: PhysicalMemory,
  paging: Paging,
  print: (line: string) => void,
): number {
  const { fact } = paging.format;
  const span = 2 ** (fact.vaBits - 12);
  // Addresses and sizes have the digits of the machine's registers, physical addresses always 16.
  const digits = fact.entryBytes * 2;
  const widths = [digits, 16, digits];
  const tables = fact.levels.map(({ indexHigh }) => 2 ** (indexHigh + 1 - 12));
  let row: Row | undefined;
  const flush = () => {
    if (row === undefined) return;
    const { page, physical, flags, last } = row;
    const size = BigInt.asUintN(digits * 4, last.physical + bytesOf(last.order) - physical);
    if (size === 0n) return;
    const linear = hexPage(fact.signExtended && page >= span / 2 ? page + 2 ** 52 - span : page).slice(
      -digits,
    );
    const letters = [...LETTERS].map((letter, i) => ((flags >> (i + 1)) & 1 ? letter : '-'));
    print(`${linear} ${digitsOf(physical, 16)} ${digitsOf(size, digits)} ${letters.join('')}`);
  };
  let headed = false;
  const head = () => {
    if (headed) return;
    headed = true;
    print(`${['vaddr', 'paddr', 'size'].map((text, i) => text.padEnd(widths[i])).join(' ')} attr`);
    print([...widths, LETTERS.length].map((width) => '-'.repeat(width)).join(' '));
  };
  const missing = eachPage(memory, paging, ({ page: canonical, order, depth, low, high }) => {
    head();
    const page = canonical % span;
    const flags = low & 0xff;
    const physical = BigInt.asUintN(64, (joinHalves(low, high) >> 10n) << 12n);
    const next = { page, physical, order };
    const goesOn =
      row !== undefined &&
      row.flags === flags &&
      row.last.order === order &&
      row.last.page + 2 ** order === page &&
      page % tables[depth] !== 0 &&
      row.last.physical + bytesOf(order) === physical;
    if (row !== undefined && goesOn) {
      row.last = next;
      return;
    }
    flush();
    row = { page, physical, flags, last: next };
  });
  head();
  flush();
  return missing;
}

function bytesOf(order: number): bigint {
  return 4096n << BigInt(order);
}

function digitsOf(value: bigint, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
