import { describe, expect, test } from 'vitest';
import { ACCESSES, rightBit, x86Paging } from '../../src/format/index.ts';
import { explain, listRegions } from '../../src/inspect/index.ts';
import { LONG } from '../support/long.ts';
import { createRandom, interestingAddresses, type Random, randomTables } from '../support/random-tables.ts';
import {
  type ReferenceControl,
  type ReferenceLeaf,
  type ReferenceMode,
  type ReferenceResult,
  type ReferenceStop,
  referenceLeaf,
  referenceRights,
  referenceWalk,
} from '../support/reference-walker.ts';
import { rowAt, rowsByPage } from '../support/region-lookup.ts';
import { controlsOf, LAYOUTS, layOut, MODES, type Switches } from '../support/x86-cases.ts';

const PAT = 0x0706_0504_0100_0600n;
/** What its entries mean, by the SDM's table of encodings. */
const TYPES = ['UC', 'WB', 'UC', 'WC', 'WT', 'WP', 'WB', 'UC-'];

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
    smap: random.chance(0.3),
    pke: coin(),
    pks: coin(),
    pkru: random.next(),
    pkrs: random.next(),
    pat: PAT,
  };
}

/** Effective rights by the reference walker, in the library's bits. */
function rightsOf(control: ReferenceControl, leaf: ReferenceLeaf): number {
  const { user, supervisor } = referenceRights(control, leaf.page);
  const bits = (set: typeof user) => (set.read ? 1 : 0) | (set.write ? 2 : 0) | (set.execute ? 4 : 0);
  return bits(user) | (bits(supervisor) << 3);
}

/** What one access gets, as `allowed`, `unknown`, `#GP` or a page fault's error code. */
function accessText(result: ReferenceResult): string {
  switch (result.kind) {
    case 'ok':
      return 'allowed';
    case 'absent':
      return 'unknown';
    case 'general-protection':
    case 'pdpte-reserved':
      return '#GP 0';
    case 'page-fault':
      return `#PF ${result.errorCode}`;
  }
}

/** The name that each bit of an error code has (faults.md A.2). */
function errorBitsOf(text: string): string[] {
  const code = text.startsWith('#PF') ? Number(text.slice(4)) : 0;
  return ['P', 'W/R', 'U/S', 'RSVD', 'I/D', 'PK'].filter((_, bit) => (code & (1 << bit)) !== 0);
}

function build(mode: ReferenceMode, seed: number) {
  const random = createRandom(seed);
  const switches = randomSwitches(mode, random);
  const tables = randomTables({ seed, mode, physBits: mode === '32-bit' ? 32 : (switches.physBits ?? 46) });
  const { ours, reference } = controlsOf({ ...switches, cr3: tables.cr3 });
  const { memory, read } = layOut(tables.memory, LAYOUTS[seed % LAYOUTS.length], {
    first: 0x200,
    end: 0x240,
  });
  return {
    paging: x86Paging(ours),
    reference,
    memory,
    read,
    addresses: interestingAddresses(tables, seed, 100),
  };
}

describe('explain and access agree with the reference walker on random tables', () => {
  test.each(MODES)(
    '%s: effective rights, size, type, global, and error codes of all six accesses',
    (mode) => {
      const seed = 20_000;
      const codes = new Map<string, number>();
      const differences: string[] = [];
      let accesses = 0;
      for (let i = 0; i < 24; i += 1) {
        const { paging, reference, memory, read, addresses } = build(mode, seed + i);
        for (const va of addresses) {
          const found = explain(memory, paging, va);
          const leaf = referenceLeaf(read, reference, va);
          const at = `seed ${seed + i} va 0x${va.toString(16)}`;
          const want = factsOf(reference, leaf);
          const { physical, pageBytes, memoryType, global, rights } = found;
          const got = { physical, pageBytes, pat: memoryType?.index, global, rights };
          if (text(got) !== text(want)) differences.push(`${at}: expected ${text(want)}, found ${text(got)}`);
          for (const { access, result } of found.accesses) {
            accesses += 1;
            const expected = accessText(referenceWalk(read, reference, va, access));
            const actual = result.kind === 'fault' ? `${result.exception} ${result.errorCode}` : result.kind;
            codes.set(expected, (codes.get(expected) ?? 0) + 1);
            // Each name begins with the manual's.
            const bits = result.kind === 'fault' ? result.errorBits.map((bit) => bit.split(' ')[0]) : [];
            if (actual !== expected || bits.join() !== errorBitsOf(expected).join()) {
              differences.push(`${at} ${text(access)}: expected ${expected}, found ${text(result)}`);
            }
            if (result.kind === 'fault' && result.because.length === 0)
              differences.push(`${at}: no reason given`);
          }
        }
      }
      const seen = [...codes].sort().map(([code, times]) => `${code}: ${times}`);
      console.log(
        `access, ${mode}: ${accesses} accesses from seed ${seed}, ${differences.length} differences; ${seen.join(', ')}`,
      );
      expect(differences.slice(0, 3)).toEqual([]);
      // Four modes: 57,600.
      expect(accesses).toBe(14_400);
      // Every code that faults.md A.2 lists as typical, where the mode can have it.
      const expected = [
        'allowed',
        'unknown',
        '#PF 0',
        '#PF 2',
        '#PF 4',
        '#PF 6',
        '#PF 3',
        '#PF 5',
        '#PF 7',
        '#PF 1',
      ];
      if (mode !== '32-bit')
        expected.push(
          '#PF 9',
          '#PF 11',
          '#PF 13',
          '#PF 15',
          '#PF 17',
          '#PF 20',
          '#PF 21',
          '#PF 25',
          '#PF 29',
        );
      if (mode === 'PAE') expected.push('#GP 0');
      if (mode === '4-level' || mode === '5-level')
        expected.push('#GP 0', '#PF 33', '#PF 35', '#PF 37', '#PF 39');
      expect(expected.filter((code) => !codes.has(code))).toEqual([]);
    },
  );
});

/** What `explain` says of a translation, by the reference walker. */
function factsOf(control: ReferenceControl, leaf: ReferenceLeaf | ReferenceStop) {
  if (leaf.kind !== 'leaf') {
    return {
      physical: undefined,
      pageBytes: undefined,
      pat: undefined,
      global: undefined,
      rights: undefined,
    };
  }
  return {
    physical: leaf.pa,
    pageBytes: leaf.pageSize,
    pat: leaf.patIndex,
    global: leaf.global,
    rights: rightsOf(control, leaf),
  };
}

function text(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'bigint' ? `0x${part.toString(16)}` : part,
  );
}

/** Sets of tables whose regions are listed one by one: with five levels, such a list has a quarter of a million rows. */
function listedSets(mode: ReferenceMode, sets: number): number {
  return mode === '5-level' && !LONG ? 2 : sets;
}

describe('listRegions says of every page what the reference walker says', () => {
  const variants = [
    { name: 'folded', options: {} },
    { name: 'unfolded', options: { all: true } },
    { name: 'by rights', options: { merge: 'rights' } },
    { name: 'one page to a row', options: { merge: 'none' } },
  ] as const;

  for (const mode of MODES) {
    test.each(variants)(`${mode}, $name`, ({ options, name }) => {
      const seed = 30_000;
      const kinds = new Map<string, number>();
      const differences: string[] = [];
      let pages = 0;
      const sets = name === 'unfolded' ? listedSets(mode, 6) : 6;
      for (let i = 0; i < sets; i += 1) {
        const { paging, reference, memory, read, addresses } = build(mode, seed + i);
        const rows = rowsByPage(listRegions(memory, paging, options));
        for (const va of addresses) {
          pages += 1;
          const leaf = referenceLeaf(read, reference, va);
          const page = Number(va >> 12n); // At most 52 bits.
          const row = rowAt(rows, page);
          kinds.set(row?.through ?? 'none', (kinds.get(row?.through ?? 'none') ?? 0) + 1);
          const got = row === undefined ? 'none' : row.region.kind;
          let want: string = leaf.kind;
          if (leaf.kind === 'leaf') want = 'mapped';
          else if (leaf.kind === 'absent') want = 'missing';
          else if (leaf.kind === 'reserved' || leaf.kind === 'pdpte-reserved') want = 'faulty';
          else want = 'none';
          let same = want === got;
          if (same && leaf.kind === 'leaf' && row?.region.kind === 'mapped') {
            const { frame, rights, memoryType, global, pageShifts } = row.region;
            const shift = Math.log2(Number(leaf.pageSize)); // At most 2^30.
            same =
              rights === rightsOf(reference, leaf) &&
              pageShifts.includes(shift) &&
              (frame === undefined || frame + row.offset === Number(leaf.pa >> 12n)) &&
              // Two PAT entries of one type are one type.
              (memoryType === undefined || memoryType.name === TYPES[leaf.patIndex]) &&
              (global === undefined || global === leaf.global) &&
              // Only merging by rights alone may leave any of these out.
              (name === 'by rights' ||
                (frame !== undefined && memoryType !== undefined && global !== undefined));
          }
          if (!same) {
            differences.push(
              `seed ${seed + i} va 0x${va.toString(16)}: expected ${text(factsOf(reference, leaf))} (${want}), found ${text(row)}`,
            );
          }
        }
      }
      const seen = [...kinds].sort().map(([kind, times]) => `${kind} ${times}`);
      console.log(
        `regions, ${mode}, ${name}: ${pages} pages from seed ${seed}, ${differences.length} differences; found ${seen.join(', ')}`,
      );
      expect(differences.slice(0, 3)).toEqual([]);
      expect(pages).toBe(sets * 100);
      expect(kinds.has('none') && kinds.has('directly')).toBe(true);
    });
  }
});

describe('listRegions of a range says of every page in it what the whole list says, and of no other page anything', () => {
  test.each(MODES)('%s', (mode) => {
    const seed = 40_000;
    let pages = 0;
    const sets = listedSets(mode, 5);
    for (let i = 0; i < sets; i += 1) {
      const { paging, memory, addresses } = build(mode, seed + i);
      const random = createRandom(seed + i);
      const whole = rowsByPage(listRegions(memory, paging, { all: true }));
      // At most 52 bits.
      const numbers = addresses.map((va) => Number(va >> 12n)).sort((a, b) => a - b);
      for (let k = 0; k < 5; k += 1) {
        const first = random.pick(numbers);
        const end = Math.max(first + 1, random.pick(numbers));
        const rows = rowsByPage(listRegions(memory, paging, { range: { first, end } }));
        const last = rows.at(-1);
        const lastEnd =
          last === undefined ? end : last.end + ((last.repeat?.count ?? 1) - 1) * (last.repeat?.stride ?? 0);
        expect([seed + i, first, end, (rows[0]?.first ?? first) >= first, lastEnd <= end]).toEqual([
          seed + i,
          first,
          end,
          true,
          true,
        ]);
        const wrong = numbers.filter((page) => {
          pages += 1;
          const inRange = page >= first && page < end;
          const found = rowAt(rows, page)?.region;
          const want = inRange ? rowAt(whole, page)?.region : undefined;
          if (found?.kind !== want?.kind) return true;
          return found?.kind === 'mapped' && want?.kind === 'mapped' && found.rights !== want.rights;
        });
        expect([seed + i, first, end, wrong]).toEqual([seed + i, first, end, []]);
      }
    }
    console.log(`regions, ${mode}: ${pages} pages in ${sets * 5} ranges from seed ${seed}`);
  });
});

test('the six accesses are numbered as the bits of effective rights are', () => {
  const bits = ACCESSES.map((access) => [access.kind, access.user, rightBit(access)]);
  expect(bits).toEqual([
    ['read', false, 8],
    ['write', false, 16],
    ['fetch', false, 32],
    ['read', true, 1],
    ['write', true, 2],
    ['fetch', true, 4],
  ]);
});
