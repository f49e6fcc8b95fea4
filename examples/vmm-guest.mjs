// A VMM builds the first page tables of a guest in its RAM. The format is all that differs between machines:
// node vmm-guest.mjs [4-level | aarch64-4k | sv48]
import { AddressSpace, faultText, flatMemory, hex64, hexPage, rightsText } from 'tablewalk';
import { Aarch64Cpu, RiscvCpu, X86Cpu } from 'tablewalk/cpu';

const CPUS = { '4-level': X86Cpu, 'aarch64-4k': Aarch64Cpu, sv48: RiscvCpu };
const [format = '4-level'] = process.argv.slice(2);
const GIB = 1n << 30n;
const KERNEL = 0xffff_ffff_8000_0000n;
const STACKS = 0xffff_ffff_c000_0000n;
const STACK_BYTES = 0x4000n;

const memory = flatMemory(new ArrayBuffer(16 << 20));
let next = 0x100;
const allocator = { allocate: () => (next < 0x200 ? next++ : undefined), free: () => {} };
const space = AddressSpace.create({ format, memory, allocator, writeXorExecute: true });

// The low 4 GiB, each address at itself: RAM, and a window for devices.
space.map(0n, 3n * GIB, { physical: 0n, rights: 'rw' });
space.map(3n * GIB, GIB, { physical: 3n * GIB, rights: 'rw', type: 'device' });

// A kernel image that was loaded at 4 MiB.
const sections = [
  { name: 'text', bytes: 0x30_0000n, rights: 'rx' },
  { name: 'rodata', bytes: 0x8_0000n, rights: 'r' },
  { name: 'data', bytes: 0x28_0000n, rights: 'rw' },
];
let at = 0n;
for (const { bytes, rights } of sections) {
  space.map(KERNEL + at, bytes, { physical: 0x40_0000n + at, rights, global: true });
  at += bytes;
}

// A stack for each processor, and below it a page where nothing is.
const stackOf = (cpu) => STACKS + BigInt(cpu) * (STACK_BYTES + 0x1000n) + 0x1000n;
for (let cpu = 0; cpu < 2; cpu += 1) {
  space.map(stackOf(cpu), STACK_BYTES, { physical: 0xb0_0000n + BigInt(cpu) * STACK_BYTES, rights: 'rw' });
}

for (const [name, value] of Object.entries(space.control)) {
  if (typeof value === 'bigint') console.log(name.padEnd(6), hex64(value));
}
for (const { first, end, frame, rights, memoryType } of space.regions()) {
  console.log(hexPage(first), hexPage(end), 'to', hexPage(frame), rightsText(rights, false), memoryType.name);
}

// What a processor makes of it.
const cpu = new CPUS[format](memory, space.control);
const show = (what, { kind, ...outcome }) =>
  console.log(what.padEnd(16), kind === 'fault' ? faultText({ kind, ...outcome }) : kind);
show('fetch of text', cpu.fetch(KERNEL, 4));
show('write to text', cpu.write(KERNEL, 8, 0n));
show('fetch of data', cpu.fetch(KERNEL + 0x38_0000n, 4));
show('write to stack 1', cpu.write(stackOf(1), 8, 0n));
show('guard of stack 1', cpu.write(stackOf(1) - 8n, 8, 0n));

/* with aarch64-4k prints
ttbr0  0x0000000000100000
ttbr1  0x0000000000101000
tcr    0x0000000580100010
mair   0x00000000bb4404ff
sctlr  0x0000000000000001
0000000000000000 00000000c0000000 to 0000000000000000 rw- WB
00000000c0000000 0000000100000000 to 00000000c0000000 rw- Device-nGnRE
ffffffff80000000 ffffffff80300000 to 0000000000400000 r-x WB
ffffffff80300000 ffffffff80380000 to 0000000000700000 r-- WB
ffffffff80380000 ffffffff80600000 to 0000000000780000 rw- WB
ffffffffc0001000 ffffffffc0005000 to 0000000000b00000 rw- WB
ffffffffc0006000 ffffffffc000a000 to 0000000000b04000 rw- WB
fetch of text    done
write to text    Data Abort at 0xffffffff80000000, ESR 0x9600004e (DFSC 0x0e permission fault, level 2, WnR write): AP[2] = 1 in the translation that the TLB holds
fetch of data    Instruction Abort at 0xffffffff80380000, ESR 0x8600000f (IFSC 0x0f permission fault, level 3): PXN = 1 in L3 descriptor
write to stack 1 done
guard of stack 1 Data Abort at 0xffffffffc0005ff8, ESR 0x96000047 (DFSC 0x07 translation fault, level 3, WnR write): bit 0 = 0 in L3 descriptor
*/

/* with sv48 prints
satp   0x9000000000000100
0000000000000000 00000000c0000000 to 0000000000000000 rw- PMA
00000000c0000000 0000000100000000 to 00000000c0000000 rw- IO
ffffffff80000000 ffffffff80300000 to 0000000000400000 r-x PMA
ffffffff80300000 ffffffff80380000 to 0000000000700000 r-- PMA
ffffffff80380000 ffffffff80600000 to 0000000000780000 rw- PMA
ffffffffc0001000 ffffffffc0005000 to 0000000000b00000 rw- PMA
ffffffffc0006000 ffffffffc000a000 to 0000000000b04000 rw- PMA
fetch of text    done
write to text    store/AMO page fault at 0xffffffff80000000, scause 15: W = 0 in level-1 PTE, as it is remembered
fetch of data    instruction page fault at 0xffffffff80380000, scause 12: X = 0 in level-0 PTE
write to stack 1 done
guard of stack 1 store/AMO page fault at 0xffffffffc0005ff8, scause 15: V = 0 in level-0 PTE
*/

/* prints
cr0    0x0000000080010001
cr4    0x00000000000000b0
efer   0x0000000000000d00
cr3    0x0000000000100000
pat    0x0007040600070406
pkru   0x0000000000000000
pkrs   0x0000000000000000
0000000000000000 00000000c0000000 to 0000000000000000 rw- WB
00000000c0000000 0000000100000000 to 00000000c0000000 rw- UC
ffffffff80000000 ffffffff80300000 to 0000000000400000 r-x WB
ffffffff80300000 ffffffff80380000 to 0000000000700000 r-- WB
ffffffff80380000 ffffffff80600000 to 0000000000780000 rw- WB
ffffffffc0001000 ffffffffc0005000 to 0000000000b00000 rw- WB
ffffffffc0006000 ffffffffc000a000 to 0000000000b04000 rw- WB
fetch of text    done
write to text    #PF at 0xffffffff80000000, error code 0x03 (P present, W/R write): R/W = 0 in the translation that the TLB holds
fetch of data    #PF at 0xffffffff80380000, error code 0x11 (P present, I/D fetch): XD = 1 in PTE
write to stack 1 done
guard of stack 1 #PF at 0xffffffffc0005ff8, error code 0x02 (W/R write): P = 0 in PTE
*/
