import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { compileFormat, FORMAT_4_LEVEL, x86Paging } from '../../src/format/index.ts';
import { NOT_IN_MEMORY, type Path, RESERVED, Walker } from '../../src/walk/index.ts';
import { entryTo, Tables } from '../support/tables.ts';
import { controlsOf, type Switches, sparseFrom } from '../support/x86-cases.ts';

/** Bits `high` to `low`, as the manual writes `high:low`; none if `high < low`. */
function bits(high: number, low: number): bigint {
  return high < low ? 0n : ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);
}

interface Kind {
  readonly name: string;
  readonly mode: Switches['mode'];
  readonly depth: number;
  readonly large?: boolean;
  /** faults.md A.8, from the machine's state. */
  readonly reserved: (machine: Machine) => bigint;
  /** formats.md 1.3-1.5: the bits of the entry that are physical address bits of the same number. */
  readonly address: (machine: Machine) => bigint;
}

interface Machine {
  readonly M: number;
  readonly nxe: boolean;
  readonly page1GB: boolean;
  readonly pse36: boolean;
  readonly amd: boolean;
}

const xd = ({ nxe }: Machine) => (nxe ? 0n : 1n << 63n);
const hi = ({ M }: Machine) => bits(51, M);
const top = ({ amd }: Machine) => (1n << 7n) | (amd ? 1n << 8n : 0n);

/** The table of faults.md A.8. */
const KINDS: readonly Kind[] = [
  { name: 'PDE table', mode: '32-bit', depth: 0, reserved: () => 0n, address: () => bits(31, 12) },
  { name: 'PTE', mode: '32-bit', depth: 1, reserved: () => 0n, address: () => bits(31, 12) },
  {
    name: 'PDE 4M',
    mode: '32-bit',
    depth: 0,
    large: true,
    // 40-bit PA: bit 21; 36-bit PA: 21:17; no PSE-36: 21:13.
    reserved: ({ M, pse36 }) => (!pse36 ? bits(21, 13) : M === 36 ? bits(21, 17) : bits(21, 21)),
    address: () => bits(31, 22),
  },
  {
    name: 'PDPTE',
    mode: 'PAE',
    depth: 0,
    reserved: ({ M }) => bits(2, 1) | bits(8, 5) | bits(63, M),
    address: ({ M }) => bits(M - 1, 12),
  },
  {
    name: 'PDE table',
    mode: 'PAE',
    depth: 1,
    reserved: (m) => xd(m) | bits(62, m.M),
    address: ({ M }) => bits(M - 1, 12),
  },
  {
    name: 'PDE 2M',
    mode: 'PAE',
    depth: 1,
    large: true,
    reserved: (m) => xd(m) | bits(62, m.M) | bits(20, 13),
    address: ({ M }) => bits(M - 1, 21),
  },
  {
    name: 'PTE',
    mode: 'PAE',
    depth: 2,
    reserved: (m) => xd(m) | bits(62, m.M),
    address: ({ M }) => bits(M - 1, 12),
  },
  ...(['4-level', '5-level'] as const).flatMap((mode): Kind[] => {
    const down = mode === '5-level' ? 1 : 0;
    const table = ({ M }: Machine) => bits(M - 1, 12);
    return [
      ...(down === 0
        ? []
        : [
            {
              name: 'PML5E',
              mode,
              depth: 0,
              reserved: (m: Machine) => xd(m) | hi(m) | top(m),
              address: table,
            },
          ]),
      { name: 'PML4E', mode, depth: down, reserved: (m) => xd(m) | hi(m) | top(m), address: table },
      {
        name: 'PDPTE table',
        mode,
        depth: down + 1,
        reserved: (m) => xd(m) | hi(m) | (m.page1GB ? 0n : 1n << 7n),
        address: table,
      },
      {
        name: 'PDPTE 1G',
        mode,
        depth: down + 1,
        large: true,
        reserved: (m) => xd(m) | hi(m) | bits(29, 13),
        address: ({ M }) => bits(M - 1, 30),
      },
      { name: 'PDE table', mode, depth: down + 2, reserved: (m) => xd(m) | hi(m), address: table },
      {
        name: 'PDE 2M',
        mode,
        depth: down + 2,
        large: true,
        reserved: (m) => xd(m) | hi(m) | bits(20, 13),
        address: ({ M }) => bits(M - 1, 21),
      },
      { name: 'PTE', mode, depth: down + 3, reserved: (m) => xd(m) | hi(m), address: table },
    ];
  }),
];

function machines(): Machine[] {
  const list: Machine[] = [];
  for (const M of [36, 40, 46, 52]) {
    for (let i = 0; i < 16; i += 1) {
      list.push({ M, nxe: (i & 1) !== 0, page1GB: (i & 2) !== 0, pse36: (i & 4) !== 0, amd: (i & 8) !== 0 });
    }
  }
  return list;
}

const LEVELS = { '32-bit': 2, PAE: 3, '4-level': 4, '5-level': 5 } as const;

/** Makes a walk of page 0 with the entry at one depth given, and proper tables above it; the level below is frame 0. */
function walkerFor(kind: Kind, machine: Machine): (entry: bigint) => Path {
  const tables = new Tables(kind.mode === '32-bit' ? 4 : 8);
  const flags = (depth: number) => (kind.mode === 'PAE' && depth === 0 ? 1n : 7n);
  for (let depth = 0; depth < kind.depth; depth += 1) {
    tables.set(0x10 + depth, 0, entryTo(0x11 + depth, flags(depth)));
  }
  tables.add(0x10 + kind.depth);
  const { M, ...rest } = machine;
  const { ours } = controlsOf({ mode: kind.mode, cr3: 0x10000n, physBits: M, ...rest });
  const { memory } = sparseFrom(tables.frames);
  const walker = new Walker(memory, x86Paging(ours));
  const at = memory.locate(0x10 + kind.depth);
  return (entry) => {
    memory.storeEntry(at, Number(entry & 0xffff_ffffn), Number(entry >> 32n)); // 32 bits each
    return walker.path(0);
  };
}

describe('each bit of each kind of entry, by itself: reserved as faults.md A.8 says, an address bit as formats.md 1.3-1.5 says', () => {
  test.each(KINDS.map((kind) => ({ ...kind, title: `${kind.mode} ${kind.name}` })))('$title', (kind) => {
    const width = kind.mode === '32-bit' ? 32 : 64;
    const isPage = kind.large === true || kind.depth === LEVELS[kind.mode] - 1;
    // P; the PDPTEs of PAE paging have no rights bits.
    const base = (kind.mode === 'PAE' && kind.depth === 0 ? 1n : 7n) | (kind.large === true ? 0x80n : 0n);
    const wrong: string[] = [];
    let checked = 0;
    for (const machine of machines()) {
      if (kind.name === 'PDPTE 1G' && !machine.page1GB) continue;
      const reserved = kind.reserved(machine);
      const address = kind.address(machine);
      const walk = walkerFor(kind, machine);
      for (let bit = 1; bit < width; bit += 1) {
        const one = 1n << BigInt(bit);
        // PS chooses another kind where there is one.
        const choosesKind =
          bit === 7 && !isPage && (reserved & one) === 0n && /PDE|PDPTE table/.test(kind.name);
        if (choosesKind) continue;
        checked += 1;
        const path = walk(base | one);
        const isAddress = (address & one) !== 0n;
        const high = kind.name === 'PDE 4M' && bit >= 13 && bit <= 20 && (reserved & one) === 0n;
        const frame = isAddress ? Number(one >> 12n) : high ? 2 ** (bit - 13 + 20) : 0; // at most 40 bits
        let want: string;
        if ((reserved & one) !== 0n) want = 'reserved';
        else want = isPage ? `mapped ${frame}` : `not-in-memory ${frame}`;
        const found = path.end === 'reserved' ? 'reserved' : `${path.end} ${path.frame}`;
        // A table address may happen to be one of the test's own tables.
        if (found !== want && !(isAddress && !isPage && frame >= 0x10 && frame < 0x10 + LEVELS[kind.mode])) {
          wrong.push(`bit ${bit}, ${JSON.stringify(machine)}: expected ${want}, found ${found}`);
        }
      }
    }
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(checked).toBeGreaterThan(16 * (width - 2));
  });
});

test('all reserved bits clear, all others set: never a reserved fault', () => {
  for (const kind of KINDS) {
    for (const machine of machines()) {
      if (kind.name === 'PDPTE 1G' && !machine.page1GB) continue;
      const width = kind.mode === '32-bit' ? 32 : 64;
      const isPage = kind.large === true || kind.depth === LEVELS[kind.mode] - 1;
      let entry = bits(width - 1, 0) & ~kind.reserved(machine);
      if (!isPage) entry &= ~0x80n;
      const path = walkerFor(kind, machine)(entry);
      expect([kind.mode, kind.name, path.end]).toEqual([
        kind.mode,
        kind.name,
        isPage ? 'mapped' : 'not-in-memory',
      ]);
      const high = kind.name === 'PDE 4M' ? ((entry >> 13n) & 0xffn) << 20n : 0n;
      // At most 40 bits.
      expect(path.frame).toBe(Number(((entry & kind.address(machine)) >> 12n) | high));
    }
  }
});

test('an entry that is not present has no reserved bits', () => {
  for (const kind of KINDS) {
    const width = kind.mode === '32-bit' ? 32 : 64;
    const path = walkerFor(kind, { M: 36, nxe: false, page1GB: false, pse36: false, amd: true })(
      bits(width - 1, 1),
    );
    expect([kind.mode, kind.name, path.end]).toEqual([kind.mode, kind.name, 'not-present']);
  }
});

test('without CR4.PSE, PS of a 32-bit PDE means nothing', () => {
  const tables = new Tables(4).set(1, 0, entryTo(0x800, 0x87n)).set(0x800, 0, entryTo(0x123, 7n));
  const memory = sparseFrom(tables.frames).memory;
  const walker = (pse: boolean) =>
    new Walker(memory, x86Paging(controlsOf({ mode: '32-bit', cr3: 0x1000n, pse }).ours));
  expect(walker(false).translate(0)).toBe(0x123);
  expect(walker(true).path(0)).toMatchObject({ end: 'mapped', frame: 0x800, pageShift: 22 });
});

describe('the number of physical-address bits', () => {
  test.each([31, 53, 0, -1, 40.5, Number.NaN])('%d is out of range', (physBits) => {
    const make = () => x86Paging(controlsOf({ mode: '4-level', physBits }).ours);
    expect(make).toThrow(PageTableError);
    expect(make).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE', detail: { physBits } }));
    expect(() => compileFormat(FORMAT_4_LEVEL, { M: physBits, P: 32, states: new Set() })).toThrow(
      PageTableError,
    );
  });

  test.each([32, 52])('%d is not', (physBits) => {
    const walker = new Walker(
      sparseFrom(new Tables().set(1, 0, entryTo(2 ** (physBits - 12) - 1, 7n)).frames).memory,
      x86Paging(controlsOf({ mode: '4-level', physBits, cr3: 0x1000n }).ours),
    );
    expect(walker.path(0)).toMatchObject({ end: 'not-in-memory', frame: 2 ** (physBits - 12) - 1 });
    expect(walker.translate(0)).toBe(NOT_IN_MEMORY);
    expect(walker.translate(2 ** 27)).toBe(-1);
    expect(RESERVED).not.toBe(NOT_IN_MEMORY);
  });
});
