// Memory images that no machine wrote: for what goes wrong, and for what is large. x86-64, 4-level paging.

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';

/** Bytes of a page, and entries in a table. */
export const PAGE = 4096;
export const ENTRIES = 512;

const ELF_HEADER = 64;
const PROGRAM_HEADER = 56;
const ET_CORE = 4;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_NOTE = 4;
/** Size of `struct QEMUCPUState`, version 1, and where its CR0, CR3 and CR4 stand. */
const CPU_STATE = 440;
const CR0 = 0x188;
const CR3 = 0x1a0;
const CR4 = 0x1a8;

/**
 * Everything of an ELF core before its memory: one segment, the bytes `[base, base + size)` of physical memory, which
 * follow right behind.
 *
 * @param options.cr3 - of the one processor; without it, no processor is noted
 * @param options.type - `e_type`, if not that of a core
 * @see gABI, chapters 4 and 5; QEMU, target/i386/arch_dump.c
 */
export function coreHead(size, { base = 0, cr3, type = ET_CORE } = {}) {
  const note = cr3 === undefined ? Buffer.alloc(0) : qemuNote(cr3);
  const head = Buffer.alloc(ELF_HEADER + 2 * PROGRAM_HEADER);
  head.write('\x7fELF', 'latin1');
  head.set([2, 1, 1], 4); // 64 bits, little-endian, version 1
  head.writeUInt16LE(type, 16);
  head.writeUInt16LE(EM_X86_64, 18);
  head.writeUInt32LE(1, 20);
  head.writeBigUInt64LE(BigInt(ELF_HEADER), 32);
  head.writeUInt16LE(ELF_HEADER, 52);
  head.writeUInt16LE(PROGRAM_HEADER, 54);
  head.writeUInt16LE(2, 56);
  programHeader(head, 0, PT_NOTE, head.length, 0, note.length);
  programHeader(head, 1, PT_LOAD, head.length + note.length, base, size);
  return Buffer.concat([head, note]);
}

/** An ELF core of memory that begins at physical address 0. */
export function core(memory, options) {
  return Buffer.concat([coreHead(memory.length, options), memory]);
}

/** The same as a file, larger than what is written of it: `tables` at its beginning, then nothing but a hole. */
export function writeSparseCore(path, tables, size, cr3) {
  const head = coreHead(size, { cr3 });
  const file = openSync(path, 'w');
  writeSync(file, head);
  for (let at = 0; at < tables.length; )
    at += writeSync(file, tables, at, Math.min(2 ** 24, tables.length - at));
  ftruncateSync(file, head.length + size);
  closeSync(file);
}

/** Tables whose root leads to itself from all entries. */
export function selfLeading() {
  const root = Buffer.alloc(PAGE);
  for (let i = 0; i < ENTRIES; i += 1) root.writeBigUInt64LE(0x1003n, i * 8);
  return Buffer.concat([Buffer.alloc(PAGE), root]);
}

/** Memory that is all random, from a seed: every frame is a table of random entries that lead anywhere in it. */
export function randomTables(frames, seed) {
  const words = new Uint32Array((frames * PAGE) / 4);
  let state = seed;
  for (let i = 0; i < words.length; i += 2) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    const bits = state >>> 8;
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    // Half lead into the memory, some beyond it; reserved bits are set now and then.
    words[i] = (((state >>> 8) % (frames * 2)) << 12) | (bits & 0xfff);
    words[i + 1] = bits % 7 === 0 ? state : bits % 3 === 0 ? 0x8000_0000 : 0;
  }
  return Buffer.from(words.buffer);
}

/**
 * Tables that map page by page: the root at frame 1, below it tables in the order of addresses.
 *
 * @param count - tables of the last level; each maps 2 MiB
 * @param low - `(table, index)` → bits 11:0 of the entry
 * @param high - the same for bits 63:32
 */
export function mapPages(count, low, high = () => 0) {
  const directories = Math.ceil(count / ENTRIES);
  const pointers = Math.ceil(directories / ENTRIES);
  const first = { pointers: 2, directories: 2 + pointers, tables: 2 + pointers + directories };
  const words = new Uint32Array(((first.tables + count) * PAGE) / 4);
  const lead = (from, to, many) => {
    for (let i = 0; i < many; i += 1) words[from * 1024 + i * 2] = ((to + i) << 12) | 7;
  };
  lead(1, first.pointers, pointers);
  lead(first.pointers, first.directories, directories);
  lead(first.directories, first.tables, count);
  for (let table = 0; table < count; table += 1) {
    const start = (first.tables + table) * 1024;
    for (let index = 0; index < ENTRIES; index += 1) {
      words[start + index * 2] = ((((table * ENTRIES + index) * 7919) & 0xf_ffff) << 12) | low(table, index);
      words[start + index * 2 + 1] = high(table, index);
    }
  }
  return Buffer.from(words.buffer);
}

function programHeader(head, i, type, offset, physical, size) {
  const at = ELF_HEADER + i * PROGRAM_HEADER;
  head.writeUInt32LE(type, at);
  head.writeBigUInt64LE(BigInt(offset), at + 8);
  head.writeBigUInt64LE(BigInt(physical), at + 24);
  head.writeBigUInt64LE(BigInt(size), at + 32);
  head.writeBigUInt64LE(BigInt(size), at + 40);
}

function qemuNote(cr3) {
  const note = Buffer.alloc(20 + CPU_STATE);
  note.writeUInt32LE(5, 0);
  note.writeUInt32LE(CPU_STATE, 4);
  note.write('QEMU', 12, 'latin1');
  const state = 20;
  note.writeUInt32LE(1, state);
  note.writeUInt32LE(CPU_STATE, state + 4);
  note.writeBigUInt64LE(0x8005_0033n, state + CR0);
  note.writeBigUInt64LE(BigInt(cr3), state + CR3);
  note.writeBigUInt64LE(0x6f0n, state + CR4);
  return note;
}
