import {
  FORMAT_4_LEVEL,
  FORMAT_5_LEVEL,
  FORMAT_32_BIT,
  FORMAT_PAE,
  resolveX86Control,
  x86Paging,
} from '../dist/format/index.js';
import { flatMemory, OverlayMemory, SparseMemory } from '../dist/memory/index.js';

/** Pages in 1 GiB. */
export const PAGES = 262_144;
/** First page of the range that the tables map. */
export const FIRST = 0x7f_0000_000;

/** 4-level tables that map 1 GiB page by page, to frames in mixed order: root in frame 0, 515 tables in all. */
export function gibibyte() {
  const words = new Uint32Array(1024 * 515);
  words[((FIRST / 2 ** 27) & 511) * 2] = 0x1003;
  words[1024 + ((FIRST >>> 18) & 511) * 2] = 0x2003;
  for (let table = 0; table < 512; table += 1) {
    words[2048 + table * 2] = ((3 + table) << 12) | 3;
    for (let index = 0; index < 512; index += 1) {
      words[(3 + table) * 1024 + index * 2] = ((((table * 512 + index) * 7919) & 0xf_ffff) << 12) | 3;
    }
  }
  return words;
}

/** What the tables of {@link gibibyte} mean. */
export function fourLevel() {
  return x86Paging(resolveX86Control({ cr3: 0n }, true).control);
}

/** The same words frame by frame in sparse memory. */
export function sparse(words) {
  const memory = new SparseMemory();
  for (let frame = 0; frame < words.length / 1024; frame += 1) {
    const at = memory.add(frame);
    memory.memory.words.set(words.subarray(frame * 1024, (frame + 1) * 1024), at);
  }
  return memory.memory;
}

/** Every kind of memory over the same words, and the tables of every format in them. */
export function everything() {
  const words = gibibyte();
  const shared = new SharedArrayBuffer(words.byteLength);
  new Uint32Array(shared).set(words);
  const wasm = new WebAssembly.Memory({ initial: Math.ceil(words.byteLength / 65536) });
  new Uint32Array(wasm.buffer).set(words);
  const half = 256 * 4096;
  const memories = [
    flatMemory(words.buffer),
    flatMemory(shared),
    flatMemory(wasm),
    flatMemory(words.buffer, [
      { address: 0n, offset: 0, length: half },
      { address: BigInt(half), offset: half, length: words.byteLength - half },
    ]),
    sparse(words),
    new OverlayMemory(flatMemory(words.buffer)).memory,
  ];
  const cr4 = { [FORMAT_32_BIT.name]: 0x90n, [FORMAT_PAE.name]: 0xa0n, [FORMAT_5_LEVEL.name]: 0x10a0n };
  const pagings = [FORMAT_4_LEVEL, FORMAT_5_LEVEL, FORMAT_PAE, FORMAT_32_BIT].map((fact) =>
    x86Paging(
      resolveX86Control(
        { cr3: 0n, cr4: cr4[fact.name] ?? 0xa0n, efer: fact.vaBits === 32 ? 0x800n : 0xd00n },
        undefined,
      ).control,
    ),
  );
  return { memories, pagings };
}
