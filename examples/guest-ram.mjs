// An emulator's guest RAM: page tables in a buffer, walked with page numbers.

import { resolveX86Control, x86Paging } from 'tablewalk/format';
import { flatMemory } from 'tablewalk/memory';
import { NOT_PRESENT, Walker } from 'tablewalk/walk';

// 16 MiB of RAM at physical address 0, inside a larger heap, as in a WebAssembly emulator.
const heap = new ArrayBuffer(32 << 20);
const memory = flatMemory(heap, [{ address: 0n, offset: 1 << 20, length: 16 << 20 }]);

// The guest's tables: PML4 at 0x1000, PDPT at 0x2000, page directory at 0x3000 with one 2-MiB page at 0x400000.
const ram = new DataView(heap, 1 << 20);
ram.setBigUint64(0x1000, 0x2003n, true);
ram.setBigUint64(0x2000, 0x3003n, true);
ram.setBigUint64(0x3000 + 8 * 4, 0x40_0083n, true);

const { control } = resolveX86Control({ cr0: 0x8001_0011n, cr3: 0x1000n, cr4: 0xa0n, efer: 0xd00n }, true);
const walker = new Walker(memory, x86Paging(control));

// A page number is the address divided by 4096: exact in a number, and no bigint on the hot path.
console.log('page 0x812 is in frame', `0x${walker.translate(0x812).toString(16)}`);
console.log('page 0x000 is mapped:', walker.translate(0) !== NOT_PRESENT);
console.log('address 0x812345 is at', `0x${walker.translateAddress(0x81_2345n)?.toString(16)}`);

/* prints
page 0x812 is in frame 0x412
page 0x000 is mapped: false
address 0x812345 is at 0x412345
*/
