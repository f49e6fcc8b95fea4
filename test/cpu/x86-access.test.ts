import { describe, expect, test } from 'vitest';
import { X86Cpu, type X86CpuOptions } from '../../src/cpu/index.ts';
import { FETCH, READ, WRITE } from '../../src/format/index.ts';
import type { PhysicalMemory } from '../../src/memory/index.ts';
import { LONG } from '../support/long.ts';
import { createRandom, interestingAddresses, type Random, randomTables } from '../support/random-tables.ts';
import {
  type ReferenceMode,
  type ReferenceRead,
  type ReferenceResult,
  referenceWalk,
} from '../support/reference-walker.ts';
import { controlsOf, type Layout, layOut, MODES, type Switches } from '../support/x86-cases.ts';

const KINDS = { read: READ, write: WRITE, fetch: FETCH } as const;

function randomSwitches(mode: ReferenceMode, random: Random): Switches {
  const coin = () => random.chance(0.5);
  return {
    mode,
    physBits: mode === '32-bit' ? 36 : random.pick([40, 46, 52]),
    wp: coin(),
    pse: random.chance(0.8),
    pge: coin(),
    nxe: random.chance(0.8),
    page1GB: random.chance(0.8),
    smep: coin(),
    smap: coin(),
    pke: coin(),
    pks: coin(),
    pkru: random.next(),
    pkrs: random.next(),
  };
}

/** Reads what the processor's own memory holds now. */
function readerOf(memory: PhysicalMemory): ReferenceRead {
  return (address, bytes) => {
    // Physical addresses have at most 52 bits.
    const base = memory.locate(Number(address >> 12n));
    if (base < 0) return undefined;
    const at = base + Number((address & 0xfffn) >> 2n);
    const low = BigInt(memory.words[at]);
    return bytes === 4 ? low : low | (BigInt(memory.words[at + 1]) << 32n);
  };
}

/** Places at which two arrays differ. */
function differences(a: Uint32Array, b: Uint32Array): number[] {
  const bytes = (words: Uint32Array) => new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  if (Buffer.compare(bytes(a), bytes(b)) === 0) return [];
  return [...a.keys()].filter((i) => a[i] !== b[i]);
}

/** What the reference walker says of an access, as text. */
function expected(result: ReferenceResult, address: bigint): string {
  switch (result.kind) {
    case 'ok':
      return `frame ${result.pa >> 12n}`;
    case 'absent':
      return 'absent';
    case 'general-protection':
    case 'pdpte-reserved':
      return '#GP 0';
    case 'page-fault':
      return `#PF ${result.errorCode} ${address}`;
  }
}

function found(cpu: X86Cpu, address: bigint, kind: number): string {
  const frame = cpu.translate(
    Number(BigInt.asIntN(32, address >> 32n)),
    Number(BigInt.asIntN(32, address)),
    kind,
  );
  if (frame >= 0) return `frame ${frame}`;
  const failure = cpu.failure();
  if (failure.kind === 'absent') return 'absent';
  if (failure.exception !== '#PF') return `${failure.exception} ${failure.errorCode}`;
  expect(failure.cr2).toBe(cpu.cr2);
  return `#PF ${failure.errorCode} ${failure.cr2}`;
}

/** Compares every access of one set of tables, and the entries after it, with the reference walker. */
function compare(mode: ReferenceMode, seed: number, options: X86CpuOptions, layout: Layout): void {
  const random = createRandom(seed);
  const switches = randomSwitches(mode, random);
  const tables = randomTables({
    seed,
    mode,
    physBits: mode === '32-bit' ? 32 : (switches.physBits ?? 46),
    // A root that cannot be loaded is no case for accesses.
    ...(mode === 'PAE' ? { reserved: 0 } : {}),
  });
  const { ours, reference } = controlsOf({ ...switches, cr3: tables.cr3 });
  const { memory } = layOut(tables.memory, layout, { first: 0x200, end: 0x240 });
  const cpu = new X86Cpu(memory, ours, options);
  const read = readerOf(memory);
  // The reference reads PDPTEs from memory at each walk. Where tables overlap, a walk may set bits in them there.
  const pdptes = () => [0n, 8n, 16n, 24n].map((offset) => read((tables.cr3 & ~0x1fn) + offset, 8));
  const loaded = pdptes().join();
  const wanted = memory.current().slice();
  for (const address of interestingAddresses(tables, seed, 60)) {
    if (mode === 'PAE' && pdptes().join() !== loaded) return;
    const user = random.chance(0.5);
    const kind = random.pick(['read', 'write', 'fetch'] as const);
    const rflagsAC = random.chance(0.5);
    cpu.cpl = user ? 3 : 0;
    cpu.ac = rflagsAC;
    const want = referenceWalk(read, { ...reference, rflagsAC }, address, { kind, user });
    if (want.kind === 'ok') {
      for (const { address: at, value } of want.updates) {
        const place = memory.locate(Number(at >> 12n)) + Number((at & 0xfffn) >> 2n);
        wanted[place] = Number(value & 0xffff_ffffn);
      }
    }
    const is = { answer: found(cpu, address, KINDS[kind]), differences: differences(wanted, memory.words) };
    const answer = expected(want, address);
    if (is.answer !== answer || is.differences.length > 0) {
      const text = `${mode} seed ${seed}: ${kind} ${user ? 'user' : 'supervisor'} 0x${address.toString(16)}`;
      expect(is, text).toEqual({ answer, differences: [] });
    }
    // No table has changed but for accessed and dirty bits, so that nothing remembered is stale.
  }
}

const SEEDS = LONG ? 2000 : 60;

describe.each(MODES)('%s: every access gets what the manual says', (mode) => {
  test.each([
    ['walking afresh', { caching: 'none' }, 'regions'],
    ['remembering everything', { caching: 'all' }, 'flat'],
    ['remembering three translations', { caching: 3 }, 'sparse'],
  ] as const)('%s', (_, options, layout) => {
    for (let seed = 1; seed <= SEEDS; seed += 1) compare(mode, seed, options, layout);
  });
});
