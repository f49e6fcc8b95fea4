/**
 * Random sequences of accesses, edits of the tables without any invalidation, and invalidations: the processor that
 * remembers everything agrees with the reference TLB on every answer and on every accessed and dirty bit.
 */
import { describe, expect, test } from 'vitest';
import { X86Cpu } from '../../src/cpu/index.ts';
import { FETCH, READ, WRITE } from '../../src/format/index.ts';
import { ABSENT, PhysicalMemory } from '../../src/memory/index.ts';
import { LONG } from '../support/long.ts';
import {
  createRandom,
  type SparseMemory as FrameMap,
  type Random,
  readerOf,
  writeEntry,
} from '../support/random-tables.ts';
import { type ReferenceOutcome, ReferenceTlb } from '../support/reference-tlb.ts';
import type { ReferenceMode } from '../support/reference-walker.ts';
import { controlsOf, MODES, sparseFrom } from '../support/x86-cases.ts';

const KINDS = { read: READ, write: WRITE, fetch: FETCH } as const;
const CR0_CD = 1n << 30n;
const CR0_WP = 1n << 16n;
const CR4_PSE = 1n << 4n;
const CR4_PGE = 1n << 7n;
const CR4_PCIDE = 1n << 17n;
const CR4_SMEP = 1n << 20n;
const CR4_SMAP = 1n << 21n;
const CR4_PKE = 1n << 22n;
const CR4_PKS = 1n << 24n;
const NO_FLUSH = 1n << 63n;

/** Two tables for each depth, and frames that pages of all sizes can begin at. */
const FRAMES = [0x11, 0x12, 0x21, 0x22, 0x31, 0x32, 0x41, 0x42, 0x51, 0x52, 0x4_0000, 0x8_0000, 0xc_0000];
const LARGE_FRAMES = FRAMES.slice(-3);
/** Pieces of large pages that are in memory, where a processor may remember more. */
const PIECES = LARGE_FRAMES.flatMap((frame) => [frame + 1, frame + 5]);

const SHIFTS: Record<ReferenceMode, readonly number[]> = {
  '32-bit': [22, 12],
  PAE: [30, 21, 12],
  '4-level': [39, 30, 21, 12],
  '5-level': [48, 39, 30, 21, 12],
};

/** The place of an entry. */
interface Place {
  readonly depth: number;
  readonly pa: bigint;
}

/** Copies of the frames; the tables lie one after the other, as processors like them best. */
function flat(frames: FrameMap): PhysicalMemory {
  const first = Math.min(...FRAMES);
  const others = [...LARGE_FRAMES, ...PIECES];
  const count = Math.max(...FRAMES.filter((frame) => !others.includes(frame))) + 1 - first;
  const words = new Uint32Array((count + others.length) * 1024);
  const places = new Map(others.map((frame, i) => [frame, (count + i) * 1024]));
  const memory = new PhysicalMemory(words, first, count, {
    locate: (frame) => places.get(frame) ?? ABSENT,
  });
  for (const [frame, given] of frames) words.set(given, memory.locate(frame));
  return memory;
}

/** One processor, one reference, and a memory for each. */
class Pair {
  readonly mode: ReferenceMode;
  readonly random: Random;
  readonly cpu: X86Cpu;
  readonly reference: ReferenceTlb;
  readonly frames: FrameMap = new Map([...FRAMES, ...PIECES].map((frame) => [frame, new Uint32Array(1024)]));
  readonly memory: PhysicalMemory;
  readonly places: readonly Place[];
  readonly indices: readonly (readonly number[])[];
  readonly bytes: 4 | 8;
  readonly log: string[] = [];

  constructor(mode: ReferenceMode, seed: number) {
    const random = createRandom(seed);
    this.mode = mode;
    this.random = random;
    this.bytes = mode === '32-bit' ? 4 : 8;
    const top = mode === '32-bit' ? 1023 : mode === 'PAE' ? 3 : 511;
    // The lowest level has more pages; the others few entries, so that they are shared.
    const depths = SHIFTS[mode].length;
    this.indices = SHIFTS[mode].map((_, depth) =>
      depth === 0 ? [0, top] : depth === depths - 1 ? [0, 1, 5] : [0, 1],
    );
    this.places = this.indices.flatMap((indices, depth) =>
      [0, 1].flatMap((which) =>
        indices.map((index) => ({
          depth,
          pa: BigInt(FRAMES[2 * depth + which] * 4096 + index * this.bytes),
        })),
      ),
    );
    for (const place of this.places) {
      writeEntry(this.frames, place.pa, this.bytes, this.newEntry(place.depth, 0));
    }
    this.memory = seed % 3 === 0 ? sparseFrom(this.frames).memory : flat(this.frames);
    const { ours, reference } = controlsOf({
      mode,
      cr3: BigInt(FRAMES[0]) << 12n,
      physBits: mode === '32-bit' ? 36 : 46,
      smep: random.chance(0.3),
      smap: random.chance(0.2),
      pke: random.chance(0.3),
      pks: random.chance(0.3),
      page1GB: random.chance(0.8),
    });
    const long = mode === '4-level' || mode === '5-level';
    const pcide = long && random.chance(0.8) ? CR4_PCIDE : 0n;
    this.cpu = new X86Cpu(this.memory, { ...ours, cr4: ours.cr4 | pcide }, { caching: 'all' });
    this.reference = new ReferenceTlb(
      readerOf(this.frames),
      (pa, bytes, value) => writeEntry(this.frames, pa, bytes, value),
      { ...reference, cr4: reference.cr4 | pcide },
      // More than what must go is always allowed to go.
      { invpcidAddressDropsAllTables: false, smepDropsAllGlobals: true },
    );
  }

  get isLong(): boolean {
    return this.mode === '4-level' || this.mode === '5-level';
  }

  /** An entry for a depth: most often of a kind that lets walks through. */
  newEntry(depth: number, oddities = 0.05): bigint {
    const { random, mode } = this;
    const last = SHIFTS[mode].length - 1;
    // Not present; with P flipped it still leads to a frame that is there.
    if (random.chance(oddities)) return (BigInt(random.pick(FRAMES)) << 12n) | BigInt(random.below(2048) * 2);
    if (mode === 'PAE' && depth === 0) {
      const odd = random.chance(oddities / 4) ? 1n << BigInt(random.pick([1, 2, 5, 8, 46, 63])) : 0n;
      return (BigInt(FRAMES[2 + random.below(2)]) << 12n) | 1n | odd;
    }
    const on = (bit: number, chance: number) => (random.chance(chance) ? 1n << BigInt(bit) : 0n);
    let entry = 1n | on(1, 0.85) | on(2, 0.85) | on(5, 0.5) | on(6, 0.3) | on(8, 0.3);
    if (mode !== '32-bit') entry |= on(63, 0.04) | on(46, oddities / 2);
    if (this.isLong) entry |= on(59, 0.2) | on(60, 0.2);
    if (depth === last)
      return entry | (BigInt(random.pick(FRAMES)) << 12n) | (random.chance(0.2) ? 0x80n : 0n);
    if (random.chance(0.15)) return entry | 0x80n | (BigInt(random.pick(LARGE_FRAMES)) << 12n);
    const table = random.chance(0.08) ? random.pick(FRAMES) : FRAMES[2 * (depth + 1) + random.below(2)];
    return entry | (BigInt(table) << 12n);
  }

  address(): bigint {
    const { random } = this;
    let va = BigInt(random.below(4096));
    for (const [depth, shift] of SHIFTS[this.mode].entries()) {
      va |= BigInt(random.pick(this.indices[depth])) << BigInt(shift);
    }
    if (!this.isLong) return va;
    const bits = this.mode === '5-level' ? 57 : 48;
    const canonical = BigInt.asUintN(64, BigInt.asIntN(bits, va));
    return random.chance(0.01) ? canonical ^ (1n << BigInt(bits + random.below(64 - bits))) : canonical;
  }

  /** Changes an entry in both memories, and invalidates nothing. */
  edit(): void {
    const { random } = this;
    const { depth, pa } = random.pick(this.places);
    const now = readerOf(this.frames)(pa, this.bytes) ?? 0n;
    const flips = this.mode === '32-bit' ? [0, 1, 2, 5, 6, 7, 8] : [0, 1, 2, 5, 6, 7, 8, 63];
    const pae = this.mode === 'PAE' && depth === 0;
    const value = random.chance(0.5) || pae ? this.newEntry(depth) : now ^ (1n << BigInt(random.pick(flips)));
    this.log.push(`edit 0x${pa.toString(16)} from 0x${now.toString(16)} to 0x${value.toString(16)}`);
    writeEntry(this.frames, pa, this.bytes, value);
    const at = this.memory.locate(Number(pa >> 12n)) + Number((pa & 0xfffn) >> 2n);
    this.memory.words[at] = Number(value & 0xffff_ffffn);
    if (this.bytes === 8) this.memory.words[at + 1] = Number(value >> 32n);
  }

  access(): void {
    const { random, cpu } = this;
    const va = this.address();
    const kind = random.pick(['read', 'read', 'write', 'fetch'] as const);
    const user = random.chance(0.5);
    this.log.push(`${user ? 'user' : 'supervisor'} ${kind} 0x${va.toString(16)}`);
    if (kind === 'write' && this.reference.isWriteUncertain(va)) {
      this.log.push('INVLPG of the same');
      this.reference.invlpg(va);
      cpu.invlpg(va);
    }
    const want = textOf(this.reference.access(va, { kind, user }));
    cpu.cpl = user ? 3 : 0;
    const high = Number(BigInt.asIntN(32, va >> 32n));
    const frame = cpu.translate(high, Number(BigInt.asIntN(32, va)), KINDS[kind]);
    cpu.cpl = 0;
    const failure = cpu.failure();
    const found =
      frame >= 0
        ? `frame ${frame}`
        : failure.kind === 'absent'
          ? 'absent'
          : failure.exception === '#PF'
            ? `#PF ${failure.errorCode}${failure.fromCache ? ' from the cache' : ''}`
            : failure.exception;
    this.check(found, want);
  }

  step(): void {
    const { random, cpu, reference } = this;
    const choice = random.below(100);
    if (choice < 55) this.access();
    else if (choice < 77) this.edit();
    else if (choice < 81) {
      const va = this.address();
      this.log.push(`INVLPG 0x${va.toString(16)}`);
      reference.invlpg(va);
      this.check(textOfFault(cpu.invlpg(va)), 'done');
    } else if (choice < 87) {
      const keeps = this.isLong && (cpu.cr4 & CR4_PCIDE) !== 0n && random.chance(0.6) ? NO_FLUSH : 0n;
      const value = BigInt(FRAMES[random.below(2)] << 12) | BigInt(this.isLong ? random.below(3) : 0) | keeps;
      this.log.push(`MOV CR3, 0x${value.toString(16)}`);
      this.check(textOfFault(cpu.writeCr3(value)), textOfDone(reference.writeCr3(value)));
    } else if (choice < 91) {
      const type = random.below(4);
      const pcid = random.below(3);
      const va = this.address();
      this.log.push(`INVPCID ${type}, ${pcid}, 0x${va.toString(16)}`);
      const done = reference.invpcid(type, BigInt(pcid), va);
      this.check(textOfFault(cpu.invpcid(type, pcid, va)), textOfDone(done));
    } else if (choice < 94) {
      const bits = [CR4_PSE, CR4_PGE, CR4_SMEP, CR4_SMAP];
      const value = cpu.cr4 ^ random.pick(this.isLong ? [...bits, CR4_PCIDE, CR4_PKE, CR4_PKS] : bits);
      this.log.push(`MOV CR4, 0x${value.toString(16)}`);
      this.check(textOfFault(cpu.writeCr4(value)), textOfDone(reference.writeCr4(value)));
    } else if (choice < 96) {
      const value = cpu.cr0 ^ random.pick([CR0_WP, CR0_CD]);
      this.log.push(`MOV CR0, 0x${value.toString(16)}`);
      this.check(textOfFault(cpu.writeCr0(value)), textOfDone(reference.writeCr0(value)));
    } else if (choice < 98) {
      const [pkru, pkrs] = [random.next(), random.next()];
      this.log.push(`PKRU = 0x${pkru.toString(16)}, PKRS = 0x${pkrs.toString(16)}`);
      cpu.writePkru(BigInt(pkru));
      cpu.writePkrs(BigInt(pkrs));
      reference.control = { ...reference.control, pkru, pkrs };
    } else {
      cpu.ac = !cpu.ac;
      this.log.push(`AC = ${cpu.ac}`);
      reference.control = { ...reference.control, rflagsAC: cpu.ac };
    }
    this.compareEntries();
  }

  private check(found: string, want: string): void {
    if (found === want) return;
    const history = `${this.mode}, last steps:\n  ${this.log.slice(-80).join('\n  ')}\n`;
    expect(`${history}${found}`).toBe(`${history}${want}`);
  }

  /** The entries that sequences are about. */
  private compareEntries(): void {
    for (const { pa } of this.places) {
      const frame = Number(pa >> 12n);
      const at = this.memory.locate(frame);
      const words = this.frames.get(frame);
      const word = Number((pa & 0xfffn) >> 2n);
      const length = this.bytes / 4;
      const found = this.memory.words.subarray(at + word, at + word + length);
      const want = words?.subarray(word, word + length);
      if (found[0] === want?.[0] && found[1] === want[1]) continue;
      this.check(`0x${pa.toString(16)} holds ${found}`, `0x${pa.toString(16)} holds ${want}`);
    }
  }

  /** All of memory. */
  compareMemory(): void {
    for (const [frame, words] of this.frames) {
      const at = this.memory.locate(frame);
      expect(this.memory.words.slice(at, at + 1024), `frame 0x${frame.toString(16)}`).toEqual(words);
    }
  }
}

function textOf(outcome: ReferenceOutcome): string {
  switch (outcome.kind) {
    case 'ok':
      return `frame ${outcome.frame}`;
    case 'page-fault':
      return `#PF ${outcome.errorCode}${outcome.fromCache ? ' from the cache' : ''}`;
    case 'general-protection':
      return '#GP';
    case 'absent':
      return 'absent';
  }
}

function textOfFault(fault: { readonly exception: string } | undefined): string {
  return fault?.exception ?? 'done';
}

function textOfDone(done: boolean): string {
  return done ? 'done' : '#GP';
}

const SEEDS = LONG ? 1500 : 30;
const STEPS = 300;

describe.each(MODES)('%s: what is remembered is what the reference TLB remembers', (mode) => {
  test('whatever is edited, invalidated and switched', () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const pair = new Pair(mode, seed);
      for (let step = 0; step < STEPS; step += 1) {
        pair.log.push(`seed ${seed}, step ${step}`);
        pair.step();
      }
      pair.compareMemory();
    }
  });
});
