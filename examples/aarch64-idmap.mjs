// The example of the Rust crate aarch64-paging, line by line, and what it leads to: what an active map refuses, what a walk finds, and
// tables to be put into an image.
import {
  Attributes,
  El1And0,
  El1Attributes,
  IdMap,
  Mapping,
  MemoryRegion,
  TargetAllocator,
  VaRange,
} from 'tablewalk/aarch64-paging';
import { aarch64Pagings, resolveAarch64Control } from 'tablewalk/format';
import { Walker } from 'tablewalk/walk';

const ASID = 1;
const ROOT_LEVEL = 1;

// A map of a 2-MiB region, writable.
const idmap = new IdMap(ASID, ROOT_LEVEL);
idmap.mapRange(
  new MemoryRegion(0x80200000n, 0x80400000n),
  Attributes.NORMAL.or(Attributes.NON_GLOBAL).or(Attributes.VALID),
);
idmap.activate();
// Some writes later: read-only. To be changed at will, the map must not be active.
idmap.deactivate();
idmap.mapRange(
  new MemoryRegion(0x80200000n, 0x80400000n),
  Attributes.NORMAL.or(Attributes.NON_GLOBAL).or(Attributes.READ_ONLY).or(Attributes.VALID),
);
idmap.activate();
idmap.walkRange(new MemoryRegion(0x80200000n, 0x80201000n), (region, descriptor, level, full) => {
  console.log(`${region} is in ${full}, level ${level}: ${descriptor}`);
});

// A part of a block that is in use cannot be changed by itself.
try {
  const writable = Attributes.NORMAL.or(Attributes.NON_GLOBAL).or(Attributes.VALID);
  idmap.mapRange(new MemoryRegion(0x80200000n, 0x80201000n), writable);
} catch (error) {
  console.log(`${error.kind}: ${error.violation.rule} of ${error.violation.entry}`);
}

// What the processor would find: TTBR0 is the root, TCR says 39 bits.
const { control } = resolveAarch64Control({ ttbr0: idmap.rootAddress().value, tcr: 25n | (5n << 32n) });
const [lower] = aarch64Pagings(control);
const found = new Walker(idmap.memory, lower).translateAddress(0x80212345n);
console.log(`0x80212345 is 0x${found.toString(16)}`);

// Tables for a kernel in the upper range, to lie at 0x40000000 in its image.
const tables = new TargetAllocator(0x40000000n);
const kernel = Mapping.withAsidAndVaRange(tables, 0, ROOT_LEVEL, El1And0, VaRange.Upper);
const { VALID, ACCESSED, ATTRIBUTE_INDEX_1, INNER_SHAREABLE, READ_ONLY, UXN } = El1Attributes;
const code = VALID.or(ACCESSED, ATTRIBUTE_INDEX_1, INNER_SHAREABLE, READ_ONLY, UXN);
kernel.mapRange(new MemoryRegion(0xffffff8000000000n, 0xffffff8000203000n), 0x80000000n, code);
const { tables: counts, valid } = kernel.statistics();
console.log(`${tables.asBytes().length} bytes: tables ${counts}, leaves ${valid}`);
console.log(`${kernel.translate(0xffffff8000202fffn).address}`);

/* prints
0x0000000080200000..0x0000000080201000 is in 0x0000000080200000..0x0000000080400000, level 2: 0x00000080200f85 (0x0000000080200000, Attributes(VALID | NORMAL | READ_ONLY | ACCESSED | NON_GLOBAL))
BreakBeforeMakeViolation: block-size of 0x0000000080200000..0x0000000080400000
0x80212345 is 0x80212345
12288 bytes: tables 0,1,1,1, leaves 0,0,1,3
0x0000000080202fff
*/
