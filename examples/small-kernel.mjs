// Guest RAM for a small kernel, set up as with the Rust crate x86_64: code, data and stack in the upper half, RAM at an
// offset, one page for user mode. The command then shows it.
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { flatMemory } from 'tablewalk/memory';
import * as x86 from 'tablewalk/x86_64';

const ram = new Uint8Array(16 << 20);
const { PRESENT, WRITABLE, NO_EXECUTE, USER_ACCESSIBLE, GLOBAL } = x86.PageTableFlags;
const data = PRESENT.union(WRITABLE, NO_EXECUTE);

// The root lies in frame 1; frames for the other tables are taken from the first MiB behind it.
const frames = x86.PhysFrame.range(x86.PhysFrame.fromPfn(2), x86.PhysFrame.fromPfn(256));
const tables = new x86.BumpFrameAllocator([frames]);
const mapper = new x86.OffsetPageTable(x86.PageTable.at(flatMemory(ram), 0x1000n), x86.VirtAddr.zero());

/** Maps `bytes` from a virtual to a physical address in pages of one size. */
function map(virt, phys, bytes, flags, size = x86.Size4KiB) {
  let page = x86.Page.fromStartAddress(new x86.VirtAddr(virt), size);
  let frame = x86.PhysFrame.fromStartAddress(new x86.PhysAddr(phys), size);
  for (let left = bytes; left > 0n; left -= size.SIZE, page = page.add(1), frame = frame.add(1)) {
    mapper.mapTo(page, frame, flags, tables).ignore();
  }
}

map(0xffff_8000_0000_0000n, 0n, 0x100_0000n, data, x86.Size2MiB); // all RAM
map(0xffff_ffff_8000_0000n, 0x20_0000n, 0x4000n, PRESENT.union(GLOBAL)); // code
map(0xffff_ffff_8000_4000n, 0x20_4000n, 0x2000n, data.union(GLOBAL)); // data
map(0xffff_ffff_8000_7000n, 0x20_6000n, 0x1000n, data.union(GLOBAL)); // stack, with an unmapped page before it
map(0x40_0000n, 0x30_0000n, 0x1000n, PRESENT.union(USER_ACCESSIBLE));

const file = `${tmpdir()}/tablewalk-small-kernel-${process.pid}`;
writeFileSync(file, ram);
const args = ['--no-install', 'tablewalk', 'maps', file, '--raw', '--root', '0x1000', '--mode', '4-level'];
const { stdout } = spawnSync('npx', args, { encoding: 'utf8' });
console.log(`${tables.allocated} tables and the root\n${stdout}`);
rmSync(file);

/* prints
8 tables and the root
LINEAR                             PHYSICAL            SIZE  PAGES  USER  SUPER  TYPE  ACC   DIRTY  GLOBAL
0000000000400000-0000000000401000  0000000000300000   4 KiB  4K     r-x   r-x    WB    none  none   no
ffff800000000000-ffff800001000000  0000000000000000  16 MiB  2M     ---   rw-    WB    none  none   no
ffffffff80000000-ffffffff80004000  0000000000200000  16 KiB  4K     ---   r-x    WB    none  none   yes
ffffffff80004000-ffffffff80006000  0000000000204000   8 KiB  4K     ---   rw-    WB    none  none   yes
ffffffff80007000-ffffffff80008000  0000000000206000   4 KiB  4K     ---   rw-    WB    none  none   yes

*/
