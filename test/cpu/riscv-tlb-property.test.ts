/**
 * Random sequences of accesses, edits of the tables without any fence, and fences: the processor that remembers everything
 * agrees with the reference hart on every answer and on every A and D bit.
 */
import { describe, expect, test } from 'vitest';
import { FETCH, READ, RiscvCpu, WRITE } from '../../src/cpu/index.ts';
import { PhysicalMemory } from '../../src/memory/index.ts';
import { LONG } from '../support/long.ts';
import {
  createRandom,
  type SparseMemory as FrameMap,
  type Random,
  readerOf,
  writeEntry,
} from '../support/random-tables.ts';
import { type RiscvReferenceControl, referenceRiscvLeaf } from '../support/reference-riscv.ts';
import { ReferenceRiscvTlb } from '../support/reference-riscv-tlb.ts';
import {
  RISCV_MODES,
  type RiscvCase,
  type RiscvMode,
  randomPte,
  randomRiscvAddress,
  randomRiscvCase,
  satpOf,
} from '../support/riscv-cases.ts';
import { layOut } from '../support/x86-cases.ts';

const KINDS = { read: READ, write: WRITE, fetch: FETCH } as const;
const ADUE = 1n << 61n;
const PBMTE = 1n << 62n;

/** Memory in which all frames that are not given are one of zeros. */
function everywhere(frames: FrameMap): PhysicalMemory {
  const words = new Uint32Array((frames.size + 1) * 1024);
  const places = new Map([...frames.keys()].map((frame, i) => [frame, (i + 1) * 1024]));
  for (const [frame, given] of frames) words.set(given, places.get(frame));
  return new PhysicalMemory(words, 0, 0, { locate: (frame) => places.get(frame) ?? 0 });
}

/** One processor, one reference, and a memory for each. */
class Pair {
  readonly random: Random;
  readonly it: RiscvCase;
  readonly memory: PhysicalMemory;
  readonly cpu: RiscvCpu;
  readonly reference: ReferenceRiscvTlb;
  readonly log: string[] = [];
  fromCache = 0;
  private readonly recent: bigint[] = [];

  constructor(mode: RiscvMode, seed: number, options: { readonly detector?: boolean } = {}) {
    const random = createRandom(seed);
    this.random = random;
    this.it = randomRiscvCase(random, mode, { firstFrame: 0x8_0000, svnapot: true, svpbmt: true });
    const { frames, control } = this.it;
    // Tables alone are in memory; or there is memory everywhere, all of it zeros, so that more is remembered of pages.
    const isEverywhere = random.chance(0.7);
    this.memory = isEverywhere ? everywhere(frames) : layOut(frames, 'sparse', { first: 0, end: 0 }).memory;
    const read = readerOf(frames);
    const { bytes } = RISCV_MODES[mode];
    const cachesInvalid = random.chance(0.7);
    this.cpu = new RiscvCpu(this.memory, control, { cachesInvalid, ...options });
    this.reference = new ReferenceRiscvTlb(
      (pa, size) => read(pa, size) ?? (isEverywhere ? 0n : undefined),
      (pa, value) => writeEntry(frames, pa, bytes, value),
      control,
      cachesInvalid,
    );
  }

  /** Often one of those that were used last, or next to it. */
  private address(): bigint {
    const { random, recent } = this;
    if (recent.length > 0 && random.chance(0.6)) {
      const va = random.pick(recent);
      return random.chance(0.3) ? va ^ (BigInt(random.below(16)) << 12n) : va;
    }
    recent.push(randomRiscvAddress(random, this.it));
    if (recent.length > 4) recent.shift();
    return recent[recent.length - 1];
  }

  private set(changes: Partial<RiscvReferenceControl>): void {
    this.reference.control = { ...this.reference.control, ...changes };
  }

  step(): void {
    const { random } = this;
    const choice = random.below(100);
    if (choice < 58) this.access();
    else if (choice < 72) this.edit();
    else if (choice < 80) this.fence();
    else if (choice < 92) this.changeAsDue();
    else this.register();
  }

  /** An access, a change of the entry that maps the page, a fence, and the same access. */
  private changeAsDue(): void {
    const { random } = this;
    const va = this.address();
    const kind = random.pick(['read', 'write', 'fetch'] as const);
    const privilege = random.pick(['U', 'S'] as const);
    this.access(va, kind, privilege);
    this.edit(va);
    const inside = BigInt(random.below(random.chance(0.5) ? 1 : 512)) << 12n;
    this.sfence(va ^ inside, random.chance(0.5) ? undefined : this.reference.asid);
    this.access(va, kind, privilege);
  }

  private register(): void {
    const { random, cpu, it } = this;
    const { adue, sum, svpbmt, xlen } = this.reference.control;
    const choice = random.below(8);
    if (choice < 4) {
      const root = random.pick(it.tables[it.tables.length - 1]);
      const satp = satpOf(it.mode, BigInt(root), BigInt(random.below(3)));
      this.log.push(`satp 0x${satp.toString(16)}`);
      cpu.writeCsr('satp', satp);
      this.set({ satp });
    } else if (choice < 6) {
      cpu.sum = !sum;
      this.set({ sum: !sum });
    } else if (choice < 7) {
      const mxr = random.chance(0.5);
      cpu.mxr = mxr;
      this.set({ mxr });
    } else {
      const value = (adue ? 0n : ADUE) | (svpbmt ? PBMTE : 0n);
      if (xlen === 32) cpu.writeCsr('menvcfgh', value >> 32n);
      else cpu.writeCsr('menvcfg', value);
      this.set({ adue: !adue });
      this.log.push(`ADUE ${!adue}`);
    }
  }

  private fence(): void {
    const { random } = this;
    const address = random.chance(0.75) ? this.address() : undefined;
    const asid = random.chance(0.5) ? BigInt(random.below(3)) : undefined;
    this.sfence(address, asid);
  }

  private sfence(address: bigint | undefined, asid: bigint | undefined): void {
    this.log.push(
      `SFENCE.VMA ${address === undefined ? 'x0' : `0x${address.toString(16)}`}, ${asid ?? 'x0'}`,
    );
    this.cpu.sfenceVma({
      ...(address === undefined ? {} : { address }),
      ...(asid === undefined ? {} : { asid }),
    });
    this.reference.sfence(address, asid);
  }

  /** Changes an entry in both memories, and fences nothing. */
  private edit(va = this.random.chance(0.6) ? this.address() : undefined): void {
    const { random, it } = this;
    const { bytes } = RISCV_MODES[it.mode];
    let level = random.below(it.tables.length);
    let pa = BigInt(random.pick(it.tables[level])) * 4096n + BigInt(random.pick(it.hot[level]) * bytes);
    if (va !== undefined) {
      // The entry at which the walk to it ends now.
      const { entries } = referenceRiscvLeaf(readerOf(it.frames), this.reference.control, va);
      const last = entries[entries.length - 1];
      if (last !== undefined) {
        level = last.level;
        pa = last.address;
      }
    }
    const now = readerOf(it.frames)(pa, bytes) ?? 0n;
    const bit = 1n << BigInt(random.pick([0, 0, 1, 2, 3, 4, 5, 6, 7, bytes === 8 ? 63 : 8]));
    const value = random.chance(0.5)
      ? randomPte(random, it.mode, level, it.tables, it.control.physBits)
      : now ^ bit;
    this.log.push(`edit 0x${pa.toString(16)} from 0x${now.toString(16)} to 0x${value.toString(16)}`);
    writeEntry(it.frames, pa, bytes, value);
    const at = this.memory.locate(Number(pa >> 12n)) + Number((pa & 0xfffn) >> 2n);
    this.memory.words[at] = Number(value & 0xffff_ffffn);
    if (bytes === 8) this.memory.words[at + 1] = Number(value >> 32n);
  }

  private access(
    va = this.address(),
    kind = this.random.pick(['read', 'read', 'write', 'fetch'] as const),
    privilege = this.random.pick(['U', 'S'] as const),
  ): void {
    const { cpu } = this;
    if (this.reference.isUncertain(va)) this.sfence(va, undefined);
    this.log.push(`${privilege} ${kind} 0x${va.toString(16)}`);
    const want = this.reference.access(va, { kind, privilege });
    cpu.privilege = privilege;
    const high = Number(BigInt.asIntN(32, va >> 32n));
    const frame = cpu.translate(high, Number(BigInt.asIntN(32, va)), KINDS[kind]);
    const failure = cpu.failure();
    let found = `frame ${frame}`;
    let fromCache = false;
    if (frame < 0) {
      found = failure.kind === 'absent' ? 'absent' : `cause ${failure.cause}`;
      fromCache = failure.kind === 'fault' && failure.fromCache;
    }
    // That a page lies too far away is found with or without the TLB.
    const isAccessFault = failure.kind === 'fault' && failure.cause < 8;
    if (want.fromCache) this.fromCache += 1;
    if (found !== want.text || (frame < 0 && !isAccessFault && fromCache !== want.fromCache)) {
      this.fail(
        `${want.text}${want.fromCache ? ' from the cache' : ''}`,
        `${found}${fromCache ? ' from the cache' : ''}`,
      );
    }
  }

  /** Tables are equal, A and D bits included. */
  check(): void {
    for (const [frame, words] of this.it.frames) {
      const at = this.memory.locate(frame);
      const ours = this.memory.words.subarray(at, at + 1024);
      if (!words.every((word, i) => word === ours[i])) this.fail('the same tables', 'others');
    }
  }

  fail(want: string, found: string): never {
    throw new Error(`expected ${want}, found ${found}; last steps:\n  ${this.log.slice(-50).join('\n  ')}`);
  }
}

const MODES: readonly RiscvMode[] = ['sv32', 'sv39', 'sv48', 'sv57'];
const SEEDS = LONG ? 400 : 14;
const STEPS = 400;

describe('remembering everything', () => {
  test.each(MODES)('%s', (mode) => {
    let fromCache = 0;
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const pair = new Pair(mode, seed, { detector: seed % 5 === 0 });
      try {
        for (let i = 0; i < STEPS; i += 1) pair.step();
        pair.check();
      } catch (error) {
        throw new Error(`${mode}, seed ${seed}`, { cause: error });
      }
      fromCache += pair.fromCache;
    }
    expect(fromCache).toBeGreaterThan(SEEDS * 10);
  });
});
