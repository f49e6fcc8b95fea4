import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command } from '../support/command.ts';
import { ARM64, samplePath } from '../support/sample.ts';

const CORE = samplePath('core.elf.gz', ARM64);
const REGISTERS = ['--registers', samplePath('registers.json', ARM64)];
// registers.json, CPU 0.
const GIVEN = [
  '--ttbr0=43271001',
  '--ttbr1=4a000041853001',
  '--tcr=15001f5b5503510',
  '--mair=40044ffff',
  '--sctlr=2000018fc74791d',
  '--pstate=4003c5',
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tablewalk-arm64-'));
});
afterAll(() => rm(folder, { recursive: true }));

const file = async (text: string) => {
  const path = join(folder, 'registers.txt');
  await writeFile(path, text);
  return path;
};

describe('info', () => {
  it('names both halves and what each consists of; nothing is assumed', async () => {
    const { exit, out } = await command('info', CORE, ...REGISTERS);
    expect(exit).toBe(0);
    expect(out).toMatch(
      /^paging +AArch64 stage 1, 4K granule, 48-bit lower half, root 0x0000000043271000 from TTBR0_EL1 of CPU 0$/m,
    );
    expect(out).toMatch(/^tables +24 tables; pages: 82 of 4K, 1 of 2M$/m);
    expect(out).toMatch(/^paging .* upper half, root 0x0000000041853000 from TTBR1_EL1 of CPU 0$/m);
    expect(out).toMatch(/^tables +139 tables; pages: 62,459 of 4K, 151 of 2M$/m);
    expect(out).not.toContain('assumed');
  });

  it('says how to give registers where there are none', async () => {
    const { exit, out } = await command('info', CORE);
    expect(exit).toBe(0);
    expect(out).toContain('TTBR0_EL1 is not known (--ttbr0)');
    expect(out).toContain('--registers FILE');
  });

  it('reads one half alone, and says what it does not know', async () => {
    const { out } = await command('info', CORE, '--ttbr1', '41853000');
    expect(out).toMatch(/^tables +139 tables/m);
    expect(out).toMatch(/^unread +lower half: TTBR0_EL1 is not known \(--ttbr0\)$/m);
    expect(out.match(/^assumed/gm)).toHaveLength(4);
  });

  it('has an object for each half as JSON', async () => {
    const { out } = await command('info', CORE, ...REGISTERS, '--json');
    expect(JSON.parse(out)).toMatchObject({
      architecture: 'aarch64',
      mode: 'aarch64-4k',
      root: null,
      spaces: [
        { half: 'lower', vaBits: 48, root: '0x0000000043271000' },
        { half: 'upper', vaBits: 48, root: '0x0000000041853000' },
      ],
      census: [{ tables: 24 }, { tables: 139, pages: { 4096: 62_459, 2097152: 151 } }],
      unread: [],
      assumed: [],
    });
  });
});

describe('registers', () => {
  it('given one by one or in a file make the same list', async () => {
    const one = await command('maps', CORE, ...REGISTERS);
    const two = await command('maps', CORE, ...GIVEN);
    expect(two.out).toBe(one.out);
    // gdb through QEMU's stub: name, hexadecimal, decimal.
    const gdb = await file(
      [
        'pc             0xffff800008010c80  0xffff800008010c80',
        'cpsr           0x4003c5            4195269',
        'TTBR0_EL1      0x43271001          1126633473',
        'TTBR1_EL1      0x4a000041853001    20829149379637249',
        'TCR_EL1        0x15001f5b5503510   94578229447079184',
        'MAIR_EL1       0x40044ffff         17184325631',
        'SCTLR          0x2000018fc74791d   144115295213156637',
      ].join('\n'),
    );
    expect((await command('maps', CORE, '--registers', gdb)).out).toBe(one.out);
  });

  it.each<[string, string, number, RegExp]>([
    ['a file without any', 'nothing here', 2, /none found in "nothing here"/],
    ['broken JSON', '{"cpus": [', 2, /not JSON/],
  ])('%s are refused', async (_, text, exit, message) => {
    const it = await command('maps', CORE, '--registers', await file(text));
    expect(it.exit).toBe(exit);
    expect(it.err).toMatch(message);
  });

  it('from a file that is not there, or without an end', async () => {
    const missing = await command('maps', CORE, '--registers', join(folder, 'none'));
    expect([missing.exit, missing.err]).toEqual([3, expect.stringContaining('cannot be read: ENOENT')]);
    const endless = await command('maps', CORE, '--registers', '/dev/zero');
    expect([endless.exit, endless.err]).toEqual([3, expect.stringContaining('expected at most')]);
  });

  it('of the other architecture are refused by name', async () => {
    const root = await command('maps', CORE, '--root', '41853000');
    expect([root.exit, root.err]).toEqual([2, expect.stringContaining('--ttbr0 and --ttbr1')]);
    const x86 = await command('maps', samplePath('core.elf.gz'), '--ttbr0', '1000');
    expect([x86.exit, x86.err]).toEqual([2, expect.stringContaining('--ttbr0 is of aarch64 machines')]);
  });

  it.each<[string, string, RegExp]>([
    ['translation off', '--sctlr=0', /M = 0/],
    ['a reserved granule', '--tcr=c000', /TG0 holds a reserved code/],
    ['a half that is too small', '--tcr=8000003f', /T0SZ = 63; expected 16 to 48/],
    ['52-bit addresses', '--tcr=0800000080100010', /DS = 1/],
  ])('with %s are refused', async (_, option, message) => {
    const { exit, err } = await command('maps', CORE, ...GIVEN, option);
    expect([exit === 0, err]).toEqual([false, expect.stringMatching(message)]);
  });
});

describe('maps', () => {
  it('shows what the guest itself lists', async () => {
    const { exit, out } = await command('maps', CORE, ...REGISTERS);
    expect(exit).toBe(0);
    expect(out.split('\n')[0]).toMatch(/LINEAR +PHYSICAL +SIZE +PAGES +EL0 +EL1 +TYPE/);
    // Console: /proc/PID/maps has 00400000-00402000 r-xp; pagemap: 400000 has 2 pages from frame 42319.
    expect(out).toMatch(
      /^0000000000400000-0000000000402000 {2}0000000042319000 +8 KiB {2}4K +r-x +--- +WB /m,
    );
    // Console: vmallocinfo has paging_init at ffff800008010000, phys 40210000: kernel text, no EL0.
    expect(out).toMatch(/^ffff800008010000-ffff800008d00000 {2}0000000040210000 .*64Kc.* --- +r-x +WB /m);
    // Console: "MAPPED0 hugetlb" of 2 MiB, and the UART (pl011 at 09000000) as ioremap maps it.
    expect(out).toMatch(/^ffff80000a03d000-ffff80000a03e000 {2}0000000009000000 .* Device-nGnRE /m);
  });

  it('finds what is writable and executable in either half', async () => {
    const { out } = await command('maps', CORE, ...REGISTERS, '--rights', 'wx', '--json');
    const { regions } = JSON.parse(out);
    // Console: "MAPPED0 rwx" names these two pages.
    expect(regions.map((one: { first: string }) => one.first)).toEqual([
      '0x0000ffffaa222000',
      '0x0000ffffaa223000',
    ]);
  });

  it('cuts to a range in one half', async () => {
    const { out } = await command('maps', CORE, ...REGISTERS, '--range', 'ffff800008010000+8K', '--ndjson');
    expect(JSON.parse(out)).toMatchObject({
      physical: '0x0000000040210000',
      size: 8192,
      groupSizes: [65_536],
      contiguous: 2,
    });
  });

  it('prints no list of a monitor that has none', async () => {
    const { exit, err } = await command('maps', CORE, ...REGISTERS, '--format', 'qemu-mem');
    expect([exit, err]).toEqual([2, expect.stringContaining('QEMU prints no such list')]);
  });
});

describe('translate, explain, read', () => {
  it('choose the half by the address, and ignore a tag', async () => {
    const { out, exit } = await command(
      'translate',
      CORE,
      ...REGISTERS,
      '400123',
      'ffff800008010c80',
      'efff800008010c80',
    );
    expect(exit).toBe(0);
    // gva2gpa: 0x400000 -> 0x42319000, 0xffff800008010c80 -> 0x40210c80; TCR_EL1.TBI1 = 1.
    expect(
      out
        .split('\n')
        .slice(0, 3)
        .map((line) => line.split('  ')[1]),
    ).toEqual(['0x0000000042319123', '0x0000000040210c80', '0x0000000040210c80']);
  });

  it('explain rights with the hierarchy resolved, and faults as the processor reports them', async () => {
    const { out } = await command('explain', CORE, ...REGISTERS, '400123');
    expect(out).toContain('rights     EL0 r-x, EL1 ---');
    expect(out).toContain(
      'EL1 fetch  Instruction Abort, ESR 0x8600000f (IFSC 0x0f permission fault, level 3): PXN = 1 in L3 descriptor; PXNTable = 1 in L0',
    );
    expect(out).toContain('PSTATE.PAN = 1 and the page is accessible to EL0');
    expect(out).toContain('from byte 0 of MAIR_EL1 (0xff)');
  });

  it('refuse a fetch from a tagged address where only data may be tagged', async () => {
    // TCR_EL1.TBID1 = 1, TBID0 = 0.
    const upper = await command('explain', CORE, ...REGISTERS, 'efff800008010c80');
    expect(upper.out).toContain(
      'EL1 fetch  Instruction Abort, ESR 0x86000004 (IFSC 0x04 translation fault, level 0)',
    );
    const lower = await command('explain', CORE, ...REGISTERS, '5500000000400123', '--json');
    expect(JSON.parse(lower.out).accesses[5]).toEqual({ access: 'user fetch', result: 'allowed' });
  });

  it('find the page behind PROT_NONE, as the guest’s pagemap has it', async () => {
    // Console: PM0 ffffaa220000 1 4233f 102, in a mapping that /proc/PID/maps has as ---p.
    const { out, exit } = await command('explain', CORE, ...REGISTERS, 'ffffaa220000', '--json');
    expect(exit).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      outcome: 'not-present',
      linux: { kind: 'prot-none', pa: '0x000000004233f000' },
    });
  });

  it('refuse an address of a half that is not known', async () => {
    const { exit, err } = await command('translate', CORE, '--ttbr1', '41853000', '400123');
    expect([exit, err]).toEqual([
      2,
      expect.stringContaining('0x0000000000400123 lies in the lower half: TTBR0_EL1 is not known'),
    ]);
  });

  it('read the bytes of a table through the linear map', async () => {
    // The root of the upper half lies at physical 41853000, RAM begins at 40000000, the linear map at ffff000000000000.
    const { out } = await command('read', CORE, ...REGISTERS, 'ffff000001853800', '8');
    const explained = await command('explain', CORE, ...REGISTERS, 'ffff800008010c80', '--json');
    const { value } = JSON.parse(explained.out).levels[0];
    const bytes = out.slice(18, 41).split(' ').reverse().join('');
    expect(`0x${bytes}`).toBe(value);
  });
});
