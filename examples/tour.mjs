// One guest RAM, edited and read through the interfaces of four originals, then shown by the command.
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { X86Cpu } from 'tablewalk/cpu';
import * as hal from 'tablewalk/hal-core';
import * as vmem from 'tablewalk/hyperlight-vmem';
import { flatMemory } from 'tablewalk/memory';
import * as x86 from 'tablewalk/x86_64';

const RAM_BYTES = 16 << 20;
const ROOT = 0x1000n;
const WINDOW = 0xffff_8000_0000_0000n;
const HEAP = 0xffff_c000_0000_0000n;
const { PRESENT, WRITABLE, NO_EXECUTE } = x86.PageTableFlags;
const data = PRESENT.union(WRITABLE, NO_EXECUTE);

const ram = new Uint8Array(RAM_BYTES);
const memory = flatMemory(ram);
const frames = new x86.BumpFrameAllocator([
  x86.PhysFrame.range(x86.PhysFrame.fromPfn(2), x86.PhysFrame.fromPfn(256)),
]);
const page = (address) => x86.Page.containingAddress(new x86.VirtAddr(address));

// As a boot loader does, before paging is on: tables are reached by their physical addresses.
const offset = new x86.OffsetPageTable(x86.PageTable.at(memory, ROOT), x86.VirtAddr.zero());
const loop = new x86.PageTableIndex(510);
offset.level4TableMut().get(loop).setFrame(x86.PhysFrame.fromPfn(1), PRESENT.union(WRITABLE));
for (let at = 0n; at < RAM_BYTES; at += x86.Size2MiB.SIZE) {
  const large = x86.Page.containingAddress(new x86.VirtAddr(WINDOW + at), x86.Size2MiB);
  offset
    .mapTo(large, x86.PhysFrame.containingAddress(new x86.PhysAddr(at), x86.Size2MiB), data, frames)
    .ignore();
}
for (let i = 0; i < 6; i += 1) {
  offset.mapTo(page(HEAP).add(i), x86.PhysFrame.fromPfn(0x300 + i), data, frames).ignore();
}
console.log(
  `OffsetPageTable     maps all RAM in 2-MiB pages, and 6 pages from 0x${HEAP.toString(16)}: ${frames.allocated} tables`,
);

// As a kernel does: the processor is on, and walks to its tables through an entry that leads back to them.
const cpu = new X86Cpu(
  memory,
  { cr0: 0x8001_0001n, cr3: ROOT, cr4: 0x20n, efer: 0xd00n },
  { detector: true },
);
const window = x86.Page.fromPageTableIndices(loop, loop, loop, loop);
const recursive = new x86.RecursivePageTable(x86.PageTable.at(cpu, window.startAddress().asU64()));
cpu.write(HEAP + 0x1000n, 8, 0x1122_3344_5566_7788n);
recursive.updateFlags(page(HEAP + 0x1000n), PRESENT.union(NO_EXECUTE)).flush();
const { kind, exception, because } = cpu.write(HEAP + 0x1000n, 8, 1n);
console.log(
  `RecursivePageTable  takes writing from the second page: a write is now a ${kind}, ${exception}, as ${because}`,
);

// As a kernel on mycelium does: a range of pages at once, here the fourth and the fifth.
const mm = new hal.Mm(cpu);
mm.initPaging(hal.VAddr.fromUsize(WINDOW));
const fourth = hal.Page.containing(hal.VAddr.fromUsize(HEAP + 0x3000n), hal.Size4Kb);
mm.current().unmapRange(fourth.rangeInclusive(fourth.add(1n)));
console.log(
  `Map                 takes 0x${fourth.baseAddr().asUsize().toString(16)} and the page after it out`,
);

// As a host does: it reads the guest's tables, and nothing of the guest runs.
const found = vmem.virtToPhys(vmem.amd64, new vmem.MemoryTableOps(memory, { root: cpu.cr3 }), HEAP, 0x6000n);
const told = Array.from(
  found,
  ({ virtBase, kind }) =>
    `0x${virtBase.toString(16)} r${kind.writable ? 'w' : '-'}${kind.executable ? 'x' : '-'}`,
);
console.log(`virtToPhys          finds ${told.join(', ')}`);

// And anyone, with the command: what is mapped now, and what becomes of accesses to the second page.
const file = `${tmpdir()}/guest-ram-${process.pid}`;
writeFileSync(file, ram);
const registers = ['--cr0', '0x80010001', '--cr3', '0x1000', '--cr4', '0x20', '--efer', '0xd00'];
for (const verb of [
  ['maps', '--range', `${HEAP.toString(16)}+24K`],
  ['explain', (HEAP + 0x1123n).toString(16)],
]) {
  const args = ['--no-install', 'tablewalk', verb[0], file, ...verb.slice(1), '--raw', ...registers];
  const { stdout, stderr, status } = spawnSync('npx', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  console.log(`\n$ tablewalk ${verb[0]} guest-ram ${verb.slice(1).join(' ')}\n${stdout.trimEnd()}`);
}
rmSync(file);

/* prints
OffsetPageTable     maps all RAM in 2-MiB pages, and 6 pages from 0xffffc00000000000: 5 tables
RecursivePageTable  takes writing from the second page: a write is now a fault, #PF, as R/W = 0 in PTE
Map                 takes 0xffffc00000003000 and the page after it out
virtToPhys          finds 0xffffc00000000000 rw-, 0xffffc00000001000 r--, 0xffffc00000002000 rw-, 0xffffc00000005000 rw-

$ tablewalk maps guest-ram --range ffffc00000000000+24K
LINEAR                             PHYSICAL           SIZE  PAGES  USER  SUPER  TYPE  ACC   DIRTY  GLOBAL
ffffc00000000000-ffffc00000001000  0000000000300000  4 KiB  4K     ---   rw-    WB    none  none   no
ffffc00000001000-ffffc00000002000  0000000000301000  4 KiB  4K     ---   r--    WB    none  none   no
ffffc00000002000-ffffc00000003000  0000000000302000  4 KiB  4K     ---   rw-    WB    none  none   no
ffffc00000005000-ffffc00000006000  0000000000305000  4 KiB  4K     ---   rw-    WB    none  none   no

$ tablewalk explain guest-ram ffffc00000001123
0xffffc00000001123 translates to 0x0000000000301123 (x86-64 4-level paging, root 0x0000000000001000 from --cr3)

PML4E 384 (address bits 47:39) at 0x0000000000001c00 = 0x0000000000004023
  leads to the page-directory-pointer table at 0x0000000000004000; takes away user access
  P=1 present, R/W=1 writable, U/S=0 supervisor only, PWT=0, PCD=0, A=1 used, address=0x4000 (bits 51:12),
  XD=0 fetches allowed, all other bits 0

PDPTE 0 (address bits 38:30) at 0x0000000000004000 = 0x0000000000005023
  leads to the page directory at 0x0000000000005000; takes away user access
  P=1 present, R/W=1 writable, U/S=0 supervisor only, PWT=0, PCD=0, A=1 used, PS=0 points to a table,
  address=0x5000 (bits 51:12), XD=0 fetches allowed, all other bits 0

PDE 0 (address bits 29:21) at 0x0000000000005000 = 0x0000000000006063
  leads to the page table at 0x0000000000006000; takes away user access
  P=1 present, R/W=1 writable, U/S=0 supervisor only, PWT=0, PCD=0, A=1 used, PS=0 points to a table,
  address=0x6000 (bits 51:12), XD=0 fetches allowed, bit 6=1 ignored, all other bits 0

PTE 1 (address bits 20:12) at 0x0000000000006008 = 0x8000000000301001
  maps the page at 0x0000000000301000; takes away writes, user access, fetches
  P=1 present, R/W=0 read-only, U/S=0 supervisor only, PWT=0, PCD=0, A=0 not used yet, D=0 not written yet,
  PAT=0, address=0x301000 (bits 51:12), XD=1 no fetches, all other bits 0

physical          0x0000000000301123, in the 4 KiB page at 0x0000000000301000
type              WB, from PAT entry 0 (PAT=0 PCD=0 PWT=0)
rights            user ---, supervisor r--
supervisor write  page fault (#PF), error code 0x03 (P present, W/R write): R/W = 0 in PTE
supervisor fetch  page fault (#PF), error code 0x11 (P present, I/D fetch): XD = 1 in PTE
user read         page fault (#PF), error code 0x05 (P present, U/S user): U/S = 0 in PML4E, PDPTE, PDE, PTE
user write        page fault (#PF), error code 0x07 (P present, W/R write, U/S user): U/S = 0 in PML4E, PDPTE, PDE, PTE; R/W = 0 in PTE
user fetch        page fault (#PF), error code 0x15 (P present, U/S user, I/D fetch): U/S = 0 in PML4E, PDPTE, PDE, PTE; XD = 1 in PTE
assumed           PAT at its reset value; 52 physical-address bits
*/
