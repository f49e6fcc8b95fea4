/**
 * Random page tables of every format in one form: what the library reads, and what the reference walkers say of a page, in
 * `bigint` and one page at a time.
 */
import { aarch64Paging, mairType, type Paging, riscvPaging, x86Paging } from '../../src/format/index.ts';
import type { PhysicalMemory } from '../../src/memory/index.ts';
import { randomAddress, randomCase, readerOfMemory } from './aarch64-cases.ts';
import { createRandom, interestingAddresses, type Random, randomTables } from './random-tables.ts';
import {
  type Aarch64ReferenceControl,
  referenceAarch64Leaf,
  referenceAarch64Walk,
  referenceHalf,
} from './reference-aarch64.ts';
import { type RiscvReferenceControl, referenceRiscvLeaf, referenceRiscvWalk } from './reference-riscv.ts';
import {
  type ReferenceControl,
  type ReferenceRightsSet,
  referenceLeaf,
  referenceRights,
} from './reference-walker.ts';
import {
  RISCV_MODES,
  type RiscvMode,
  randomRiscvAddress,
  randomRiscvCase,
  readerOfRiscv,
} from './riscv-cases.ts';
import { controlsOf, MODES, type Switches, sparseFrom } from './x86-cases.ts';

/** What a page means. Nothing mapped is `undefined`. */
export type SlowMeaning =
  | {
      readonly kind: 'mapped';
      readonly frame: number;
      readonly rights: number;
      readonly memoryType: string;
      readonly global: boolean;
      /** `log2` of the bytes that the entry maps. */
      readonly pageShift: number;
    }
  | { readonly kind: 'missing'; readonly frame: number }
  | { readonly kind: 'faulty' };

/** Registers and tables of some machine. */
export interface PagingCase {
  readonly name: string;
  readonly paging: Paging;
  /** The same with other control registers that leave the shape of the tables alone. */
  readonly other: PagingCase | undefined;
  readonly memory: PhysicalMemory;
  /** What a page means, with tables in any memory; `'elsewhere'` for a page of the other half. */
  readonly meaning: (memory: PhysicalMemory, page: number) => SlowMeaning | undefined | 'elsewhere';
  /** A page that the tables may well map. */
  readonly page: (random: Random) => number;
}

/** The bits of effective rights, in the order of `format/rights.ts`. */
function bitsOf(user: ReferenceRightsSet, supervisor: ReferenceRightsSet): number {
  const of = ({ read, write, execute }: ReferenceRightsSet) =>
    (read ? 1 : 0) | (write ? 2 : 0) | (execute ? 4 : 0);
  return of(user) | (of(supervisor) << 3);
}

function rightsBy(may: (kind: 'read' | 'write' | 'fetch', user: boolean) => boolean): number {
  const of = (user: boolean) => ({
    read: may('read', user),
    write: may('write', user),
    execute: may('fetch', user),
  });
  return bitsOf(of(true), of(false));
}

// Pages have at most 52 bits.
const pageOfAddress = (va: bigint) => Number(va >> 12n);
const addressOfPage = (page: number) => BigInt(page) << 12n;

// The bytes of IA32_PAT after reset: formats.md 1.6.
const PAT_TYPES = ['WB', 'WT', 'UC-', 'UC', 'WB', 'WT', 'UC-', 'UC'];

function x86Case(seed: number): PagingCase {
  const random = createRandom(seed);
  const mode = MODES[seed % MODES.length];
  const tables = randomTables({ seed, mode, ...(mode === '32-bit' ? {} : { physBits: 40 }) });
  const switches: Switches = {
    mode,
    cr3: tables.cr3,
    physBits: 40,
    nxe: random.chance(0.8),
    wp: random.chance(0.7),
    smep: random.chance(0.3),
    smap: random.chance(0.3),
    pke: random.chance(0.4),
    pkru: random.next(),
  };
  const memory = sparseFrom(tables.memory).memory;
  const addresses = interestingAddresses(tables, seed + 1, 60);
  const make = (name: string, chosen: Switches, other: PagingCase | undefined): PagingCase => {
    const { ours, reference } = controlsOf(chosen);
    return {
      name,
      paging: x86Paging(ours),
      other,
      memory,
      meaning: (where, page) => x86Meaning(where, reference, page),
      page: (stream) => pageOfAddress(stream.pick(addresses)),
    };
  };
  const flipped = random.pick(['nxe', 'wp', 'smep', 'pge'] as const);
  const other = make('', { ...switches, [flipped]: !(switches[flipped] ?? true) }, undefined);
  return make(`${mode} ${flipped}`, switches, other);
}

function x86Meaning(
  memory: PhysicalMemory,
  control: ReferenceControl,
  page: number,
): SlowMeaning | undefined {
  const wide = control.mode === '4-level' || control.mode === '5-level';
  if (!wide && page >= 2 ** 20) return undefined;
  const leaf = referenceLeaf(readerOfRiscv(memory), control, addressOfPage(page));
  switch (leaf.kind) {
    case 'non-canonical':
    case 'not-present':
      return undefined;
    case 'reserved':
    case 'pdpte-reserved':
      return { kind: 'faulty' };
    case 'absent':
      return { kind: 'missing', frame: pageOfAddress(leaf.entryAddress) };
    case 'leaf': {
      const { user, supervisor } = referenceRights(control, leaf.page);
      return {
        kind: 'mapped',
        frame: pageOfAddress(leaf.pa),
        rights: bitsOf(user, supervisor),
        memoryType: PAT_TYPES[leaf.patIndex],
        global: leaf.global,
        pageShift: Math.log2(Number(leaf.pageSize)), // at most 2^30
      };
    }
  }
}

function riscvCase(seed: number): PagingCase {
  const random = createRandom(seed);
  const modes = Object.keys(RISCV_MODES) as RiscvMode[];
  const mode = modes[seed % modes.length];
  const it = randomRiscvCase(random, mode, {
    firstFrame: 0x8_0000,
    svnapot: random.chance(0.7),
    svpbmt: random.chance(0.7),
  });
  const memory = sparseFrom(it.frames).memory;
  const make = (name: string, control: RiscvReferenceControl, other: PagingCase | undefined): PagingCase => ({
    name,
    paging: riscvPaging(control),
    other,
    memory,
    // Pages beyond the end of physical memory are a matter of accesses, not of tables.
    meaning: (where, page) => riscvMeaning(where, { ...control, physBits: 64 }, page),
    page: (stream) => pageOfAddress(randomRiscvAddress(stream, it)),
  });
  const flipped = random.pick([
    'sum',
    'mxr',
    'adue',
    ...(mode === 'sv32' ? [] : ['svpbmt' as const]),
  ] as const);
  const changed = { ...it.control, [flipped]: !it.control[flipped] };
  return make(`${mode} ${flipped}`, it.control, make('', changed, undefined));
}

function riscvMeaning(
  memory: PhysicalMemory,
  control: RiscvReferenceControl,
  page: number,
): SlowMeaning | undefined {
  if (control.xlen === 32 && page >= 2 ** 20) return undefined;
  const read = readerOfRiscv(memory);
  const va = addressOfPage(page);
  const leaf = referenceRiscvLeaf(read, control, va);
  if (leaf.kind === 'absent') return { kind: 'missing', frame: pageOfAddress(leaf.address ?? 0n) };
  if (leaf.kind === 'reserved') return { kind: 'faulty' };
  if (leaf.kind !== 'leaf') return undefined;
  const rights = rightsBy(
    (kind, user) =>
      referenceRiscvWalk(read, control, va, { kind, privilege: user ? 'U' : 'S' }).kind === 'ok',
  );
  const { value } = leaf.entries[leaf.entries.length - 1];
  const pbmt = control.svpbmt && control.xlen === 64 ? Number((value >> 61n) & 3n) : 0;
  return {
    kind: 'mapped',
    frame: pageOfAddress(leaf.pa),
    rights,
    memoryType: ['PMA', 'NC', 'IO'][pbmt],
    global: leaf.global,
    pageShift: Math.log2(Number(leaf.pageSize)), // at most 2^48
  };
}

/** One half; `undefined` where the registers turn walks off, or are not accepted. */
function aarch64Case(seed: number): PagingCase | undefined {
  const random = createRandom(seed);
  const it = randomCase(random);
  const upper = random.chance(0.5);
  const half = referenceHalf(it.control.tcr, upper ? 1n << 55n : 0n);
  const ttbr = upper ? it.control.ttbr1 : it.control.ttbr0;
  const isOff = (it.control.sctlr & 1n) === 0n || half.epd || ((ttbr >> 45n) & 1n) === 1n;
  if (isOff || half.tnsz < 16 || half.tnsz > (half.granuleShift === 16 ? 47 : 48)) return undefined;
  // Reserved codes of the granule are refused.
  const code = Number((it.control.tcr >> (upper ? 30n : 14n)) & 3n);
  if (code === (upper ? 0 : 3)) return undefined;
  const make = (
    name: string,
    control: Aarch64ReferenceControl,
    other: PagingCase | undefined,
  ): PagingCase | undefined => {
    const paging = aarch64Paging(control, upper ? 'upper' : 'lower');
    if (paging === undefined) return undefined;
    return {
      name,
      paging,
      other,
      memory: it.memory,
      meaning: (where, page) => aarch64Meaning(where, control, upper, page),
      // Without a tag.
      page: (stream) => pageOfAddress(BigInt.asUintN(64, BigInt.asIntN(56, randomAddress(stream, it)))),
    };
  };
  // WXN, EPAN, HPDn.
  const bit = random.pick([19n, 57n]);
  const changed = random.chance(0.6)
    ? { ...it.control, sctlr: it.control.sctlr ^ (1n << bit) }
    : { ...it.control, tcr: it.control.tcr ^ (upper ? 1n << 42n : 1n << 41n) };
  const name = `AArch64 ${2 ** (half.granuleShift - 10)}K, ${64 - half.tnsz} bits`;
  return make(name, it.control, make('', changed, undefined));
}

function aarch64Meaning(
  memory: PhysicalMemory,
  control: Aarch64ReferenceControl,
  upper: boolean,
  page: number,
): SlowMeaning | undefined | 'elsewhere' {
  const va = addressOfPage(page);
  if ((((va >> 55n) & 1n) === 1n) !== upper) return 'elsewhere';
  // A tag is none of the tables' business.
  if (BigInt.asUintN(64, BigInt.asIntN(56, va)) !== va) return undefined;
  const read = readerOfMemory(memory);
  const leaf = referenceAarch64Leaf(read, control, va, { kind: 'read', el: 1 });
  if (leaf.kind === 'absent') return { kind: 'missing', frame: pageOfAddress(leaf.address) };
  if (leaf.kind === 'fault') return leaf.code === 0 ? { kind: 'faulty' } : undefined;
  const rights = rightsBy(
    (kind, user) => referenceAarch64Walk(read, control, va, { kind, el: user ? 0 : 1 }).kind === 'ok',
  );
  const shift = 8n * ((leaf.entry >> 2n) & 7n);
  const { granuleShift: g } = referenceHalf(control.tcr, va);
  return {
    kind: 'mapped',
    frame: pageOfAddress(leaf.pa),
    rights,
    memoryType: mairType(Number((control.mair >> shift) & 0xffn)).name,
    global: ((leaf.entry >> 11n) & 1n) === 0n,
    pageShift: g + (3 - leaf.level) * (g - 3),
  };
}

/** Cases of all formats, as many as `count` of each architecture. */
export function pagingCases(count: number): PagingCase[] {
  const list: PagingCase[] = [];
  for (let seed = 1; seed <= count; seed += 1) {
    list.push(x86Case(seed), riscvCase(seed));
    const arm = aarch64Case(seed);
    if (arm !== undefined) list.push(arm);
  }
  return list;
}
