import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildElf, type ElfSpec, note, qemuNote } from '../source/build-elf.ts';
import { command } from '../support/command.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tablewalk-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function image(name: string, spec: ElfSpec): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, buildElf(spec).bytes);
  return path;
}

/** Frames from `physical` on; each number of `entries` is written at its byte offset. */
function tables(bytes: 4 | 8, frames: number, entries: Readonly<Record<number, bigint>>): Uint8Array {
  const result = new Uint8Array(frames * 4096);
  const view = new DataView(result.buffer);
  for (const [offset, value] of Object.entries(entries)) {
    if (bytes === 8) view.setBigUint64(Number(offset), value, true);
    else view.setUint32(Number(offset), Number(value), true);
  }
  return result;
}

// Offsets of QEMUCPUState, version 1: CR0, CR3, CR4.
const CR0 = 0x188;
const CR3 = 0x1a0;
const CR4 = 0x1a8;

describe('a kdump of Linux, which holds no CR3', () => {
  // The kernel maps its text at ffffffff81000000 -> physical 1000000 with one 2-MiB page. phys_base is 0: the symbol
  // ffffffff81003000 is physical 1003000.
  const vmcoreinfo = (levels: string) =>
    note(
      'VMCOREINFO',
      0,
      new TextEncoder().encode(
        `OSRELEASE=6.1.0\nPAGESIZE=4096\nSYMBOL(init_top_pgt)=ffffffff81003000\nNUMBER(phys_base)=0\nNUMBER(pgtable_l5_enabled)=${levels}\n`,
      ),
    );

  it('is read from the root that VMCOREINFO names', async () => {
    const path = await image('kdump', {
      notes: [vmcoreinfo('0')],
      loads: [
        {
          physical: 0x100_3000n,
          data: tables(8, 3, { 4088: 0x100_4063n, 8176: 0x100_5063n, [0x2000 + 8 * 8]: 0x100_01e1n }),
        },
      ],
    });
    const { exit, out } = await command('translate', path, 'ffffffff81003abc');
    expect([exit, out]).toEqual([0, '0xffffffff81003abc  0x0000000001003abc  2 MiB page\n']);
    const info = await command('info', path);
    expect(info.out).toContain('ELF core of Linux (kdump)');
    expect(info.out).toContain(
      'x86-64 4-level paging, root 0x0000000001003000 from init_top_pgt (VMCOREINFO',
    );
    expect(info.out).toMatch(/^assumed +CR4 = 0xb0/m);
  });

  it('keeps the number of levels that it names for any root, and says what else is assumed', async () => {
    const path = await image('kdump5-root', {
      notes: [vmcoreinfo('1')],
      loads: [{ physical: 0x100_3000n, data: new Uint8Array(8192) }],
    });
    const info = await command('info', path, '--root', '1004000');
    expect(info.out).toContain('x86-64 5-level paging, root 0x0000000001004000 from --root');
    // PSE, PAE, PGE and LA57 are bits 4, 5, 7 and 12.
    expect(info.out).toMatch(/^assumed +CR4 = 0x10b0/m);
    expect(info.out).toMatch(/^assumed +EFER.NXE = 1/m);
  });

  it('is read with five levels if it says so', async () => {
    const path = await image('kdump5', {
      notes: [vmcoreinfo('1')],
      loads: [
        {
          physical: 0x100_3000n,
          data: tables(8, 4, {
            4088: 0x100_4063n,
            8184: 0x100_5063n,
            12272: 0x100_6063n,
            [0x3000 + 8 * 8]: 0x100_01e1n,
          }),
        },
      ],
    });
    const { out } = await command('explain', path, 'ffffffff81003abc');
    expect(out.match(/^(PML5E|PML4E|PDPTE|PDE) /gm)).toHaveLength(4);
    expect(out).toContain('translates to 0x0000000001003abc (x86-64 5-level paging');
  });
});

describe('a QEMU core of a 32-bit machine', () => {
  it('is read with 4-byte entries, 4-MiB pages and PSE-36', async () => {
    // PDE 1: 4-MiB page, P, R/W, U/S, PS; bits 20:13 = 1 (address bit 32), bits 31:22 = 2. PDE 2 -> page table at 2000.
    const path = await image('pse', {
      bits: 32,
      machine: 3,
      notes: [qemuNote(432, { [CR0]: 0x8001_0011n, [CR3]: 0x1000n, [CR4]: 0x90n })],
      loads: [
        {
          physical: 0x1000n,
          data: tables(4, 2, { 4: 0x0080_2087n, 8: 0x2027n, [0x1000 + 4 * 3]: 0x7_5025n }),
        },
      ],
    });
    const { out } = await command('translate', path, '00412345', '00803fff', '00800000');
    expect(out.split('\n').slice(0, 2)).toEqual([
      '0x0000000000412345  0x0000000100812345  4 MiB page',
      '0x0000000000803fff  0x0000000000075fff  4 KiB page',
    ]);
    const maps = await command('maps', path);
    expect(
      maps.out
        .split('\n')
        .slice(1, 3)
        .map((line) => line.split(/ {2,}/).slice(0, 6)),
    ).toEqual([
      ['0000000000400000-0000000000800000', '0000000100800000', '4 MiB', '4M', 'rwx', 'rwx'],
      ['0000000000803000-0000000000804000', '0000000000075000', '4 KiB', '4K', 'r-x', 'r-x'],
    ]);
    const wide = await command('explain', path, '100000000');
    expect(wide.out).toContain('wider than 32 bits');
  });

  it('is read with a PAE root that lies anywhere in its frame', async () => {
    const path = await image('pae', {
      machine: 3,
      notes: [qemuNote(440, { [CR0]: 0x8001_0011n, [CR3]: 0x1fe0n, [CR4]: 0xa0n })],
      loads: [
        {
          physical: 0x1000n,
          // PDPTE 3 at 1ff8 -> 2000; PDE 511: a 2-MiB page at 40000000 with XD.
          data: tables(8, 2, { 4088: 0x2001n, 8184: 0x8000_0000_4000_0083n }),
        },
      ],
    });
    const { out } = await command('explain', path, 'fffffabc');
    expect(out).toContain('translates to 0x00000000401ffabc (x86 PAE paging, root 0x0000000000001fe0');
    expect(out).toContain('rights            user ---, supervisor rw-');
  });

  it('whose paging is off says so, and is still described', async () => {
    const path = await image('off', {
      machine: 3,
      notes: [qemuNote(432, { [CR0]: 0x11n })],
      loads: [{ physical: 0n, data: new Uint8Array(4096) }],
    });
    const maps = await command('maps', path);
    expect(maps).toMatchObject({ exit: 3, out: '' });
    expect(maps.err).toContain('linear addresses are physical addresses');
    expect((await command('info', path)).exit).toBe(0);
  });
});

describe('a table that several entries share', () => {
  // PDEs 2, 5 and 9 lead to one page table with three pages: frame 300 twice, read-only, then writable and executable.
  const shared = () =>
    image('shared', {
      notes: [qemuNote(440, { [CR0]: 0x8001_0011n, [CR3]: 0x1000n, [CR4]: 0xa0n })],
      loads: [
        {
          physical: 0x1000n,
          data: tables(8, 4, {
            0: 0x2003n,
            4096: 0x3003n,
            [0x2000 + 8 * 2]: 0x4003n,
            [0x2000 + 8 * 5]: 0x4003n,
            [0x2000 + 8 * 9]: 0x4003n,
            12288: 0x30_0001n,
            [0x3000 + 8 * 4]: 0x30_0001n,
            [0x3000 + 8 * 7]: 0x40_0003n,
          }),
        },
      ],
    });

  it('is listed once, and named where it stands again', async () => {
    const { out } = await command('maps', await shared());
    expect(
      out
        .split('\n')
        .slice(1, -1)
        .map((line) => line.split(/ {2,}/)[0]),
    ).toEqual([
      '0000000000400000-0000000000401000',
      '0000000000404000-0000000000405000',
      '0000000000407000-0000000000408000',
      '0000000000a00000-0000000000c00000',
      '0000000001200000-0000000001400000',
    ]);
    expect(out).toMatch(
      /^0000000000a00000-0000000000c00000 {2}same as 0000000000400000: 3 pages of one table\.$/m,
    );
  });

  it('passes a filter wherever it stands', async () => {
    const { out } = await command('maps', await shared(), '--rights', 'super:wx', '--ndjson');
    const firsts = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).first);
    expect(firsts).toEqual(['0x0000000000407000', '0x0000000000a00000', '0x0000000001200000']);
  });

  it('counts in an overview each time', async () => {
    const { out } = await command('maps', await shared(), '--gap', '16M', '--json');
    // Three copies of three pages.
    expect(JSON.parse(out).clusters).toMatchObject([
      { mapped: 9 * 4096, regions: 9, supervisor: ['r-x', 'rwx'] },
    ]);
  });

  it('is unfolded with --all, within the limit', async () => {
    const all = await command('maps', await shared(), '--all', '--limit', '9', '--ndjson');
    expect(all.out.trimEnd().split('\n')).toHaveLength(9);
    const fewer = await command('maps', await shared(), '--all', '--limit', '8', '--ndjson');
    expect(fewer).toMatchObject({ exit: 3, out: '' });
  });
});

describe('--root', () => {
  it('is not rounded: a root that is not one is refused, and CR3 is said to be something else', async () => {
    const path = await image('root', {
      notes: [qemuNote(440, { [CR0]: 0x8001_0011n, [CR3]: 0x1018n, [CR4]: 0xa0n })],
      loads: [{ physical: 0x1000n, data: new Uint8Array(4096) }],
    });
    const refused = await command('maps', path, '--root', '1018');
    expect(refused.exit).toBe(2);
    expect(refused.err).toContain('--root 0x1018; expected the address of a root table');
    // PCD and PWT (bits 4 and 3) are no part of the address.
    const masked = await command('maps', path, '--json');
    expect(JSON.parse(masked.out).root).toBe('0x0000000000001000');
  });
});

describe('what an image does not hold', () => {
  it('is shown as not in image, at every level', async () => {
    const path = await image('holes', {
      notes: [qemuNote(440, { [CR0]: 0x8001_0011n, [CR3]: 0x1000n, [CR4]: 0xa0n })],
      loads: [{ physical: 0x1000n, data: tables(8, 2, { 0: 0x2003n, 8: 0x9000_3003n, 4096: 0x9000_4003n }) }],
    });
    const maps = await command('maps', path);
    expect(maps.out).toMatch(
      /^0000000000000000-0000000040000000 {2}not in image: the table at 0x0000000090004000/m,
    );
    expect(maps.out).toMatch(
      /^0000008000000000-0000010000000000 {2}not in image: the table at 0x0000000090003000/m,
    );
    // The remark widens no column: the header's are as wide as their own cells.
    expect(maps.out.split('\n')[0]).toMatch(/^LINEAR {29}PHYSICAL {2}SIZE {2}PAGES/);
    const translated = await command('translate', path, '1000', '--json');
    expect(translated.exit).toBe(1);
    expect(JSON.parse(translated.out).translations[0]).toMatchObject({
      pa: null,
      reason: 'not in image: the table at 0x0000000090004000 is not there',
    });
    expect((await command('info', path)).out).toMatch(
      /^missing +2 entries to tables that are not in the image/m,
    );
  });
});

it('PROT_NONE of a 2-MiB page names the 2-MiB page', async () => {
  // pgtable-invert.h: the frame of a not-present entry is stored inverted; of a huge page bits 20:12 stay clear.
  // Page 2e00000, PROT_NONE (bit 8), PS, D, A: inverted address bits 51:21.
  const path = await image('protnone', {
    notes: [qemuNote(440, { [CR0]: 0x8001_0011n, [CR3]: 0x1000n, [CR4]: 0xa0n })],
    loads: [
      {
        physical: 0x1000n,
        data: tables(8, 3, { 0: 0x2003n, 4096: 0x3003n, [0x2000 + 8]: 0x000f_ffff_fd00_09e0n }),
      },
    ],
  });
  const { out } = await command('explain', path, '234567', '--json');
  expect(JSON.parse(out).linux).toEqual({ kind: 'prot-none', pa: '0x0000000002e00000' });
});

it('QEMU’s listings say on stderr which tables are not in the image', async () => {
  const path = await image('cut', {
    notes: [qemuNote(440, { [CR0]: 0x8001_0011n, [CR3]: 0x5000n, [CR4]: 0xa0n })],
    loads: [{ physical: 0x1000n, data: new Uint8Array(4096) }],
  });
  const { exit, out, err } = await command('maps', path, '--format', 'qemu-tlb');
  expect([exit, out]).toEqual([1, '']);
  expect(err).toContain('1 entry to tables that are not in the image');
});
