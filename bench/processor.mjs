import { X86Cpu } from '../dist/cpu/index.js';
import { READ } from '../dist/format/index.js';
import { flatMemory } from '../dist/memory/index.js';
import { FIRST, gibibyte } from './tables.mjs';

/** Bits 63:32 of the addresses of the tables' pages. */
const HIGH = Math.floor(FIRST / 2 ** 20);
/** Pages that a TLB holds at once, here: 1 MiB. */
const HOT = 256;

/** A processor with its own copy of tables that map 1 GiB page by page. */
function processor(caching) {
  const words = gibibyte();
  // A few pages are in memory themselves.
  for (let index = 0; index < HOT; index += 1) words[3 * 1024 + index * 2] = ((3 + index) << 12) | 3;
  const cpu = new X86Cpu(flatMemory(words.buffer), { cr3: 0n }, { caching });
  return { cpu, words };
}

/**
 * What accesses through a processor cost. An "array load" reads the words that the TLB hits lead to.
 *
 * @param {(name: string, kind: string, operations: ArrayLike<number>, body: Function) => import('./measure.mjs').Row} row
 * @param {ArrayLike<number>} random - page numbers
 */
export function processorRows(row, random) {
  const hot = processor('all');
  const lows = Int32Array.from(random, (page) => page << 12);
  const near = Int32Array.from(random, (page) => ((page % HOT) << 12) | (page & 0xffc));
  const places = near.map((low) => 3 * 1024 + (low >>> 2));
  const miss = (caching) => {
    const { cpu } = processor(caching);
    return (p, from, to) => {
      if (from === 0) cpu.reloadCr3();
      let sum = 0;
      for (let i = from; i < to; i += 1) sum = (sum + cpu.translate(HIGH, p[i], READ)) | 0;
      return sum;
    };
  };
  return [
    row('limit: array load, 1 MiB', 'machine', places, (p, from, to) => {
      const { words } = hot;
      let sum = 0;
      for (let i = from; i < to; i += 1) sum = (sum + words[p[i]]) | 0;
      return sum;
    }),
    row('X86Cpu.translate, TLB hit', 'halves', near, (p, from, to) => {
      let sum = 0;
      for (let i = from; i < to; i += 1) sum = (sum + hot.cpu.translate(HIGH, p[i], READ)) | 0;
      return sum;
    }),
    row('X86Cpu.load, TLB hit, 4 bytes', 'halves', near, (p, from, to) => {
      let sum = 0;
      for (let i = from; i < to; i += 1) {
        hot.cpu.load(HIGH, p[i], 4);
        sum = (sum + hot.cpu.low) | 0;
      }
      return sum;
    }),
    row("X86Cpu.translate, walks afresh ('none')", 'halves', lows, miss('none')),
    row('X86Cpu.translate, misses a TLB of 1024', 'halves', lows, miss(1024)),
    row("X86Cpu.translate, misses and remembers ('all')", 'halves', lows, miss('all')),
  ];
}
