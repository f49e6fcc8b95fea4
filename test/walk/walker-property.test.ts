import { describe, expect, test } from 'vitest';
import { x86Paging } from '../../src/format/index.ts';
import {
  NON_CANONICAL,
  NOT_IN_MEMORY,
  NOT_PRESENT,
  type Path,
  RESERVED,
  Walker,
} from '../../src/walk/index.ts';
import { createRandom, interestingAddresses, type Random, randomTables } from '../support/random-tables.ts';
import {
  type ReferenceLeaf,
  type ReferenceMode,
  type ReferenceStop,
  referenceLeaf,
} from '../support/reference-walker.ts';
import { controlsOf, LAYOUTS, type Layout, layOut, MODES, type Switches } from '../support/x86-cases.ts';

/** What a walk came to, in one form for both walkers. */
interface Outcome {
  readonly end: string;
  /** Frame of the 4-KiB page, or of the missing table. */
  readonly frame: number | undefined;
  readonly pageShift: number | undefined;
  /** Depth, address and value of every entry read. */
  readonly entries: readonly string[];
}

function isSame(a: Outcome, b: Outcome): boolean {
  return (
    a.end === b.end &&
    a.frame === b.frame &&
    a.pageShift === b.pageShift &&
    a.entries.length === b.entries.length &&
    a.entries.every((entry, i) => entry === b.entries[i])
  );
}

const ENDS = { leaf: 'mapped', absent: 'not-in-memory', 'pdpte-reserved': 'reserved' } as const;
const CODES: Readonly<Record<string, number>> = {
  'not-present': NOT_PRESENT,
  reserved: RESERVED,
  'not-in-memory': NOT_IN_MEMORY,
  'non-canonical': NON_CANONICAL,
};

function expected(found: ReferenceLeaf | ReferenceStop): Outcome {
  if (found.kind === 'non-canonical') {
    return { end: found.kind, frame: undefined, pageShift: undefined, entries: [] };
  }
  const entries = found.entries.map(
    ({ depth, address, value }) => `${depth} ${address.toString(16)} ${value.toString(16)}`,
  );
  const end = found.kind === 'not-present' || found.kind === 'reserved' ? found.kind : ENDS[found.kind];
  // Physical addresses have at most 52 bits; page sizes are powers of two up to 2^30.
  if (found.kind === 'leaf') {
    return { end, frame: Number(found.pa >> 12n), pageShift: Math.log2(Number(found.pageSize)), entries };
  }
  const frame = found.kind === 'absent' ? Number(found.entryAddress >> 12n) : undefined;
  return { end, frame, pageShift: undefined, entries };
}

function outcomeOf(path: Path): Outcome {
  const entries = path.steps.map(({ depth, address, low, high }) => {
    const value = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    return `${depth} ${address.toString(16)} ${value.toString(16)}`;
  });
  return { end: path.end, frame: path.frame, pageShift: path.pageShift, entries };
}

/** Where tables are put: low; across 2^31 frames, where the fast way ends; above 2^32; at the very top. */
const TABLE_PLACES = [0x200, 0x200, 0x10_0000 + 3, 2 ** 31 - 20, 2 ** 32 + 77, 2 ** 39 - 64];

function randomSwitches(
  mode: ReferenceMode,
  random: Random,
): Required<Pick<Switches, 'physBits'>> & Switches {
  return {
    mode,
    physBits: random.pick(mode === '32-bit' ? [32, 36, 40, 52] : [36, 40, 52, 52]),
    pse: random.chance(0.7),
    pge: random.chance(0.5),
    nxe: random.chance(0.7),
    page1GB: random.chance(0.7),
    pse36: random.chance(0.5),
    smep: random.chance(0.5),
  };
}

/** Random tables, a random machine, a layout; every address translated by both walkers. */
function compare(mode: ReferenceMode, layout: Layout, firstSeed: number, tableCount: number) {
  const ends = new Map<string, number>();
  const differences: string[] = [];
  let cases = 0;
  let withoutAsking = 0;
  const count = (key: string) => ends.set(key, (ends.get(key) ?? 0) + 1);

  for (let seed = firstSeed; seed < firstSeed + tableCount; seed += 1) {
    const random = createRandom(seed);
    const switches = randomSwitches(mode, random);
    const { physBits } = switches;
    const places = TABLE_PLACES.filter((place) => place + 64 <= 2 ** (physBits - 12));
    const narrow = mode === '32-bit' || mode === 'PAE';
    const firstTableFrame = narrow ? random.pick([0x200, 0xf_ff00]) : random.pick(places);
    const tables = randomTables({
      seed,
      mode,
      firstTableFrame,
      // One in four machines has fewer address bits than the tables were made for: then they are reserved.
      physBits: mode === '32-bit' ? 32 : random.chance(0.25) ? 46 : physBits,
    });
    const root = Number(tables.cr3 >> 12n); // At most 40 bits.
    const run = { first: Math.min(root, firstTableFrame + 4), end: Math.max(root + 1, firstTableFrame + 60) };
    const { memory, read } = layOut(tables.memory, layout, run);
    let asked = 0;
    const locate = memory.locate.bind(memory);
    memory.locate = (frame) => {
      asked += 1;
      return locate(frame);
    };
    const { ours, reference } = controlsOf({ ...switches, cr3: tables.cr3 });
    const walker = new Walker(memory, x86Paging(ours));

    for (const va of interestingAddresses(tables, seed, 100)) {
      cases += 1;
      const want = expected(referenceLeaf(read, reference, va));
      const page = Number(va >> 12n); // At most 52 bits.
      asked = 0;
      const translated = walker.translate(page);
      if (asked === 0 && translated >= 0) withoutAsking += 1;
      const got = outcomeOf(walker.path(page));
      count(want.pageShift === undefined ? want.end : `mapped ${want.pageShift}`);
      const code = want.end === 'mapped' ? want.frame : CODES[want.end];
      if (translated !== code || !isSame(got, want)) {
        differences.push(
          `${mode} ${layout} seed ${seed} va 0x${va.toString(16)}: expected ${code} ${JSON.stringify(want)}, ` +
            `found ${translated} ${JSON.stringify(got)}`,
        );
      }
    }
  }
  return { cases, withoutAsking, ends, differences };
}

const SIZES: Readonly<Record<ReferenceMode, readonly number[]>> = {
  '32-bit': [12, 22],
  PAE: [12, 21],
  '4-level': [12, 21, 30],
  '5-level': [12, 21, 30],
};

describe('translate and path agree with the reference walker on random tables', () => {
  MODES.forEach((mode, modeIndex) => {
    LAYOUTS.forEach((layout, layoutIndex) => {
      // 16 times 13,200: more than 200,000 translations, each by both ways of the walker.
      test(`${mode}, ${layout} memory`, () => {
        const seed = 1000 * (1 + 4 * modeIndex + layoutIndex);
        const { cases, withoutAsking, ends, differences } = compare(mode, layout, seed, 132);
        const seen = [...ends].sort().map(([end, times]) => `${end} ${times}`);
        console.log(
          `walker, ${mode}, ${layout}: ${cases} translations from seed ${seed}, ${differences.length} differences, ` +
            `${withoutAsking} mapped the fast way; ${seen.join(', ')}`,
        );
        expect(differences.slice(0, 3)).toEqual([]);
        expect(cases).toBe(13_200);
        const kinds = [
          'not-present',
          'reserved',
          'not-in-memory',
          ...SIZES[mode].map((size) => `mapped ${size}`),
        ];
        if (mode === '4-level' || mode === '5-level') kinds.push('non-canonical');
        for (const kind of kinds) expect([kind, (ends.get(kind) ?? 0) >= 10]).toEqual([kind, true]);
        // The fast way is for four levels in one run, and must have been among what was compared.
        if (mode === '4-level' && layout === 'flat') expect(withoutAsking).toBeGreaterThan(1000);
      });
    });
  });
});
