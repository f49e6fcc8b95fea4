import { expect, test } from 'vitest';
import { parseVmcoreinfo, vmcoreinfoRoots } from '../../src/source/index.ts';

const roots = (text: string) => vmcoreinfoRoots(parseVmcoreinfo(text));

test('lines are split at the first equals sign, and zero bytes at the end are padding', () => {
  const info = parseVmcoreinfo(
    'OSRELEASE=6.1.0\nCONFIG=a=b\nno value\n=\nEMPTY=\nKERNELOFFSET=1f000000\n\0\0',
  );
  expect([...info]).toEqual([
    ['OSRELEASE', '6.1.0'],
    ['CONFIG', 'a=b'],
    ['EMPTY', ''],
    ['KERNELOFFSET', '1f000000'],
  ]);
});

// Worked by hand: 0xffffffff82e0a000 - 0xffffffff80000000 = 0x2e0a000.
test('the root is the symbol less the kernel map plus phys_base', () => {
  expect(
    roots('SYMBOL(swapper_pg_dir)=ffffffff82e0a000\nNUMBER(phys_base)=0\nNUMBER(pgtable_l5_enabled)=0\n'),
  ).toEqual({
    roots: [
      { name: 'swapper_pg_dir', address: 0x2e0a000n, source: 'VMCOREINFO SYMBOL(swapper_pg_dir)', levels: 4 },
    ],
    remarks: [],
  });
  // 0x2e0a000 + 0x1000000 = 0x3e0a000
  expect(
    roots('SYMBOL(init_top_pgt)=ffffffff82e0a000\nNUMBER(phys_base)=16777216\nNUMBER(pgtable_l5_enabled)=1\n')
      .roots,
  ).toEqual([
    { name: 'init_top_pgt', address: 0x3e0a000n, source: 'VMCOREINFO SYMBOL(init_top_pgt)', levels: 5 },
  ]);
});

test('phys_base can be negative, and levels are absent if the kernel does not say', () => {
  // KASLR moved the image up by 0x1d000000 in virtual space, to 0x1000000 less: 0x1fe0a000 - 0x1e000000 = 0x1e0a000.
  expect(roots('SYMBOL(swapper_pg_dir)=ffffffff9fe0a000\nNUMBER(phys_base)=-503316480\n').roots).toEqual([
    { name: 'swapper_pg_dir', address: 0x1e0a000n, source: 'VMCOREINFO SYMBOL(swapper_pg_dir)' },
  ]);
});

test('the encryption bit is taken off the address', () => {
  // phys_base 2^47 (the C-bit) + 0x1000000
  const text =
    'SYMBOL(swapper_pg_dir)=ffffffff82e0a000\nNUMBER(phys_base)=140737505132544\nNUMBER(sme_mask)=140737488355328\n';
  expect(roots(text).roots[0].address).toBe(0x3e0a000n);
});

test.each([
  ['no phys_base', 'SYMBOL(swapper_pg_dir)=ffffffff82e0a000', 'phys_base'],
  ['text for phys_base', 'SYMBOL(swapper_pg_dir)=ffffffff82e0a000\nNUMBER(phys_base)=abc', '"abc"'],
  ['text for the symbol', 'SYMBOL(swapper_pg_dir)=xyz\nNUMBER(phys_base)=0', '"xyz"'],
  [
    'an endless number',
    `SYMBOL(swapper_pg_dir)=ffffffff82e0a000\nNUMBER(phys_base)=${'9'.repeat(1e6)}`,
    'not a number',
  ],
  [
    'text for sme_mask',
    'SYMBOL(swapper_pg_dir)=ffffffff82e0a000\nNUMBER(phys_base)=0\nNUMBER(sme_mask)=?',
    'sme_mask',
  ],
  ['an unaligned root', 'SYMBOL(swapper_pg_dir)=ffffffff82e0a008\nNUMBER(phys_base)=0', '0x2e0a008'],
  [
    'a root below zero',
    'SYMBOL(swapper_pg_dir)=ffffffff80001000\nNUMBER(phys_base)=-8192',
    'not the physical address',
  ],
  [
    'a symbol below the kernel',
    'SYMBOL(swapper_pg_dir)=c0001000\nNUMBER(phys_base)=0',
    'not the physical address',
  ],
])('%s is a remark, not a root', (_, text, said) => {
  const found = roots(text);
  expect(found.roots).toEqual([]);
  expect(found.remarks.join()).toContain(said);
  expect(found.remarks.join().length).toBeLessThan(400);
});

test('an odd pgtable_l5_enabled costs only the levels', () => {
  const found = roots(
    'SYMBOL(swapper_pg_dir)=ffffffff82e0a000\nNUMBER(phys_base)=0\nNUMBER(pgtable_l5_enabled)=7',
  );
  expect(found.roots).toEqual([
    { name: 'swapper_pg_dir', address: 0x2e0a000n, source: 'VMCOREINFO SYMBOL(swapper_pg_dir)' },
  ]);
  expect(found.remarks).toHaveLength(1);
});

test('without a root symbol there is nothing to say', () => {
  expect(roots('OSRELEASE=6.1.0')).toEqual({ roots: [], remarks: [] });
});

// Linux 6.1 arm64: kimage_voffset is the distance from the image's virtual to its physical addresses.
test('arm64: the root is the symbol less kimage_voffset; T1SZ tells the size of its half', () => {
  // 0xffff80000988b000 - 0xffff7fffc8000000 = 0x4188b000
  const text =
    'PAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffff80000988b000\nNUMBER(VA_BITS)=48\nNUMBER(kimage_voffset)=0xffff7fffc8000000\nNUMBER(TCR_EL1_T1SZ)=0x19\n';
  expect(vmcoreinfoRoots(parseVmcoreinfo(text), 'aarch64')).toEqual({
    roots: [
      {
        name: 'swapper_pg_dir',
        address: 0x4188_b000n,
        source: 'VMCOREINFO SYMBOL(swapper_pg_dir)',
        pageBytes: 4096,
        vaBits: 39,
      },
    ],
    remarks: [],
  });
});

test('arm64: with 64-KiB pages VA_BITS tells it; nothing is guessed without kimage_voffset', () => {
  const text =
    'PAGESIZE=65536\nSYMBOL(swapper_pg_dir)=ffff80000988b000\nNUMBER(VA_BITS)=42\nNUMBER(TCR_EL1_T1SZ)=0x16\n';
  expect(vmcoreinfoRoots(parseVmcoreinfo(text), 'aarch64')).toEqual({
    roots: [],
    remarks: [expect.stringContaining('NUMBER(kimage_voffset) is missing')],
  });
  const whole = parseVmcoreinfo(`${text}NUMBER(kimage_voffset)=0xffff7fffc8000000\n`);
  expect(vmcoreinfoRoots(whole, 'aarch64').roots[0]).toMatchObject({ vaBits: 42, pageBytes: 65_536 });
  const odd = parseVmcoreinfo(
    `${text}NUMBER(kimage_voffset)=0xffff7fffc8000000\n`.replace('BITS)=42', 'BITS)=x'),
  );
  expect(vmcoreinfoRoots(odd, 'aarch64').remarks).toEqual([expect.stringContaining('NUMBER(VA_BITS)')]);
});

// Linux arch/riscv/kernel/vmcore_info.c; numbers of the RISC-V sample: its console has the symbol and the image at 80200000,
// and registers.json the root 81fca.
test('RISC-V: the root is the symbol less va_kernel_pa_offset; VA_BITS tells the mode', () => {
  // 0xffffffff81dca000 - 0xfffffffeffe00000 = 0x81fca000
  const text =
    'SYMBOL(swapper_pg_dir)=ffffffff81dca000\nNUMBER(VA_BITS)=39\nNUMBER(KERNEL_LINK_ADDR)=0xffffffff80000000\nNUMBER(va_kernel_pa_offset)=0xfffffffeffe00000\n';
  expect(vmcoreinfoRoots(parseVmcoreinfo(text), 'riscv')).toEqual({
    roots: [
      {
        name: 'swapper_pg_dir',
        address: 0x81fc_a000n,
        source: 'VMCOREINFO SYMBOL(swapper_pg_dir)',
        vaBits: 39,
      },
    ],
    remarks: [],
  });
  const odd = vmcoreinfoRoots(parseVmcoreinfo(text.replace('=39', '=99')), 'riscv');
  expect([odd.roots[0].vaBits, odd.remarks]).toEqual([undefined, [expect.stringContaining('32 to 57')]]);
  const none = vmcoreinfoRoots(parseVmcoreinfo(text.replace('va_kernel_pa_offset', 'x')), 'riscv');
  expect(none).toEqual({ roots: [], remarks: [expect.stringContaining('va_kernel_pa_offset) is missing')] });
});

test('RISC-V with 32 bits: addresses wrap at 2^32', () => {
  // 0xc1dca000 - 0x3fc00000 = 0x821ca000; with an image above its link address 0xc1dca000 - 0xf0000000 + 2^32 = 0xd1dca000
  const text = 'SYMBOL(swapper_pg_dir)=c1dca000\nNUMBER(VA_BITS)=32\nNUMBER(va_kernel_pa_offset)=';
  const root = (offset: string) => vmcoreinfoRoots(parseVmcoreinfo(text + offset), 'riscv').roots[0];
  expect(root('0x3fc00000')).toMatchObject({ address: 0x821c_a000n, vaBits: 32 });
  expect(root('0xf0000000').address).toBe(0xd1dc_a000n);
});
