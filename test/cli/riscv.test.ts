import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildElf, type ElfSpec, note } from '../source/build-elf.ts';
import { command } from '../support/command.ts';
import { RISCV64, sampleLines, samplePath } from '../support/sample.ts';
import { Tables } from '../support/tables.ts';

const CORE = samplePath('core.elf.gz', RISCV64);
const REGISTERS = ['--registers', samplePath('registers.json', RISCV64)];
// registers.json, CPU 0.
const SATP = '--satp=8002300000088235';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tablewalk-riscv-'));
});
afterAll(() => rm(folder, { recursive: true }));

const file = async (name: string, content: string | Uint8Array) => {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
};
const image = (name: string, spec: ElfSpec) => file(name, buildElf({ machine: 243, ...spec }).bytes);

/** Tables from frame `first` on, as a run of memory. */
function memory(made: Tables, first: number, frames: number): Uint8Array {
  const words = new Uint32Array(frames * 1024);
  for (const [frame, content] of made.frames) words.set(content, (frame - first) * 1024);
  return new Uint8Array(words.buffer);
}

const entry = (frame: number, flags: bigint) => (BigInt(frame) << 10n) | flags;

describe('info', () => {
  it('names the tables and what they consist of, and all that is assumed', async () => {
    const { exit, out } = await command('info', CORE, ...REGISTERS);
    expect(exit).toBe(0);
    expect(out).toMatch(/^CPU 0 +satp 0x8002300000088235 {2}pc 0xffffffff80a7662c$/m);
    expect(out).toMatch(/^paging +RISC-V Sv39, root 0x0000000088235000 from satp of CPU 0$/m);
    expect(out).toMatch(/^tables +225 tables; pages: 2,014 of 4K, 277 of 2M$/m);
    // The registers of the sample hold SUM and MXR, but no menvcfg.
    const assumed = out.split('\n').filter((line) => line.startsWith('assumed'));
    expect(assumed).toHaveLength(3);
    for (const name of ['Svnapot', 'Svpbmt', 'ADUE']) expect(assumed.join()).toContain(name);
  });

  it('says how to give a root where there is none', async () => {
    const { exit, out } = await command('info', CORE);
    expect(exit).toBe(0);
    expect(out).toMatch(
      /^tables +none read: .* holds no satp .*--registers FILE, or --satp, or --root with --mode$/m,
    );
    const maps = await command('maps', CORE);
    expect([maps.exit, maps.err]).toEqual([2, expect.stringContaining('--registers FILE')]);
  });

  it('has the mode and the root as JSON', async () => {
    const { out } = await command('info', CORE, ...REGISTERS, '--cpu', '1', '--json');
    expect(JSON.parse(out)).toMatchObject({
      architecture: 'riscv',
      mode: 'sv39',
      root: '0x0000000083067000',
      rootFrom: 'satp of CPU 1',
      spaces: [{ half: null, vaBits: 39 }],
      census: [{ tables: 225, pages: { 4096: 2018, 2097152: 277 } }],
    });
  });
});

describe('registers', () => {
  it('as JSON, as QEMU and gdb print them, or one by one make the same list', async () => {
    const json = await command('maps', CORE, ...REGISTERS);
    const qemu = [0, 1].flatMap((cpu) => sampleLines(`info-registers-cpu${cpu}.txt.gz`, RISCV64)).join('\n');
    // gdb through QEMU's stub.
    const gdb = [
      'sp             0x3fcfb03a30        0x3fcfb03a30',
      'pc             0xffffffff80a7662c  0xffffffff80a7662c',
      'sstatus        0x8000000200006020  -9223372028264816608',
      'satp           0x8002300000088235  -9222756866...',
      'priv           0x1                 prv:1 [Supervisor]',
    ].join('\n');
    for (const text of [qemu, gdb]) {
      const { out, err } = await command('maps', CORE, '--registers', await file('registers.txt', text));
      expect([out, err]).toEqual([json.out, json.err]);
    }
    const given = await command('maps', CORE, SATP, '--sstatus=8000000200006020');
    expect(given.out).toBe(json.out);
    expect(given.err).toContain('root 0x0000000088235000 from --satp');
    const parts = await command('maps', CORE, '--root=88235000', '--mode=Sv39', '--sstatus=0');
    expect(parts.out).toBe(json.out);
    // With a known satp the root alone will do: its mode counts.
    const other = await command('maps', CORE, ...REGISTERS, '--root=83067000', '--json');
    const second = await command('maps', CORE, ...REGISTERS, '--cpu=1', '--json');
    expect(JSON.parse(other.out).regions).toEqual(JSON.parse(second.out).regions);
  });

  it('that are given are not assumed', async () => {
    const all = await command(
      'translate',
      CORE,
      ...REGISTERS,
      '--menvcfg=6000000000000000',
      '--no-svnapot',
      '10b88',
    );
    expect(all.err).not.toContain('assumed');
    const none = await command('translate', CORE, SATP, '10b88');
    expect(none.err).toContain(
      'assumed sstatus.SUM = 0; sstatus.MXR = 0; Svnapot; Svpbmt, menvcfg.PBMTE = 1; menvcfg.ADUE = 1',
    );
  });

  it.each<[string, readonly string[], RegExp]>([
    ['translation off', ['--satp=0'], /MODE = Bare/],
    ['a reserved mode', ['--satp=b000000000088235'], /MODE = 11 is reserved/],
    ['a root without its mode', ['--root=88235000'], /--mode, one of sv32, sv39, sv48, sv57/],
    ['a root that is no table', ['--root=88235008', '--mode=sv39'], /a multiple of 4096/],
    ['a root beyond Sv32', ['--root=400000000', '--mode=sv32'], /at most 22 and 9 bits/],
    ['a mode of x86', [SATP, '--mode=PAE'], /expected one of sv32, sv39, sv48, sv57/],
    ['registers of x86', [SATP, '--cr3=1000'], /--cr3 is of x86 machines; this one is riscv/],
    ['registers of AArch64', [SATP, '--ttbr0=1000'], /--ttbr0 is of aarch64 machines; this one is riscv/],
    ['a wide address', [SATP, '--phys-bits=57'], /\[32, 56\]/],
  ])('with %s are refused', async (_, options, message) => {
    const { exit, err } = await command('maps', CORE, ...options);
    expect([exit === 0, err]).toEqual([false, expect.stringMatching(message)]);
  });

  it('of RISC-V are refused by the others, by name', async () => {
    const { exit, err } = await command('maps', samplePath('core.elf.gz'), '--satp', '1000');
    expect([exit, err]).toEqual([2, expect.stringContaining('--satp is of riscv machines; this one is x86')]);
    const napot = await command('maps', samplePath('core.elf.gz'), '--no-svnapot');
    expect([napot.exit, napot.err]).toEqual([2, expect.stringContaining('--no-svnapot is of riscv')]);
  });

  it('of a hart that runs a guest are no root', async () => {
    const text = ' V      =   1\n satp     8002300000088235\n';
    const guest = await file('guest.txt', text);
    const { exit, err } = await command('maps', CORE, '--registers', guest);
    expect([exit, err]).toEqual([2, expect.stringContaining('CPU 0 runs a guest (V = 1)')]);
    expect((await command('maps', CORE, '--registers', guest, SATP)).exit).toBe(0);
  });
});

describe('maps', () => {
  it('shows what the guest itself lists', async () => {
    const { exit, out } = await command('maps', CORE, ...REGISTERS);
    expect(exit).toBe(0);
    expect(out.split('\n')[0]).toMatch(/LINEAR +PHYSICAL +SIZE +PAGES +U +S +TYPE/);
    // Console: /proc/PID/maps has 00010000-00011000 r-xp; pagemap: frame 8220c.
    expect(out).toMatch(
      /^0000000000010000-0000000000011000 {2}000000008220c000 +4 KiB {2}4K +r-x +--- +PMA /m,
    );
    // Console: _text ffffffff80002000 and "Kernel code" 80202000-80c76977; global, no U.
    expect(out).toMatch(
      /^ffffffff80000000-ffffffff80c00000 {2}0000000080200000 +12 MiB {2}2M +--- +r-x .* yes$/m,
    );
    // Console: vmallocinfo has c000000 at ffffffc600800000, 6 MiB of it in large pages.
    expect(out).toMatch(/^ffffffc600800000-ffffffc600e00000 {2}000000000c000000 /m);
  });

  it('finds what is writable and executable', async () => {
    const { out } = await command('maps', CORE, ...REGISTERS, '--rights', 'wx', '--json');
    // Console: "MAPPED0 rwx 3f9b65c000+2000".
    const firsts = JSON.parse(out).regions.map((one: { first: string }) => one.first);
    expect(firsts).toEqual(['0x0000003f9b65c000', '0x0000003f9b65d000']);
  });

  it('prints what QEMU prints for info mem, and nothing for info tlb', async () => {
    for (const cpu of [0, 1]) {
      const { out } = await command('maps', CORE, ...REGISTERS, `--cpu=${cpu}`, '--format=qemu-mem');
      expect(out.trimEnd().split('\n')).toEqual(sampleLines(`info-mem-cpu${cpu}.txt.gz`, RISCV64));
    }
    const { exit, err } = await command('maps', CORE, ...REGISTERS, '--format=qemu-tlb');
    expect([exit, err]).toEqual([2, expect.stringContaining('QEMU prints no such list of RISC-V Sv39')]);
  });
});

describe('explain', () => {
  it('shows each level with its fields, and every fault with its cause and the bit that decides', async () => {
    const { exit, out } = await command('explain', CORE, ...REGISTERS, '10b88');
    expect(exit).toBe(0);
    expect(out).toContain('level-2 PTE 0 (address bits 38:30) at 0x0000000088235000 = 0x0000000022090c01');
    expect(out).toContain('R=0, W=0, X=0 pointer, G=0');
    expect(out).toContain('PPN=0x88243 (bits 53:10)');
    expect(out).toContain('rights    U r-x, S ---');
    expect(out).toMatch(/^S read +load page fault, cause 13: sstatus.SUM = 0 and the page is a user page$/m);
    expect(out).toMatch(/^S fetch +instruction page fault, cause 12: the page is a user page/m);
    expect(out).toMatch(/^U write +store\/AMO page fault, cause 15: W = 0 in level-0 PTE$/m);
    const json = await command('explain', CORE, ...REGISTERS, '10b88', '--json');
    expect(JSON.parse(json.out).accesses[4]).toMatchObject({
      access: 'user write',
      exception: 'store/AMO page fault',
      errorCode: 15,
    });
  });

  it('finds the page behind PROT_NONE, as the guest’s pagemap has it', async () => {
    // Console: MAPPED0 protnone-touched 3f9b65a000; PM0 3f9b65a000 1 8105f 102.
    const { exit, out } = await command('explain', CORE, ...REGISTERS, '3f9b65a000');
    expect(exit).toBe(1);
    expect(out).toContain('does not translate: not present: V = 0 in level-0 PTE at 0x000000008823d2d0');
    expect(out).toMatch(/^if Linux +PROT_NONE: the page is still there, at 0x000000008105f000$/m);
  });

  it('says of an address that is not canonical which bits', async () => {
    const { exit, out } = await command('explain', CORE, ...REGISTERS, '4000000000');
    expect([exit, out]).toEqual([1, expect.stringContaining('bits 63:39 do not all equal bit 38')]);
    expect(out).toMatch(/^U read +load page fault, cause 13: /m);
  });
});

describe('entries that the sample does not have', () => {
  const N = 1n << 63n;
  const made = new Tables()
    .set(0x80100, 0, entry(0x80101, 0x21n))
    .set(0x80101, 0, entry(0x80102, 1n))
    // A superpage of which bit 12 of the address is set, and a pointer with A.
    .set(0x80101, 1, entry(0x80201, 0xc7n))
    .set(0x80101, 2, entry(0x80102, 0x41n))
    .set(0x80102, 32, entry(0x80050, 0xc3n | (1n << 61n)))
    .set(0x80102, 33, entry(0x80051, 0xc3n | (2n << 61n)))
    .set(0x80102, 34, entry(0x80052, 0x05n))
    .set(0x80102, 35, entry(0x80053, 0xc7n | (3n << 61n)))
    .set(0x80102, 36, entry(0x80054, 0x07n));
  for (let i = 16; i < 32; i += 1) made.set(0x80102, i, entry(0x80048, N | 0xc7n));
  const core = () =>
    image('entries', { loads: [{ physical: 0x8010_0000n, data: memory(made, 0x80100, 3) }] });
  const ROOT = ['--satp=8000000000080100', '--sstatus=0'];

  it('a Svnapot group is 64Kc, memory types are NC and IO, and a global pointer makes pages global', async () => {
    const { out } = await command('maps', await core(), ...ROOT);
    const rows = out.trimEnd().split('\n').slice(1);
    expect(rows.map((row) => row.split(/ {2,}/).slice(0, 10).join(' '))).toEqual([
      '0000000000010000-0000000000020000 0000000080040000 64 KiB 64Kc --- rw- PMA all all yes',
      '0000000000020000-0000000000021000 0000000080050000 4 KiB 4K --- r-- NC all all yes',
      '0000000000021000-0000000000022000 0000000080051000 4 KiB 4K --- r-- IO all all yes',
      expect.stringContaining('0000000000022000-0000000000023000 every access faults'),
      expect.stringContaining('0000000000023000-0000000000024000 every access faults'),
      '0000000000024000-0000000000025000 0000000080054000 4 KiB 4K --- rw- PMA none none yes',
      expect.stringContaining('0000000000200000-0000000000400000 every access faults'),
      expect.stringContaining('0000000000400000-0000000000600000 every access faults'),
    ]);
    const without = await command('maps', await core(), ...ROOT, '--no-svnapot', '--no-svpbmt');
    // The sixteen entries of the group are alike: one row.
    expect(without.out.match(/every access faults/g)).toHaveLength(7);
  });

  it.each([
    ['13abc', 'translates to 0x0000000080043abc', /one of a contiguous group of 64 KiB, global/],
    ['13abc', 'translates', /^ {2}maps the page at 0x0000000080043000; takes away fetches, U-mode access$/m],
    ['20000', 'translates', /^type +NC: non-cacheable, idempotent, weakly ordered, from PBMT = 1$/m],
    ['22000', 'W = 1 with R = 0', /S read +load page fault, cause 13: W = 1 with R = 0.* in level-0 PTE/],
    ['23000', 'PBMT = 3', /S fetch +instruction page fault, cause 12: PBMT = 3/],
    ['200000', 'PPN[0]', /U write +store\/AMO page fault, cause 15: PPN\[0\]/],
    ['400000', 'A (bit 6) not 0', /S read +load page fault, cause 13: A \(bit 6\) not 0 in level-1 PTE/],
  ])('explain %s says %s', async (address, outcome, line) => {
    const { out } = await command('explain', await core(), ...ROOT, address);
    expect(out.split('\n')[0]).toContain(outcome);
    expect(out).toMatch(line);
  });

  it('without hardware that sets A and D, such accesses fault', async () => {
    const { out } = await command('explain', await core(), ...ROOT, '24000', '--menvcfg=0');
    expect(out).toMatch(/^S read +load page fault, cause 13: A = 0 in level-0 PTE, and menvcfg.ADUE = 0$/m);
  });

  it('a table or a page above the physical addresses gives an access fault', async () => {
    const far = new Tables().set(0x80100, 0, entry(0x400_0000, 1n)).set(0x80100, 1, entry(0x800_0000, 0xc7n));
    const path = await image('far', { loads: [{ physical: 0x8010_0000n, data: memory(far, 0x80100, 1) }] });
    const table = await command('explain', path, ...ROOT, '--phys-bits=36', '0');
    expect(table.out).toMatch(/^S read +load access fault, cause 5: /m);
    const page = await command('explain', path, ...ROOT, '--phys-bits=36', '40000000');
    expect(page.out).toMatch(/^S write +store\/AMO access fault, cause 7: /m);
  });
});

describe('Sv32', () => {
  const made = new Tables(4)
    .set(0x80100, 0, entry(0x80101, 1n))
    .set(0x80100, 1, 0xc010_00dfn)
    .set(0x80101, 16, entry(0x80050, 0xc7n));
  const loads = [{ physical: 0x8010_0000n, data: memory(made, 0x80100, 2) }];

  it('is what satp says in a core of 32 bits', async () => {
    const path = await image('rv32', { bits: 32, loads });
    const { out, err } = await command('translate', path, '--satp=80480100', '10123', '500123');
    // The second entry is a worked example of the manual's layout: PPN[1] 31:20 is physical 33:22.
    expect(out).toBe(
      '0x0000000000010123  0x0000000080050123  4 KiB page\n0x0000000000500123  0x0000000300500123  4 MiB page\n',
    );
    expect(err).toContain('RISC-V Sv32, root 0x0000000080100000 from --satp');
    const wide = await command('translate', path, '--satp=80480100', '100010123');
    expect([wide.exit, wide.out]).toEqual([1, expect.stringContaining('wider than 32 bits')]);
    const explained = await command('explain', path, '--satp=80480100', '10123');
    expect(explained.out).toContain('level-1 PTE 0 (address bits 31:22) at 0x0000000080100000 = 0x20040401');
    expect(explained.out).toMatch(
      /^type +PMA: what the physical address has, from a machine without Svpbmt$/m,
    );
    expect(explained.out).toMatch(/^assumed .*ADUE = 1$/m);
    expect(explained.out).not.toContain('Svnapot');
  });

  it('is what satp says of raw memory too: no 64-bit satp has bit 31 and no mode', async () => {
    const raw = await file('raw', memory(made, 0x80100, 2));
    const source = [raw, '--raw', '--base=80100000'];
    const given = await command('translate', ...source, '--satp=80480100', '10123');
    expect(given.out).toContain('0x0000000080050123');
    const mode = await command('translate', ...source, '--root=80100000', '--mode=sv32', '10123');
    expect(mode.out).toBe(given.out);
    const registers = await file('rv32.txt', ' mstatus  00000000\n mstatush 00000000\n satp     80480100\n');
    const read = await command('translate', ...source, '--registers', registers, '10123');
    expect(read.out).toBe(given.out);
    expect(read.err).toContain('RISC-V Sv32');
  });
});

it('a kdump of Linux is read from the root that VMCOREINFO names, in the mode that VA_BITS tells', async () => {
  // The symbol ffffffff80003000 less va_kernel_pa_offset is 80203000: level 3 of Sv48, then a 512-GiB page.
  const text =
    'SYMBOL(swapper_pg_dir)=ffffffff80003000\nNUMBER(VA_BITS)=48\nNUMBER(va_kernel_pa_offset)=0xfffffffeffe00000\n';
  const made = new Tables().set(0x80203, 511, entry(0, 0xefn));
  const path = await image('kdump', {
    notes: [note('VMCOREINFO', 0, new TextEncoder().encode(text))],
    loads: [{ physical: 0x8020_3000n, data: memory(made, 0x80203, 1) }],
  });
  const info = await command('info', path);
  expect(info.out).toContain(
    'RISC-V Sv48, root 0x0000000080203000 from swapper_pg_dir (VMCOREINFO SYMBOL(swapper_pg_dir))',
  );
  expect(info.out).toMatch(/^tables +1 table; pages: 1 of 512G$/m);
  const { out } = await command('translate', path, 'ffffffff80000123');
  expect(out).toBe('0xffffffff80000123  0x0000007f80000123  512 GiB page\n');
  expect((await command('maps', path, '--mode=sv39')).err).toContain('RISC-V Sv39');
});
