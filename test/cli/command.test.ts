import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command } from '../support/command.ts';
import { sampleLines, samplePath } from '../support/sample.ts';

const SAMPLE = samplePath('core.elf.gz');

describe('info', () => {
  it('names the image, its CPUs, its tables, and what is assumed', async () => {
    const { exit, out } = await command('info', SAMPLE);
    expect(exit).toBe(0);
    expect(out).toContain('ELF core written by QEMU');
    // registers.json of the sample.
    expect(out).toMatch(/CPU 1 {4}CR0 0x80050033 {2}CR3 0x287e000 {2}CR4 0x6e0 {2}RIP 0x4020db/);
    expect(out).toContain('126 tables; pages: 74,193 of 4K, 144 of 2M');
    expect(out.match(/^assumed/gm)).toHaveLength(3);
  });

  it('assumes nothing that is given', async () => {
    const given = ['--efer', 'd01', '--pat', '0007040600070406', '--phys-bits', '40'];
    const { out } = await command('info', SAMPLE, ...given);
    expect(out).not.toContain('assumed');
  });

  it('says the same as JSON', async () => {
    const { out } = await command('info', SAMPLE, '--cpu', '1', '--json');
    expect(JSON.parse(out)).toMatchObject({
      architecture: 'x86',
      root: '0x000000000287e000',
      tables: 126,
      pages: { 4096: 74_197, 2097152: 144 },
    });
  });
});

describe('maps', () => {
  it.each([
    ['qemu-tlb', 'info-tlb-cpu1.txt.gz'],
    ['qemu-mem', 'info-mem-cpu1.txt.gz'],
  ])('prints as QEMU with --format %s', async (format, file) => {
    const { out } = await command('maps', SAMPLE, '--cpu', '1', '--format', format);
    expect(out === `${sampleLines(file).join('\n')}\n`).toBe(true);
  });

  it('shows user text, data and the kernel as the guest’s own lists have them', async () => {
    const { out } = await command('maps', SAMPLE);
    // /proc/PID/maps: 00401000-00403000 r-xp; pagemap: 401000 has 2 pages from frame f8b7.
    expect(out).toMatch(/^0000000000401000-0000000000403000 {2}000000000f8b7000 +8 KiB {2}4K +r-x/m);
    // /proc/iomem: kernel code from 06a00000; System.map: _stext at ffffffffb6000000.
    expect(out).toMatch(/^ffffffffb6000000-ffffffffb6e02000 {2}0000000006a00000 .* --- +r-x/m);
    // espfix: one page for each of 65,536 64-KiB steps.
    expect(out).toMatch(/^ffffff5b0000d000-ffffff5b0000e000 .* 65,536 times, every 64 KiB$/m);
  });

  it('finds what is writable and executable: the two pages that the guest mapped rwx', async () => {
    const { out } = await command('maps', SAMPLE, '--rights', 'wx', '--json');
    const { regions } = JSON.parse(out);
    // Console: "MAPPED0 rwx 7f75ed6ec000+2000".
    expect(regions.map((one: { first: string; end: string }) => [one.first, one.end])).toEqual([
      ['0x00007f75ed6ec000', '0x00007f75ed6ed000'],
      ['0x00007f75ed6ed000', '0x00007f75ed6ee000'],
    ]);
  });

  it('cuts regions to --range, with an end or a length', async () => {
    const one = await command('maps', SAMPLE, '--range', 'ffffffffb6001000-ffffffffb6003000', '--ndjson');
    const two = await command('maps', SAMPLE, '--range', '0xffffffffb6001000+8K', '--ndjson');
    expect(JSON.parse(one.out)).toMatchObject({ physical: '0x0000000006a01000', size: 8192 });
    expect(two.out).toBe(one.out);
  });

  it('keeps rows of a page size: the hugetlb page of the process is among them', async () => {
    const { out } = await command('maps', SAMPLE, '--size', '2M', '--range', '0-800000000000', '--ndjson');
    // Console: "MAPPED0 hugetlb 7f75ece00000+200000"; QEMU: physical 2e00000.
    expect(JSON.parse(out)).toMatchObject({
      first: '0x00007f75ece00000',
      physical: '0x0000000002e00000',
      pageSizes: [2_097_152],
    });
  });

  it('unfolds every page with --merge none --all: as many rows as QEMU has lines', async () => {
    const { out } = await command('maps', SAMPLE, '--merge', 'none', '--all', '--ndjson');
    expect(out.trimEnd().split('\n')).toHaveLength(74_337);
  });

  it('refuses more rows than --limit', async () => {
    const { exit, err } = await command('maps', SAMPLE, '--limit', '10');
    expect(exit).toBe(3);
    expect(err).toContain('more than 10 rows');
  });

  it('joins what lies close together with --gap, and loses no page', async () => {
    const { out } = await command('maps', SAMPLE, '--gap', '64M');
    const kernel = out.split('\n').find((line) => line.startsWith('ffffffffb6000000'));
    expect(kernel).toMatch(/-ffffffffb9600000 +54 MiB +54 MiB +6 /);
  });
});

describe('translate', () => {
  it('answers in text, and exits 1 if one address does not translate', async () => {
    const { exit, out } = await command('translate', SAMPLE, '0x402fff', '0xfff');
    expect(exit).toBe(1);
    expect(out.split('\n')[0]).toBe('0x0000000000402fff  0x000000000f8b8fff  4 KiB page');
    expect(out.split('\n')[1]).toContain('not present: P = 0 in PTE');
  });

  it('answers as one JSON object', async () => {
    const { exit, out } = await command('translate', SAMPLE, '7f75ece12345', '900000000000', '--json');
    expect(exit).toBe(1);
    expect(JSON.parse(out)).toEqual({
      translations: [
        { va: '0x00007f75ece12345', pa: '0x0000000002e12345', pageSize: 2_097_152, reason: null },
        {
          va: '0x0000900000000000',
          pa: null,
          pageSize: null,
          reason: 'not canonical: bits 63:48 do not all equal bit 47',
        },
      ],
    });
  });
});

describe('explain', () => {
  it('shows every level of a kernel address down to its 2-MiB page', async () => {
    const { exit, out } = await command('explain', SAMPLE, 'ffffffffb6000123');
    expect(exit).toBe(0);
    expect(out.match(/^(PML4E|PDPTE|PDE|PTE) /gm)).toHaveLength(3);
    expect(out).toContain('translates to 0x0000000006a00123');
    // SDM: bit 0 protection, bit 2 user, bit 4 fetch.
    expect(out).toMatch(/^user fetch +page fault \(#PF\), error code 0x15 /m);
    expect(out).not.toMatch(/^supervisor (read|fetch) /m);
  });

  it('finds the page behind Linux’s PROT_NONE, as the guest’s pagemap has it', async () => {
    // Console: "MAPPED0 protnone-touched 7f75ed6ea000+2000", pagemap of that page.
    const line = sampleLines('console.txt.gz').find((one) => one.startsWith('PM0 7f75ed6ea000 '));
    const frame = line?.split(' ')[3];
    const { exit, out } = await command('explain', SAMPLE, '7f75ed6ea000', '--json');
    expect(exit).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      outcome: 'not-present',
      linux: { kind: 'prot-none', pa: `0x${`${frame}000`.padStart(16, '0')}` },
    });
  });

  it('tells a non-canonical address apart', async () => {
    const { exit, out } = await command('explain', SAMPLE, '0x800000000000');
    expect(exit).toBe(1);
    expect(out).toContain('does not translate: not canonical: bits 63:48 do not all equal bit 47');
  });
});

describe('read', () => {
  it('reads a page table through the kernel’s direct map: its entry is the one that explain shows', async () => {
    // The root of CPU 0 lies at physical 2a42000; the direct map begins at ffff8a9d00000000 (QEMU's info tlb).
    const dump = await command('read', SAMPLE, 'ffff8a9d02a42ff8', '8');
    expect(dump.exit).toBe(0);
    expect(dump.out).toMatch(/^ffff8a9d02a42ff8 {2}67 50 41 08 00 00 00 00 /);
    const explained = await command('explain', SAMPLE, 'ffffffffb6000123', '--json');
    expect(JSON.parse(explained.out).levels[0].value).toBe('0x0000000008415067');
  });

  it('says which bytes are not in the image, and never shows them as zeros', async () => {
    const { exit, out, err } = await command('read', SAMPLE, 'fffffe0000001000', '16');
    expect(exit).toBe(1);
    expect(out).toContain('.. .. ..');
    expect(err).toContain('not in image');
  });
});

describe('wrong usage exits 2, unreadable input 3, each with a message that names what was found', () => {
  it.each<[string, string[], number, RegExp]>([
    ['an unknown verb', ['walk', SAMPLE], 2, /unknown command 'walk'/],
    ['an unknown option', ['maps', SAMPLE, '--colour'], 2, /unknown option '--colour'/],
    ['a missing argument', ['explain', SAMPLE], 2, /missing required argument 'address'/],
    [
      'an address that is no number',
      ['translate', SAMPLE, '0xzz'],
      2,
      /'0xzz'; expected 1 to 16 hexadecimal/,
    ],
    ['a CPU that is not there', ['maps', SAMPLE, '--cpu', '7'], 2, /--cpu 7: the image holds CPUs 0 to 1/],
    [
      'an unknown mode',
      ['maps', SAMPLE, '--mode', '6-level'],
      2,
      /expected one of 32-bit, PAE, 4-level, 5-level/,
    ],
    ['two kinds of JSON', ['info', SAMPLE, '--json', '--ndjson'], 2, /both --json and --ndjson/],
    [
      'a range that ends before it begins',
      ['maps', SAMPLE, '--range', '2000-1000'],
      2,
      /expected an end above/,
    ],
    [
      'a filter for QEMU’s format',
      ['maps', SAMPLE, '--format', 'qemu-tlb', '--size', '4K'],
      2,
      /prints what QEMU prints; leave --size out/,
    ],
    ['a base for an ELF core', ['info', SAMPLE, '--base', '0'], 2, /base is for raw images/],
    ['a file that is not there', ['info', 'no-such-file'], 3, /no-such-file: ENOENT/],
    ['a file that is no image', ['info', samplePath('registers.json')], 3, /expected an ELF core/],
    ['paging switched off', ['maps', SAMPLE, '--cr0', '11'], 3, /paging is off \(CR0 = 0x11, PG = 0\)/],
  ])('%s', async (_, args, exit, message) => {
    const result = await command(...args);
    expect(result.err).toMatch(message);
    expect(result).toMatchObject({ exit, out: '' });
  });
});

describe('raw memory', () => {
  let folder: string;
  let path: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tablewalk-'));
    path = join(folder, 'ram.bin');
    // PAE tables at physical 10000: PDPTE 0 -> 11000, PDE 1 = a 2-MiB page at 600000 (P, R/W, U/S, PS).
    const ram = new DataView(new ArrayBuffer(0x2000));
    ram.setBigUint64(0, 0x1_1001n, true);
    ram.setBigUint64(0x1008, 0x60_0087n, true);
    await writeFile(path, new Uint8Array(ram.buffer));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('is read with --base, --root and --mode', async () => {
    const { exit, out } = await command(
      'translate',
      path,
      '--base',
      '10000',
      '--root',
      '10000',
      '--mode',
      'pae',
      '212345',
    );
    expect(out).toBe('0x0000000000212345  0x0000000000612345  2 MiB page\n');
    expect(exit).toBe(0);
  });

  it('needs a root: there are no registers', async () => {
    const { exit, err } = await command('maps', path, '--raw');
    expect(exit).toBe(2);
    expect(err).toContain('give its physical address with --root');
  });

  it('is described even without a root', async () => {
    const { exit, out } = await command('info', path, '--raw');
    expect(exit).toBe(0);
    expect(out).toContain('none read');
  });
});
