import { describe, expect, test } from 'vitest';
import {
  createRandom,
  interestingAddresses,
  type RandomTables,
  randomTables,
} from '../support/random-tables.ts';
import {
  type ReferenceControl,
  type ReferenceResult,
  type ReferenceUpdate,
  referenceWalk,
} from '../support/reference-walker.ts';
import {
  createV86,
  V86_DEVIATIONS,
  V86_DRIVER_PAGES,
  type V86Access,
  type V86Control,
  type V86Outcome,
} from './v86.ts';

const CR0_WP = 0x1_0000;
const CR4_PSE = 0x10;
const CR4_PAE = 0x20;
const CR4_SMEP = 0x10_0000;
const CR4_SMAP = 0x20_0000;

const ROOT = 0x20_0000;
const TABLE_FRAMES = { start: 0x200, end: 0x240 };
/** RAM that holds pages, and as much again above it that nothing answers for. */
const PAGE_FRAMES = { start: 0x400, end: 0x1c00 };

const KERNEL_READ: V86Access = { kind: 'read', user: false };
const KERNEL_WRITE: V86Access = { kind: 'write', user: false };
const USER_READ: V86Access = { kind: 'read', user: true };
const USER_WRITE: V86Access = { kind: 'write', user: true };
const ACCESSES = [KERNEL_READ, KERNEL_WRITE, USER_READ, USER_WRITE];

const PLAIN: V86Control = { cr0: CR0_WP, cr3: ROOT, cr4: CR4_PSE };
const PAE: V86Control = { cr0: CR0_WP, cr3: ROOT, cr4: CR4_PSE | CR4_PAE };

const machine = createV86();

/** A byte for each page frame; even, so that a page taken for a table has no present entry. */
function fillOf(frame: number): number {
  return ((frame * 37) & 0x7f) << 1;
}
for (let frame = PAGE_FRAMES.start; frame < machine.ramBytes >> 12; frame++) {
  machine.memory.fill(fillOf(frame), frame << 12, (frame + 1) << 12);
}

function clearTables(): void {
  machine.memory.fill(0, TABLE_FRAMES.start << 12, TABLE_FRAMES.end << 12);
}

function tableBytes(): Uint8Array {
  return machine.memory.subarray(TABLE_FRAMES.start << 12, TABLE_FRAMES.end << 12);
}

function writeGuest(pa: bigint, bytes: 4 | 8, value: bigint): void {
  for (let i = 0; i < bytes; i++) {
    // Tables are below 16 MiB.
    machine.memory[Number(pa) + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  }
}

function setEntries(bytes: 4 | 8, entries: readonly (readonly [pa: number, value: bigint])[]): void {
  clearTables();
  for (const [pa, value] of entries) writeGuest(BigInt(pa), bytes, value);
}

function entry(pa: number, bytes: 4 | 8): bigint {
  return machine.read(BigInt(pa), bytes);
}

/** Error code, physical address or `gp`, whichever it is. */
function brief(outcome: V86Outcome): string {
  switch (outcome.kind) {
    case 'ok':
      return `pa ${outcome.pa.toString(16)}`;
    case 'page-fault':
      return `fault ${outcome.errorCode}`;
    case 'general-protection':
      return `gp at ${outcome.stage}`;
  }
}

describe('the v86 driver: 32-bit paging', () => {
  test('translates through 4 KiB pages, and returns the byte that is there', () => {
    setEntries(4, [
      [ROOT + 4, 0x20_1007n],
      [0x201014, 0x45_6007n],
    ]);
    const outcome = machine.access(PLAIN, 0x40_5abc, USER_READ);
    expect(outcome).toEqual({ kind: 'ok', pa: 0x45_6abc, byte: fillOf(0x456) });
    expect([entry(ROOT + 4, 4), entry(0x201014, 4)]).toEqual([0x20_1027n, 0x45_6027n]);
    expect(machine.access(PLAIN, 0x40_5abc, USER_WRITE).kind).toBe('ok');
    expect([entry(ROOT + 4, 4), entry(0x201014, 4)]).toEqual([0x20_1027n, 0x45_6067n]);
  });

  test('translates through 4 MiB pages if CR4.PSE is set', () => {
    setEntries(4, [[ROOT + 0xffc, 0x80_0087n]]);
    expect(brief(machine.access(PLAIN, 0xffd2_3456, KERNEL_WRITE))).toBe('pa 923456');
    expect(entry(ROOT + 0xffc, 4)).toBe(0x80_00e7n);
    expect(brief(machine.access({ ...PLAIN, cr4: 0 }, 0xffd2_3456, KERNEL_READ))).toBe('fault 0');
  });

  test('not present: codes 0, 2, 4 and 6, and CR2 is the whole address', () => {
    clearTables();
    const outcomes = ACCESSES.map((access) => machine.access(PLAIN, 0x1234_5678, access));
    expect(outcomes).toEqual(
      [0, 2, 4, 6].map((errorCode) => ({ kind: 'page-fault', errorCode, cr2: 0x1234_5678 })),
    );
  });

  test('a supervisor page: codes 5 and 7 to a user', () => {
    setEntries(4, [
      [ROOT + 4, 0x20_1007n],
      [0x201014, 0x45_6003n],
    ]);
    const outcomes = ACCESSES.map((access) => brief(machine.access(PLAIN, 0x40_5000, access)));
    expect(outcomes).toEqual(['pa 456000', 'pa 456000', 'fault 5', 'fault 7']);
  });

  test('a read-only page: WP decides for the supervisor, never for the user', () => {
    setEntries(4, [
      [ROOT + 4, 0x20_1007n],
      [0x201014, 0x45_6005n],
    ]);
    expect(brief(machine.access(PLAIN, 0x40_5000, KERNEL_WRITE))).toBe('fault 3');
    expect(brief(machine.access(PLAIN, 0x40_5000, USER_WRITE))).toBe('fault 7');
    expect(entry(0x201014, 4)).toBe(0x45_6005n);
    const unprotected = { ...PLAIN, cr0: 0 };
    expect(brief(machine.access(unprotected, 0x40_5000, USER_WRITE))).toBe('fault 7');
    expect(brief(machine.access(unprotected, 0x40_5000, KERNEL_WRITE))).toBe('pa 456000');
    expect(entry(0x201014, 4)).toBe(0x45_6065n);
  });

  test('a table above RAM reads as all ones', () => {
    setEntries(4, [[ROOT + 4, 0x4000_0007n]]);
    expect(brief(machine.access(PLAIN, 0x40_5123, USER_READ))).toBe('pa fffff123');
    expect(machine.read(0x4000_0000n, 8)).toBe(0xffff_ffff_ffff_ffffn);
  });

  test('refuses its own pages', () => {
    expect(() => machine.access(PLAIN, 0xf_e123, USER_READ)).toThrow(RangeError);
  });
});

describe('the v86 driver: PAE paging', () => {
  test('translates through 4 KiB and 2 MiB pages', () => {
    setEntries(8, [
      [ROOT + 0x18, 0x20_1001n],
      [0x201008, 0x20_2007n],
      [0x202010, 0x45_6007n],
      [0x201010, 0x60_0087n],
    ]);
    expect(brief(machine.access(PAE, 0xc020_2abc, USER_WRITE))).toBe('pa 456abc');
    expect(brief(machine.access(PAE, 0xc051_2345, USER_READ))).toBe('pa 712345');
    expect(entry(ROOT + 0x18, 8)).toBe(0x20_1001n);
    expect(entry(0x201008, 8)).toBe(0x20_2027n);
    expect(entry(0x202010, 8)).toBe(0x45_6067n);
    expect(entry(0x201010, 8)).toBe(0x60_00a7n);
  });

  test('not present at each depth, and rights', () => {
    setEntries(8, [
      [ROOT, 0x20_1001n],
      [0x201008, 0x20_2007n],
      [0x202010, 0x45_6005n],
    ]);
    expect(brief(machine.access(PAE, 0x4020_2000, USER_READ))).toBe('fault 4');
    expect(brief(machine.access(PAE, 0x0040_2000, KERNEL_WRITE))).toBe('fault 2');
    expect(brief(machine.access(PAE, 0x0020_3000, USER_WRITE))).toBe('fault 6');
    expect(brief(machine.access(PAE, 0x0020_2000, USER_WRITE))).toBe('fault 7');
    expect(brief(machine.access(PAE, 0x0020_2000, KERNEL_WRITE))).toBe('fault 3');
    expect(brief(machine.access(PAE, 0x0020_2000, KERNEL_READ))).toBe('pa 456000');
  });

  test('the four PDPTEs start at any multiple of 32 bytes', () => {
    setEntries(8, [
      [ROOT + 0xfe8, 0x20_1001n],
      [0x201008, 0x60_0087n],
    ]);
    const control = { ...PAE, cr3: ROOT + 0xfe0 };
    expect(brief(machine.access(control, 0x4020_0001, USER_READ))).toBe('pa 600001');
  });
});

describe('the known deviations of v86 are still there', () => {
  const shown: Readonly<Record<string, () => void>> = {
    'reserved-ignored': () => {
      setEntries(4, [[ROOT + 4, 0xa0_0087n]]);
      expect(brief(machine.access(PLAIN, 0x40_0000, USER_READ))).toBe('pa 800000');
      setEntries(8, [
        [ROOT, 0x20_1001n],
        [0x201008, 0x70_0087n],
      ]);
      expect(brief(machine.access(PAE, 0x20_0000, USER_READ))).toBe('pa 600000');
    },
    'xd-ignored': () => {
      setEntries(8, [
        [ROOT, 0x20_1001n],
        [0x201008, (1n << 63n) | 0x60_0087n],
      ]);
      expect(brief(machine.access(PAE, 0x20_0000, USER_READ))).toBe('pa 600000');
    },
    'pae-address-32-bit': () => {
      setEntries(8, [
        [ROOT, 0x20_1001n],
        [0x201008, 0x1_0060_0087n],
      ]);
      expect(brief(machine.access(PAE, 0x20_0000, USER_READ))).toBe('pa 600000');
    },
    'pse36-ignored': () => {
      setEntries(4, [[ROOT + 4, 0x80_2087n]]);
      expect(brief(machine.access(PLAIN, 0x40_0000, USER_READ))).toBe('pa 800000');
    },
    'pae-large-needs-pse': () => {
      setEntries(8, [
        [ROOT, 0x20_1001n],
        [0x201008, 0x60_0087n],
      ]);
      const control = { ...PAE, cr4: CR4_PAE };
      // The page's contents are taken for a table: even bytes, so not present.
      expect(brief(machine.access(control, 0x20_0000, USER_READ))).toBe('fault 4');
    },
    'pdpte-reserved-ignored': () => {
      setEntries(8, [
        [ROOT, 0x20_11e7n],
        [0x201008, 0x60_0087n],
      ]);
      expect(brief(machine.access(PAE, 0x20_0000, USER_READ))).toBe('pa 600000');
    },
    'cr3-low-bits': () => {
      setEntries(4, [[ROOT + 4 + 0x18, 0x80_0087n]]);
      const plain = { ...PLAIN, cr3: ROOT + 0x18 };
      expect(brief(machine.access(plain, 0x40_0000, USER_READ))).toBe('pa 800000');
      setEntries(8, [
        [ROOT + 0x10, 0x20_1001n],
        [0x201008, 0x60_0087n],
      ]);
      const pae = { ...PAE, cr3: ROOT + 0x10 };
      expect(brief(machine.access(pae, 0x20_0000, USER_READ))).toBe('pa 600000');
    },
    'no-smep-smap': () => {
      setEntries(4, [[ROOT + 4, 0x80_0087n]]);
      const control = { ...PLAIN, cr4: CR4_PSE | CR4_SMEP | CR4_SMAP };
      expect(brief(machine.access(control, 0x40_0000, KERNEL_READ))).toBe('pa 800000');
    },
    'fetch-not-driven': () => {},
  };

  test.each(V86_DEVIATIONS.map(({ id }) => id))('%s', (id) => {
    expect(Object.keys(shown)).toContain(id);
    shown[id]();
  });
});

// --- Against the reference walker -----------------------------------------------------------

type JudgedControl = ReferenceControl & { readonly mode: '32-bit' | 'PAE' };

/** With MAXPHYADDR 36: PA 35:32 in a PAE entry, and in a 4 MiB PDE. */
const HIGH_PAE = 0xf_0000_0000n;
const HIGH_PSE36 = 0x1_e000n;

interface Explained {
  /** The answer after the deviations that were needed. */
  readonly result: ReferenceResult;
  readonly deviations: readonly string[];
}

/** The bits v86 is known to drop at each level; a claim that any other is reserved stays a difference. */
const DROPPED_BITS = {
  '32-bit PDE': 0x3f_e000n,
  'PAE PDPTE': 0xffff_ffff_0000_01e6n,
  'PAE PDE': 0xffff_ffff_001f_e000n,
  'PAE PTE': 0xffff_ffff_0000_0000n,
} as const;

function droppedAt(mode: '32-bit' | 'PAE', level: string): bigint {
  const key = `${mode} ${level}`;
  for (const [name, mask] of Object.entries(DROPPED_BITS)) if (name === key) return mask;
  return 0n;
}

/**
 * The reference walker's answer with only those entry bits cleared that a known deviation of v86
 * drops, at the depth at which it drops them; every bit cleared is counted under its deviation.
 */
function explain(control: JudgedControl, va: bigint, access: V86Access): Explained {
  const dropped = new Map<number, bigint>();
  const deviations: string[] = [];
  const drop = (depth: number, mask: bigint, deviation: string): void => {
    dropped.set(depth, (dropped.get(depth) ?? 0n) | mask);
    deviations.push(deviation);
  };

  for (let round = 0; round < 20; round++) {
    let depth = 0; // the walker reads one entry per depth
    const result = referenceWalk(
      (pa, bytes) => machine.read(pa, bytes) & ~(dropped.get(depth++) ?? 0n),
      control,
      va,
      access,
    );
    const entries = 'entries' in result ? result.entries : [];
    const last = entries[entries.length - 1];
    const largePde = entries.find(({ level, value }) => level === 'PDE' && (value & 0x81n) === 0x81n);
    const above4G = entries.find(({ value }) => (value & 1n) !== 0n && (value & HIGH_PAE) !== 0n);
    const pse = (control.cr4 & BigInt(CR4_PSE)) !== 0n;
    if (control.mode === 'PAE' && largePde !== undefined && !pse) {
      drop(largePde.depth, 0x80n, 'pae-large-needs-pse');
    } else if (control.mode === 'PAE' && above4G !== undefined) {
      drop(above4G.depth, HIGH_PAE, 'pae-address-32-bit');
    } else if (control.mode === '32-bit' && result.kind === 'ok' && result.pa >= 1n << 32n) {
      drop(0, HIGH_PSE36, 'pse36-ignored');
    } else if ('reservedBits' in result && result.reservedBits !== 0n) {
      const { reservedBits } = result;
      if ((reservedBits & ~droppedAt(control.mode, last.level)) !== 0n) {
        return { result, deviations };
      }
      let deviation = 'reserved-ignored';
      if (result.kind === 'pdpte-reserved') deviation = 'pdpte-reserved-ignored';
      else if (reservedBits === 1n << 63n) deviation = 'xd-ignored';
      drop(result.depth, reservedBits, deviation);
    } else {
      return { result, deviations };
    }
  }
  throw new Error(`explain: no end at va 0x${va.toString(16)}`);
}

/** What the guest should see, given the reference walker's answer. */
function expectedOutcome(result: ReferenceResult, va: bigint, access: V86Access): V86Outcome {
  switch (result.kind) {
    case 'ok': {
      const byte = access.kind === 'read' ? byteAfter(result.updates, result.pa) : 0;
      return { kind: 'ok', pa: Number(result.pa), byte }; // below 2^32 in this comparison
    }
    case 'page-fault':
      return { kind: 'page-fault', errorCode: result.errorCode, cr2: Number(va) }; // 32 bits
    case 'general-protection':
    case 'absent':
    case 'pdpte-reserved':
      throw new Error(`unexpected ${result.kind}`);
  }
}

/** The byte at `pa` once the accessed and dirty bits of this access are in place. */
function byteAfter(updates: readonly ReferenceUpdate[], pa: bigint): number {
  const word = machine.read(pa & ~3n, 4) >> (8n * (pa & 3n));
  const update = updates.find(({ address }) => address === pa);
  return Number(word & 0xffn) | accessedAndDirtyOf(update?.value ?? 0n);
}

function accessedAndDirtyOf(value: bigint): number {
  return Number(value & 0x60n);
}

/** Checks that the updates are in the tables, then undoes them; returns those that were not. */
function takeBackUpdates(updates: readonly ReferenceUpdate[], initial: Uint8Array): string[] {
  const wrong: string[] = [];
  for (const { address, value } of updates) {
    const offset = Number(address) - (TABLE_FRAMES.start << 12); // tables are below 16 MiB
    // Only A and D are compared: `value` lacks what a deviation of v86 drops.
    const expected = initial[offset] | accessedAndDirtyOf(value);
    const found = tableBytes()[offset];
    if (found !== expected) {
      wrong.push(`0x${address.toString(16)}: ${found.toString(16)}, not ${expected.toString(16)}`);
    }
    tableBytes()[offset] = initial[offset];
  }
  return wrong;
}

/** Compares on random tables; returns how often each answer and each deviation came up. */
function compare(mode: '32-bit' | 'PAE', firstSeed: number, tableCount: number) {
  const answers = new Map<string, number>();
  const deviationCounts = new Map<string, number>();
  const differences: string[] = [];
  let cases = 0;
  const count = (map: Map<string, number>, key: string): void => {
    map.set(key, (map.get(key) ?? 0) + 1);
  };

  for (let seed = firstSeed; seed < firstSeed + tableCount; seed++) {
    const tables = randomTables({
      seed,
      mode,
      firstTableFrame: TABLE_FRAMES.start,
      pageFrames: PAGE_FRAMES,
      physBits: mode === 'PAE' ? 36 : 32,
    });
    loadTables(tables);
    const initial = tableBytes().slice();
    const random = createRandom(seed);

    for (const va of interestingAddresses(tables, seed, 40)) {
      const page = Number(va >> 12n); // 20 bits
      if (page >= V86_DRIVER_PAGES.start && page < V86_DRIVER_PAGES.end) continue;
      const control: V86Control = {
        cr0: random.chance(0.5) ? CR0_WP : 0,
        // Without PWT and PCD, for the deviation `cr3-low-bits`; the tables have 32-bit roots.
        cr3: Number(tables.cr3 & ~0x1fn),
        cr4: (random.chance(0.85) ? CR4_PSE : 0) | (mode === 'PAE' ? CR4_PAE : 0),
      };
      const reference: JudgedControl = {
        mode,
        cr0: BigInt(control.cr0),
        cr3: tables.cr3,
        cr4: BigInt(control.cr4),
        efer: 0n,
        physBits: 36,
        page1GB: false,
        pse36: true,
        pkru: 0,
        pkrs: 0,
        rflagsAC: false,
      };
      for (const access of ACCESSES) {
        cases++;
        const { result, deviations } = explain(reference, va, access);
        const expected = expectedOutcome(result, va, access);
        const outcome = machine.access(control, Number(va), access); // 32 bits
        for (const deviation of new Set(deviations)) count(deviationCounts, deviation);
        count(answers, outcome.kind === 'ok' ? 'ok' : brief(outcome));

        const updates = result.kind === 'ok' ? result.updates : [];
        const wrongUpdates = takeBackUpdates(updates, initial);
        if (JSON.stringify(expected) !== JSON.stringify(outcome) || wrongUpdates.length > 0) {
          differences.push(
            `${mode} seed ${seed} va 0x${va.toString(16)} ${JSON.stringify({ control, access })}: ` +
              `expected ${JSON.stringify(expected)}, v86 ${JSON.stringify(outcome)}, ` +
              `entries ${wrongUpdates.join(' ')}, known: ${deviations.join(' ')}`,
          );
        }
      }
    }
    // Every expected update was taken back, so any other write to the tables shows here.
    if (!tableBytes().every((byte, i) => byte === initial[i])) {
      differences.push(`${mode} seed ${seed}: unexpected writes to the tables`);
    }
  }
  return { cases, answers, deviationCounts, differences };
}

function loadTables(tables: RandomTables): void {
  clearTables();
  for (const [frame, words] of tables.memory) {
    machine.memory.set(new Uint8Array(words.buffer), frame << 12);
  }
}

describe('the reference walker agrees with v86 on random tables', () => {
  const allAnswers = ['fault 0', 'fault 2', 'fault 3', 'fault 4', 'fault 5', 'fault 6', 'fault 7', 'ok'];

  test.each([
    ['32-bit', ['pse36-ignored', 'reserved-ignored']],
    [
      'PAE',
      [
        'pae-address-32-bit',
        'pae-large-needs-pse',
        'pdpte-reserved-ignored',
        'reserved-ignored',
        'xd-ignored',
      ],
    ],
  ] as const)('%s', (mode, expectedDeviations) => {
    const started = performance.now();
    const { cases, answers, deviationCounts, differences } = compare(mode, 1, 100);
    const perSecond = Math.round(cases / ((performance.now() - started) / 1000));
    console.log(
      `${mode}: ${cases} cases from seed 1, ${perSecond}/s, ${differences.length} unexplained; ` +
        `answers ${JSON.stringify(Object.fromEntries([...answers].sort()))}; ` +
        `deviations ${JSON.stringify(Object.fromEntries([...deviationCounts].sort()))}`,
    );
    expect(differences.slice(0, 5)).toEqual([]);
    expect(differences.length).toBe(0);
    expect(cases).toBeGreaterThanOrEqual(2000);
    expect([...answers.keys()].sort()).toEqual(allAnswers);
    expect([...deviationCounts.keys()].sort()).toEqual(expectedDeviations);
  });
});
