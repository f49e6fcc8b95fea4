/**
 * Our walker and access check against the v86 emulator's real accesses, on random 32-bit and PAE tables.
 *
 * Both read the very same bytes: guest RAM, which lies in the emulator's WebAssembly memory. Where the answers differ,
 * the difference must follow from a known deviation of v86: the reference walker, asked with the bits dropped that v86
 * is known to drop, must give v86's answer, and without dropping them ours.
 */
import { describe, expect, test } from 'vitest';
import { type Access, type Paging, x86Paging } from '../../src/format/index.ts';
import { flatMemory } from '../../src/memory/index.ts';
import { Walker } from '../../src/walk/index.ts';
import {
  createRandom,
  interestingAddresses,
  type RandomTables,
  randomTables,
} from '../support/random-tables.ts';
import { type ReferenceControl, type ReferenceResult, referenceWalk } from '../support/reference-walker.ts';
import { controlsOf } from '../support/x86-cases.ts';
import { createV86, V86_DEVIATIONS, V86_DRIVER_PAGES, type V86Access, type V86Outcome } from './v86.ts';

type Mode = '32-bit' | 'PAE';

const TABLE_FRAMES = { start: 0x200, end: 0x240 };
/** RAM that holds pages, and as much again above it that nothing answers for. */
const PAGE_FRAMES = { start: 0x400, end: 0x1c00 };
const ACCESSES: readonly V86Access[] = [
  { kind: 'read', user: false },
  { kind: 'write', user: false },
  { kind: 'read', user: true },
  { kind: 'write', user: true },
];

const machine = createV86();
// RAM as the emulator's own memory holds it. The video hole is left out: nothing answers there.
const ram = flatMemory(
  {
    get buffer() {
      return machine.memory.buffer;
    },
  },
  [
    {
      address: 0x10_0000n,
      offset: machine.memory.byteOffset + 0x10_0000,
      length: machine.ramBytes - 0x10_0000,
    },
    { address: 0n, offset: machine.memory.byteOffset, length: 0xa_0000 },
  ],
);

// A byte for each page frame; even, so that a page taken for a table has no present entry.
for (let frame = PAGE_FRAMES.start; frame < machine.ramBytes >> 12; frame += 1) {
  machine.memory.fill(((frame * 37) & 0x7f) << 1, frame << 12, (frame + 1) << 12);
}

/** What an access came to: `pa`, an error code with CR2, a #GP, or nobody knows. */
function ours(walker: Walker, va: bigint, access: Access): string {
  const page = Number(va >> 12n); // 20 bits
  const path = walker.path(page);
  const translated = walker.translate(page);
  if ((path.frame ?? translated) !== translated && path.end === 'mapped') return 'translate and path differ';
  const result = walker.paging.access(path.end, path.steps, access);
  switch (result.kind) {
    case 'allowed':
      return `pa ${((BigInt(translated) << 12n) | (va & 0xfffn)).toString(16)}`;
    case 'unknown':
      return 'unknown';
    case 'fault':
      return result.exception === '#PF'
        ? `#PF ${result.errorCode}, cr2 ${va.toString(16)}`
        : result.exception;
  }
}

function theirs(outcome: V86Outcome): string {
  switch (outcome.kind) {
    case 'ok':
      return `pa ${outcome.pa.toString(16)}`;
    case 'page-fault':
      return `#PF ${outcome.errorCode}, cr2 ${outcome.cr2.toString(16)}`;
    case 'general-protection':
      return '#GP';
  }
}

function judged(result: ReferenceResult, va: bigint): string {
  switch (result.kind) {
    case 'ok':
      return `pa ${result.pa.toString(16)}`;
    case 'page-fault':
      return `#PF ${result.errorCode}, cr2 ${va.toString(16)}`;
    case 'general-protection':
    case 'pdpte-reserved':
      return '#GP';
    case 'absent':
      return 'unknown';
  }
}

/** The bits that v86 drops at each level (V86_DEVIATIONS); any other reserved bit stays a difference. */
const DROPPED_BITS: Readonly<Record<string, bigint>> = {
  '32-bit PDE': 0x3f_e000n,
  'PAE PDPTE': 0xffff_ffff_0000_01e6n,
  'PAE PDE': 0xffff_ffff_001f_e000n,
  'PAE PTE': 0xffff_ffff_0000_0000n,
};

/** With 36 address bits: PA 35:32 of a PAE entry, and of a 4-MiB PDE. */
const HIGH_PAE = 0xf_0000_0000n;
const HIGH_PSE36 = 0x1_e000n;

/** What v86 should answer, and by which deviations; `open-bus`: a table where there is no RAM reads as all ones. */
function deviating(
  control: ReferenceControl,
  va: bigint,
  access: Access,
): { answer: string; reasons: Set<string> } {
  const dropped = new Map<number, bigint>();
  const reasons = new Set<string>();
  const drop = (depth: number, mask: bigint, reason: string) => {
    dropped.set(depth, (dropped.get(depth) ?? 0n) | mask);
    reasons.add(reason);
  };
  for (let round = 0; round < 20; round += 1) {
    let depth = 0; // The reference walker reads one entry per depth.
    const result = referenceWalk(
      (pa, bytes) => {
        if (readRam(pa, bytes) === undefined) reasons.add('open-bus');
        const value = machine.read(pa, bytes) & ~(dropped.get(depth) ?? 0n);
        depth += 1;
        return value;
      },
      control,
      va,
      access,
    );
    const entries = 'entries' in result ? result.entries : [];
    const largePde = entries.find(({ level, value }) => level === 'PDE' && (value & 0x81n) === 0x81n);
    const above4G = entries.find(({ value }) => (value & 1n) !== 0n && (value & HIGH_PAE) !== 0n);
    if (control.mode === 'PAE' && largePde !== undefined && (control.cr4 & 0x10n) === 0n) {
      drop(largePde.depth, 0x80n, 'pae-large-needs-pse');
    } else if (control.mode === 'PAE' && above4G !== undefined) {
      drop(above4G.depth, HIGH_PAE, 'pae-address-32-bit');
    } else if (control.mode === '32-bit' && result.kind === 'ok' && result.pa >= 1n << 32n) {
      drop(0, HIGH_PSE36, 'pse36-ignored');
    } else if ('reservedBits' in result && result.reservedBits !== 0n) {
      const { reservedBits } = result;
      const last = entries[entries.length - 1];
      if ((reservedBits & ~(DROPPED_BITS[`${control.mode} ${last.level}`] ?? 0n)) !== 0n) {
        return { answer: judged(result, va), reasons };
      }
      let reason = 'reserved-ignored';
      if (result.kind === 'pdpte-reserved') reason = 'pdpte-reserved-ignored';
      else if (reservedBits === 1n << 63n) reason = 'xd-ignored';
      drop(result.depth, reservedBits, reason);
    } else {
      return { answer: judged(result, va), reasons };
    }
  }
  throw new Error(`no end at va 0x${va.toString(16)}`);
}

/** Memory as the manual sees it: nothing where there is no RAM. */
function readRam(pa: bigint, bytes: 4 | 8): bigint | undefined {
  const there = pa < BigInt(machine.ramBytes) && !(pa >= 0xa_0000n && pa < 0x10_0000n);
  return there ? machine.read(pa, bytes) : undefined;
}

function load(tables: RandomTables, random: ReturnType<typeof createRandom>): Uint8Array {
  machine.memory.fill(0, TABLE_FRAMES.start << 12, TABLE_FRAMES.end << 12);
  for (const [frame, given] of tables.memory) {
    const words = given.slice();
    // Some PAE entries get an address above 4 GiB, which the generator's page frames do not have.
    for (let i = 1; tables.mode === 'PAE' && i < 1024; i += 2) {
      if ((words[i - 1] & 1) !== 0 && random.chance(0.02)) words[i] |= 1 << random.below(4);
    }
    machine.memory.set(new Uint8Array(words.buffer), frame << 12);
  }
  return machine.memory.slice(TABLE_FRAMES.start << 12, TABLE_FRAMES.end << 12);
}

function compare(mode: Mode, firstSeed: number, tableCount: number) {
  const counts = new Map<string, number>();
  const answers = new Map<string, number>();
  const unexplained: string[] = [];
  const count = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1);
  let cases = 0;
  let equal = 0;

  for (let seed = firstSeed; seed < firstSeed + tableCount; seed += 1) {
    const random = createRandom(seed);
    const tables = randomTables({
      seed,
      mode,
      firstTableFrame: TABLE_FRAMES.start,
      pageFrames: PAGE_FRAMES,
      physBits: mode === 'PAE' ? 36 : 32,
    });
    const before = load(tables, random);
    // Without PWT and PCD, for the deviation `cr3-low-bits`.
    const cr3 = tables.cr3 & ~0x1fn;
    for (const va of interestingAddresses(tables, seed, 50)) {
      const page = Number(va >> 12n); // 20 bits
      if (page >= V86_DRIVER_PAGES.start && page < V86_DRIVER_PAGES.end) continue;
      const { ours: control, reference } = controlsOf({
        mode,
        cr3,
        physBits: 36,
        nxe: false,
        pge: false,
        wp: random.chance(0.5),
        pse: random.chance(0.85),
      });
      const paging: Paging = x86Paging(control);
      const walker = new Walker(ram, paging);
      for (const access of ACCESSES) {
        cases += 1;
        const we = ours(walker, va, access);
        // The control registers as the driver takes them; all values are below 2^32.
        const registers = { cr0: Number(control.cr0), cr3: Number(cr3), cr4: Number(control.cr4) };
        const they = theirs(machine.access(registers, Number(va), access));
        machine.memory.set(before, TABLE_FRAMES.start << 12); // takes A and D back
        count(
          answers,
          we
            .split(',')[0]
            .split(' ')
            .slice(0, we.startsWith('#PF') ? 2 : 1)
            .join(' '),
        );
        if (we === they) {
          equal += 1;
          continue;
        }
        const manual = judged(referenceWalk(readRam, reference, va, access), va);
        const { answer, reasons } = deviating(reference, va, access);
        if (we === manual && they === answer && reasons.size > 0) {
          for (const reason of reasons) count(counts, reason);
        } else {
          unexplained.push(
            `${mode} seed ${seed} va 0x${va.toString(16)} ${access.kind} ${access.user ? 'user' : 'supervisor'} ` +
              `cr0 ${control.cr0.toString(16)} cr4 ${control.cr4.toString(16)}: ours ${we}, v86 ${they}, ` +
              `reference ${manual}, with ${[...reasons].join(' ')} ${answer}`,
          );
        }
      }
    }
  }
  return { cases, equal, counts, answers, unexplained };
}

describe('the walker and the access check agree with real accesses in v86', () => {
  test.each([
    ['32-bit', ['open-bus', 'pse36-ignored', 'reserved-ignored']],
    [
      'PAE',
      [
        'open-bus',
        'pae-address-32-bit',
        'pae-large-needs-pse',
        'pdpte-reserved-ignored',
        'reserved-ignored',
        'xd-ignored',
      ],
    ],
  ] as const)('%s: no difference but those of the known deviations', (mode, deviations) => {
    const seed = 7000;
    const { cases, equal, counts, answers, unexplained } = compare(mode, seed, 60);
    const text = (map: Map<string, number>) =>
      [...map]
        .sort()
        .map(([key, times]) => `${key} ${times}`)
        .join(', ');
    console.log(
      `v86, ${mode}: ${cases} accesses from seed ${seed}, ${equal} equal, ${unexplained.length} unexplained; ` +
        `by deviation: ${text(counts)}; answers: ${text(answers)}`,
    );
    expect(unexplained.slice(0, 3)).toEqual([]);
    expect(cases).toBeGreaterThanOrEqual(5000);
    // Most answers must be equal as they stand, or the deviations would explain everything away.
    expect(equal / cases).toBeGreaterThan(0.75);
    const known = new Set([...V86_DEVIATIONS.map(({ id }) => id), 'open-bus']);
    expect([...counts.keys()].filter((reason) => !known.has(reason))).toEqual([]);
    expect([...counts.keys()].sort()).toEqual(deviations);
    for (const answer of ['pa', '#PF 0', '#PF 2', '#PF 3', '#PF 4', '#PF 5', '#PF 6', '#PF 7']) {
      expect([answer, (answers.get(answer) ?? 0) > 20]).toEqual([answer, true]);
    }
  });
});
