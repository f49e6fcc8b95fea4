import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import {
  FORMAT_4_LEVEL,
  FORMAT_5_LEVEL,
  FORMAT_32_BIT,
  FORMAT_PAE,
  modeOf,
  PAT_RESET,
  resolveX86Control,
  rightsText,
  rootOf,
  type X86Control,
  x86Paging,
} from '../../src/format/index.ts';
import { controlsOf } from '../support/x86-cases.ts';

// Expected values: formats.md 1.1, 1.2, 1.7.

const PG = 1n << 31n;
const PAE = 1n << 5n;
const LA57 = 1n << 12n;
const LME = 1n << 8n;

describe('the mode that the control registers select', () => {
  test.each([
    ['off', 0n, PAE | LA57, LME, undefined],
    ['32-bit', PG, 0n, 0n, FORMAT_32_BIT],
    ['32-bit, whatever LA57 says', PG, LA57, 0n, FORMAT_32_BIT],
    ['PAE', PG, PAE, 0n, FORMAT_PAE],
    ['PAE, whatever LA57 says', PG, PAE | LA57, 0n, FORMAT_PAE],
    ['4-level', PG, PAE, LME, FORMAT_4_LEVEL],
    ['5-level', PG, PAE | LA57, LME, FORMAT_5_LEVEL],
  ] as const)('%s', (_, cr0, cr4, efer, format) => {
    expect(modeOf(cr0, cr4, efer)).toBe(format);
  });

  test('PE = 1 without PG is no paging (gdb-pt-dump takes PE for real mode)', () => {
    const control = { ...controlsOf({ mode: '4-level' }).ours, cr0: 1n };
    expect(() => x86Paging(control)).toThrow(PageTableError);
    expect(() => x86Paging(control)).toThrow(
      expect.objectContaining({ code: 'PAGING_DISABLED', detail: { cr0: 1n } }),
    );
  });
});

describe('the root table that CR3 names', () => {
  const ALL = 0xffff_ffff_ffff_ffffn;
  test.each([
    ['32-bit: bits 31:12, the others pass', FORMAT_32_BIT, ALL, 52, 0xfffff, 0],
    ['32-bit: PWT and PCD are no address', FORMAT_32_BIT, 0x1234_5018n, 32, 0x12345, 0],
    ['PAE: bits 31:5, as a frame and a word in it', FORMAT_PAE, ALL, 52, 0xfffff, 0xfe0 / 4],
    ['PAE: a multiple of 32 bytes', FORMAT_PAE, 0x1234_5ab8n, 36, 0x12345, 0xaa0 / 4],
    ['PAE: bits 63:32 pass', FORMAT_PAE, 0xffff_ffff_0000_1000n, 40, 1, 0],
    ['4-level: bits M-1:12', FORMAT_4_LEVEL, 0xff_ffff_ffffn, 40, 0xfff_ffff, 0],
    ['4-level: a PCID is no address', FORMAT_4_LEVEL, 0x2a42_0fffn, 46, 0x2a420, 0],
    [
      '4-level: bit 63, "do not flush", and the LAM bits 62 and 61 are no address',
      FORMAT_4_LEVEL,
      (7n << 61n) | 0x5000n,
      52,
      5,
      0,
    ],
    ['5-level: up to 40 bits of frame number', FORMAT_5_LEVEL, 0xf_ffff_ffff_f000n, 52, 2 ** 40 - 1, 0],
  ] as const)('%s', (_, format, cr3, physBits, frame, word) => {
    expect(rootOf(format, cr3, physBits)).toEqual({ frame, word });
  });

  // formats.md 1.2: bits 60:M are reserved in 4-level and 5-level paging; MOV to CR3 would raise #GP.
  test.each([
    ['4-level, bit 40 of 40', FORMAT_4_LEVEL, 1n << 40n, 40],
    ['4-level, bit 60', FORMAT_4_LEVEL, 1n << 60n, 52],
    ['5-level, bit 52', FORMAT_5_LEVEL, (1n << 52n) | 0x1000n, 52],
    ['negative', FORMAT_4_LEVEL, -0x1000n, 52],
    ['more than 64 bits', FORMAT_32_BIT, 1n << 64n, 32],
  ] as const)('that cannot be is out of range: %s', (_, format, cr3, physBits) => {
    const make = () => rootOf(format, cr3, physBits);
    expect(make).toThrow(PageTableError);
    expect(make).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE', detail: { cr3, physBits } }));
  });
});

describe('control state that no source gives is assumed, and listed', () => {
  const names = (known: Partial<X86Control>, longMode: boolean | undefined) =>
    resolveX86Control(known, longMode).assumed.map(({ name }) => name);

  test('nothing known: 4-level paging with everything that makes the fewest entries faulty', () => {
    const { control } = resolveX86Control({}, undefined);
    expect(modeOf(control.cr0, control.cr4, control.efer)).toBe(FORMAT_4_LEVEL);
    expect(control).toMatchObject({
      cr3: 0n,
      pat: 0x0007_0406_0007_0406n,
      physBits: 52,
      page1GB: true,
      amd: false,
    });
    expect(control.efer & (1n << 11n)).not.toBe(0n);
    expect(control.cr0 & (1n << 16n)).not.toBe(0n);
    expect(PAT_RESET).toBe(0x0007_0406_0007_0406n);
    expect(names({}, undefined)).toEqual(['cr0', 'cr3', 'cr4', 'efer', 'pat', 'physBits']);
  });

  test('a machine that was not in long mode: PAE paging if CR4 is not known', () => {
    const { control } = resolveX86Control({}, false);
    expect(modeOf(control.cr0, control.cr4, control.efer)).toBe(FORMAT_PAE);
  });

  test('what QEMU gives (CR0, CR3, CR4): EFER, PAT and the address width are assumed', () => {
    const known = { cr0: 0x8005_0033n, cr3: 0x2a4_2000n, cr4: 0x6f0n };
    const { control, assumed } = resolveX86Control(known, true);
    expect(control).toMatchObject(known);
    expect(assumed.map(({ name }) => name)).toEqual(['efer', 'pat', 'physBits']);
    expect(modeOf(control.cr0, control.cr4, control.efer)).toBe(FORMAT_4_LEVEL);
    for (const { short, text } of assumed)
      expect(text.startsWith(short) && text.length > short.length).toBe(true);
  });

  test('key registers are assumed only where keys are on', () => {
    const keys = { cr4: PAE | (1n << 22n) };
    expect(names(keys, true)).toEqual(['cr0', 'cr3', 'efer', 'pat', 'pkru', 'physBits']);
    // CR4.PKS is bit 24.
    expect(names({ cr4: PAE | (1n << 24n) }, true)).toEqual([
      'cr0',
      'cr3',
      'efer',
      'pat',
      'pkrs',
      'physBits',
    ]);
    expect(names({ ...keys, pkru: 0x5555_5554n }, true)).not.toContain('pkru');
    expect(names(keys, false)).not.toContain('pkru');
  });

  test('a wanted mode with PAE says what it assumes of EFER, whatever CR4 says', () => {
    const { assumed } = resolveX86Control({ cr4: 0n }, undefined, FORMAT_4_LEVEL);
    expect(assumed.map((one) => one.name)).toContain('efer');
  });

  test('32-bit paging depends on no address width, and on nothing in EFER', () => {
    expect(names({ cr4: 0n }, false)).toEqual(['cr0', 'cr3', 'pat']);
  });

  test.each([FORMAT_32_BIT, FORMAT_PAE, FORMAT_4_LEVEL, FORMAT_5_LEVEL])(
    'a format that is wanted is got: $name',
    (format) => {
      for (const known of [
        {},
        { cr0: 0n, cr4: 0n, efer: 0n },
        { cr0: PG, cr4: PAE | LA57, efer: LME | (1n << 10n) },
      ]) {
        for (const longMode of [undefined, true, false]) {
          const { cr0, cr4, efer } = resolveX86Control(known, longMode, format).control;
          expect(modeOf(cr0, cr4, efer)).toBe(format);
        }
      }
    },
  );

  test.each([
    ['4-level', true],
    ['5-level', true],
    ['PAE', false],
    ['32-bit', false],
  ] as const)('given values win, all of them: %s', (mode, longMode) => {
    const base = controlsOf({ mode, cr3: 0xabc000n, wp: false, pse: false, pge: false, nxe: false }).ours;
    const given: X86Control = {
      ...base,
      pat: 0x0102_0304_0506_0700n,
      pkru: 0x1234n,
      pkrs: 0x4321n,
      physBits: 39,
      page1GB: false,
      pse36: false,
      amd: true,
    };
    expect(resolveX86Control(given, longMode)).toEqual({ control: given, assumed: [] });
    // The source's word on long mode does not replace a given EFER.
    expect(resolveX86Control(given, !longMode)).toEqual({ control: given, assumed: [] });
  });
});

describe('memory types', () => {
  const PAT = 0x0007_0605_0401_0600n;
  const paging = (mode: '32-bit' | 'PAE' | '4-level' | '5-level') =>
    x86Paging(controlsOf({ mode, pat: PAT }).ours);
  // IA32_PAT bytes 0 to 7: 00, 06, 01, 04, 05, 06, 07, 00.
  const NAMES = ['UC', 'WB', 'WC', 'WT', 'WP', 'WB', 'UC-', 'UC'];

  test('the PAT index of a 4-KiB page is PAT (bit 7), PCD, PWT; of a large page PAT is bit 12', () => {
    for (const [mode, pte, large] of [
      ['32-bit', 1, 0],
      ['PAE', 2, 1],
      ['4-level', 3, 2],
      ['4-level', 3, 1],
      ['5-level', 4, 3],
      ['5-level', 4, 2],
    ] as const) {
      for (let index = 0; index < 8; index += 1) {
        const low = ((index & 3) << 3) | 1;
        const pat = index >> 2;
        const bits = `PAT=${pat} PCD=${(index >> 1) & 1} PWT=${index & 1}`;
        const want = { index, name: NAMES[index], from: `PAT entry ${index} (${bits})` };
        // Bit 12 of a PTE is an address bit, bit 7 of a large page is PS: neither counts.
        expect(paging(mode).memoryType(pte, low | (pat << 7) | 0x1000, 0)).toEqual(want);
        expect(paging(mode).memoryType(pte, low | (pat << 7), 0)).toEqual(want);
        expect(paging(mode).memoryType(large, low | (pat << 12) | 0x80, 0)).toEqual(want);
      }
    }
  });

  test('the reset value: WB, WT, UC-, UC, twice', () => {
    const { memoryType } = x86Paging(controlsOf({ mode: '4-level' }).ours);
    const names = [0, 8, 16, 24, 0x80, 0x88, 0x90, 0x98].map((low) => memoryType(3, low, 0).name);
    expect(names).toEqual(['WB', 'WT', 'UC-', 'UC', 'WB', 'WT', 'UC-', 'UC']);
  });

  test('types 2 and 3 are reserved, and only three bits of each byte count', () => {
    const { memoryType } = x86Paging(controlsOf({ mode: '4-level', pat: 0xfafbfcfdfefff8f9n }).ours);
    const names = [0, 8, 16, 24, 0x80, 0x88, 0x90, 0x98].map((low) => memoryType(3, low, 0).name);
    expect(names).toEqual(['WC', 'UC', 'UC-', 'WB', 'WP', 'WT', 'reserved', 'reserved']);
  });
});

test('rights are shown as rwx of one privilege', () => {
  expect([rightsText(0, true), rightsText(63, true), rightsText(63, false)]).toEqual(['---', 'rwx', 'rwx']);
  expect([rightsText(1 | 16, true), rightsText(1 | 16, false)]).toEqual(['r--', '-w-']);
  expect([rightsText(4 | 8, true), rightsText(4 | 8, false)]).toEqual(['--x', 'r--']);
});
