import { describe, expect, test } from 'vitest';
import {
  aarch64Format,
  type EntryFact,
  FORMAT_4_LEVEL,
  FORMAT_5_LEVEL,
  FORMAT_32_BIT,
  FORMAT_PAE,
  type FormatFact,
  fieldsOf,
  GRANULES,
  X86_FORMATS,
  x86Format,
} from '../../src/format/index.ts';
import { controlsOf, type Switches } from '../support/x86-cases.ts';

// Expected values: formats.md 1.1 and 1.3-1.5, faults.md A.8, written out here.

const MODE_OF = new Map<FormatFact, Switches['mode']>([
  [FORMAT_32_BIT, '32-bit'],
  [FORMAT_PAE, 'PAE'],
  [FORMAT_4_LEVEL, '4-level'],
  [FORMAT_5_LEVEL, '5-level'],
]);

function stateOf(fact: FormatFact, switches: Omit<Switches, 'mode'>) {
  return x86Format(fact, controlsOf({ mode: MODE_OF.get(fact) ?? '4-level', ...switches }).ours);
}

/** Every combination of the control state on which the meaning of bits depends. */
function* states(): Iterable<Omit<Switches, 'mode'> & { readonly physBits: number }> {
  for (const physBits of [36, 40, 52]) {
    for (let bits = 0; bits < 256; bits += 1) {
      const on = (bit: number) => (bits & (1 << bit)) !== 0;
      yield {
        physBits,
        nxe: on(0),
        pse: on(1),
        pge: on(2),
        page1GB: on(3),
        pse36: on(4),
        amd: on(5),
        pke: on(6),
        pks: on(7),
      };
    }
  }
}

function kindsOf(fact: FormatFact, state: ReturnType<typeof stateOf>['state']) {
  return fact.levels.flatMap((level) =>
    level.entries
      .filter((entry) => entry.when === undefined || entry.when.some((name) => state.states.has(name)))
      .map((entry) => ({ level, entry })),
  );
}

describe('the fields of every kind of entry cover each bit exactly once', () => {
  test.each(X86_FORMATS)('$name', (fact) => {
    let checked = 0;
    for (const switches of states()) {
      const { state } = stateOf(fact, switches);
      for (const { level, entry } of kindsOf(fact, state)) {
        let next = fact.entryBytes * 8 - 1;
        for (const field of fieldsOf(entry, state)) {
          if (field.high !== next || field.low > field.high) {
            expect.fail(
              `${level.entry} to a ${entry.leads}: ${field.name} is ${field.high}:${field.low}, bit ${next} was next`,
            );
          }
          next = field.low - 1;
          checked += 1;
        }
        if (next !== -1) expect(next).toBe(-1);
      }
    }
    console.log(`fields, ${fact.name}: ${checked} fields in 768 control states`);
    expect(checked).toBeGreaterThan(768 * fact.levels.length * 5);
  });
});

test('the same of every AArch64 granule, size and half', () => {
  let checked = 0;
  for (const granule of GRANULES) {
    for (let inputBits = 36; inputBits <= 48; inputBits += 1) {
      for (const M of [32, 40, 48]) {
        for (const names of [[], ['hierarchy'], ['TCR.HD'], ['hierarchy', 'TCR.HD']]) {
          const { levels } = aarch64Format(granule, inputBits, false);
          for (const entry of levels.flatMap(({ entries }) => entries)) {
            let next = 63;
            for (const field of fieldsOf(entry, { M, P: 32, states: new Set(names) })) {
              // `expect` itself takes longer than all of this.
              if (field.high !== next) expect(field.high).toBe(next);
              next = field.low - 1;
              checked += 1;
            }
            if (next !== -1) expect(next).toBe(-1);
          }
        }
      }
    }
  }
  expect(checked).toBeGreaterThan(20_000);
});

/** A list of fields, highest bits first: `XD 63`, `address 39:12`; in brackets where the bits are ignored or reserved. */
function listing(entry: EntryFact, state: ReturnType<typeof stateOf>['state']): string {
  return fieldsOf(entry, state)
    .map(({ name, high, low, role }) => {
      const place = high === low ? `${high}` : `${high}:${low}`;
      if (role === 'ignored') return `(${place})`;
      return role === 'reserved' ? `!${place}` : `${name} ${place}`;
    })
    .join(' ');
}

describe('each field is where the manual has it', () => {
  const LOW = 'A 5 PCD 4 PWT 3 U/S 2 R/W 1 P 0';
  const expected: readonly [FormatFact, Omit<Switches, 'mode'>, readonly string[]][] = [
    [
      FORMAT_32_BIT,
      { physBits: 40 },
      [
        `PDE page: address 31:22 !21 address 39:32 20:13 PAT 12 (11:9) G 8 PS 7 D 6 ${LOW}`,
        `PDE table: address 31:12 (11:8) PS 7 (6) ${LOW}`,
        `PTE page: address 31:12 (11:9) G 8 PAT 7 D 6 ${LOW}`,
      ],
    ],
    [
      FORMAT_32_BIT,
      { physBits: 36, pge: false },
      [
        `PDE page: address 31:22 !21:17 address 39:32 16:13 PAT 12 (11:9) (8) PS 7 D 6 ${LOW}`,
        `PDE table: address 31:12 (11:8) PS 7 (6) ${LOW}`,
        `PTE page: address 31:12 (11:9) (8) PAT 7 D 6 ${LOW}`,
      ],
    ],
    [
      FORMAT_32_BIT,
      { physBits: 40, pse36: false, pse: false },
      [
        `PDE table: address 31:12 (11:8) (7) (6) ${LOW}`,
        `PTE page: address 31:12 (11:9) G 8 PAT 7 D 6 ${LOW}`,
      ],
    ],
    [
      FORMAT_PAE,
      { physBits: 40 },
      [
        'PDPTE table: !63:40 address 39:12 (11:9) !8:5 PCD 4 PWT 3 !2:1 P 0',
        `PDE page: XD 63 !62:40 address 39:21 !20:13 PAT 12 (11:9) G 8 PS 7 D 6 ${LOW}`,
        `PDE table: XD 63 !62:40 address 39:12 (11:9) (8) PS 7 (6) ${LOW}`,
        `PTE page: XD 63 !62:40 address 39:12 (11:9) G 8 PAT 7 D 6 ${LOW}`,
      ],
    ],
    [
      FORMAT_PAE,
      { physBits: 52, nxe: false },
      [
        'PDPTE table: !63:52 address 51:12 (11:9) !8:5 PCD 4 PWT 3 !2:1 P 0',
        `PDE page: !63 !62:52 address 51:21 !20:13 PAT 12 (11:9) G 8 PS 7 D 6 ${LOW}`,
        `PDE table: !63 !62:52 address 51:12 (11:9) (8) PS 7 (6) ${LOW}`,
        `PTE page: !63 !62:52 address 51:12 (11:9) G 8 PAT 7 D 6 ${LOW}`,
      ],
    ],
    [
      FORMAT_4_LEVEL,
      { physBits: 40, pke: true },
      [
        `PML4E table: XD 63 (62:52) !51:40 address 39:12 (11) (10:9) (8) !7 (6) ${LOW}`,
        `PDPTE page: XD 63 PK 62:59 (58:52) !51:40 address 39:30 !29:13 PAT 12 (11) (10:9) G 8 PS 7 D 6 ${LOW}`,
        `PDPTE table: XD 63 (62:52) !51:40 address 39:12 (11) (10:9) (8) PS 7 (6) ${LOW}`,
        `PDE page: XD 63 PK 62:59 (58:52) !51:40 address 39:21 !20:13 PAT 12 (11) (10:9) G 8 PS 7 D 6 ${LOW}`,
        `PDE table: XD 63 (62:52) !51:40 address 39:12 (11) (10:9) (8) PS 7 (6) ${LOW}`,
        `PTE page: XD 63 PK 62:59 (58:52) !51:40 address 39:12 (11) (10:9) G 8 PAT 7 D 6 ${LOW}`,
      ],
    ],
    [
      FORMAT_5_LEVEL,
      { physBits: 52, page1GB: false, nxe: false, amd: true, pge: false },
      [
        `PML5E table: !63 (62:52) address 51:12 (11) (10:9) !8 !7 (6) ${LOW}`,
        `PML4E table: !63 (62:52) address 51:12 (11) (10:9) !8 !7 (6) ${LOW}`,
        `PDPTE table: !63 (62:52) address 51:12 (11) (10:9) (8) !7 (6) ${LOW}`,
        `PDE page: !63 (62:59) (58:52) address 51:21 !20:13 PAT 12 (11) (10:9) (8) PS 7 D 6 ${LOW}`,
        `PDE table: !63 (62:52) address 51:12 (11) (10:9) (8) PS 7 (6) ${LOW}`,
        `PTE page: !63 (62:59) (58:52) address 51:12 (11) (10:9) (8) PAT 7 D 6 ${LOW}`,
      ],
    ],
  ];

  test.each(expected)('$name, %j', (fact, switches, lines) => {
    const { state } = stateOf(fact, switches);
    const found = kindsOf(fact, state).map(
      ({ level, entry }) => `${level.entry} ${entry.leads}: ${listing(entry, state)}`,
    );
    expect(found).toEqual(lines);
  });
});

describe('geometry', () => {
  test.each([
    [FORMAT_32_BIT, 4, 32, false, ['31:22', '21:12']],
    [FORMAT_PAE, 8, 32, false, ['31:30', '29:21', '20:12']],
    [FORMAT_4_LEVEL, 8, 48, true, ['47:39', '38:30', '29:21', '20:12']],
    [FORMAT_5_LEVEL, 8, 57, true, ['56:48', '47:39', '38:30', '29:21', '20:12']],
  ] as const)(
    '$name: width of entries and addresses, and the address bits of each index',
    (fact, bytes, va, sign, bits) => {
      expect([fact.entryBytes, fact.vaBits, fact.signExtended]).toEqual([bytes, va, sign]);
      expect(fact.levels.map(({ indexHigh, indexLow }) => `${indexHigh}:${indexLow}`)).toEqual(bits);
    },
  );

  test('page sizes: 4 MiB, 2 MiB and 1 GiB where the manual has them', () => {
    const sizes = X86_FORMATS.map((fact) =>
      fact.levels.map(
        ({ entry, entries }) => `${entry} ${entries.map(({ pageShift = 0 }) => pageShift).join('/')}`,
      ),
    );
    expect(sizes).toEqual([
      ['PDE 22/0', 'PTE 12'],
      ['PDPTE 0', 'PDE 21/0', 'PTE 12'],
      ['PML4E 0', 'PDPTE 30/0', 'PDE 21/0', 'PTE 12'],
      ['PML5E 0', 'PML4E 0', 'PDPTE 30/0', 'PDE 21/0', 'PTE 12'],
    ]);
  });

  test('every kind of entry names the manual and a table in it', () => {
    for (const fact of X86_FORMATS) {
      for (const level of fact.levels) {
        for (const { source } of level.entries) expect(source).toMatch(/Intel SDM.*table "Format of a/);
      }
    }
  });
});
