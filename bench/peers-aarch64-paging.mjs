// tablewalk's side of the rows "aarch64" of bench/peers.mjs: node bench/peers-aarch64-paging.mjs ROUNDS, after npm run build.

import * as face from '../dist/aarch64-paging/index.js';
import { flatMemory, OverlayMemory } from '../dist/memory/index.js';
import * as loopsOfModern from './peers-aarch64-paging-loops.mjs?modern';
import * as loopsOfSeed from './peers-aarch64-paging-loops.mjs?seed';
import { COUNT, checksum, expect, rowWithSum, shuffled, timedOnce } from './peers-rows.mjs';

const { Attributes, Constraints, El1And0, El1Attributes, IdMap, Mapping, MemoryRegion } = face;

/** Physical address of the first table, the root. */
const TABLES = 0x10_0000n;
/** Tables that there is room for: 1 GiB of pages needs 512 for leaves and two above. */
const ROOM = 520;

const VIRT = 0x10_0000_0000n;
const FIRST = Number(VIRT >> 12n);
const PHYS = 0x1_0000_0000n;
const LEN = BigInt(COUNT) * 4096n;

/** 64 GiB of 2-MiB blocks. Their addresses are not those of 1-GiB blocks. */
const BLOCKS = 32_768;
const BLOCK = 0x20_0000n;
const BLOCKS_PHYS = PHYS + BLOCK;

const ROOT_LEVEL = 1;
const ASID = 1;

const ALL = new MemoryRegion(VIRT, VIRT + LEN);
const ALL_BLOCKS = new MemoryRegion(VIRT, VIRT + BigInt(BLOCKS) * BLOCK);
const PAGES_ONLY = Constraints.NO_BLOCK_MAPPINGS;

const pages = shuffled();
const addresses = pages.map((page) => VIRT + BigInt(page) * 4096n);
const physical = pages.map((page) => PHYS + BigInt(page) * 4096n);
const regions = pages.map((page) => MemoryRegion.ofPages(FIRST + page, FIRST + page + 1));

/** Tables in a buffer that is there before anything is mapped. */
class Arena {
  constructor(memoryOf = (memory) => memory) {
    this.words = new Uint32Array(ROOM * 1024);
    const region = { address: TABLES, offset: 0, length: this.words.byteLength };
    this.memory = memoryOf(flatMemory(this.words, [region]));
    this.used = 0;
  }

  allocateTable() {
    this.used += 1;
    return Number(TABLES >> 12n) + this.used - 1;
  }

  deallocateTable() {}

  clear() {
    this.words.fill(0);
    this.used = 0;
  }

  checksum() {
    return checksum(this.words.subarray(0, this.used * 1024));
  }
}

const modern = {
  name: 'aarch64',
  loops: loopsOfModern,
  make: (arena) => Mapping.withAsidAndVaRange(arena, ASID, ROOT_LEVEL, El1And0, 'Lower'),
  makeOwn: () => IdMap.withAsid(ASID, ROOT_LEVEL, El1And0),
  flags: El1Attributes.ATTRIBUTE_INDEX_1.union(
    El1Attributes.INNER_SHAREABLE,
    El1Attributes.VALID,
    El1Attributes.ACCESSED,
    El1Attributes.NON_GLOBAL,
  ),
  none: El1Attributes.empty(),
  readOnly: El1Attributes.READ_ONLY,
};

const seed = {
  name: 'aarch64 0.5',
  loops: loopsOfSeed,
  make: (arena) => new Mapping(arena, ASID, ROOT_LEVEL, 'Lower'),
  makeOwn: () => new IdMap(ASID, ROOT_LEVEL),
  flags: Attributes.NORMAL.union(Attributes.NON_GLOBAL, Attributes.VALID),
  none: Attributes.empty(),
  readOnly: Attributes.READ_ONLY,
};

function measure(run, shape) {
  const { loops, flags, none, readOnly } = shape;
  const arena = new Arena();
  const fresh = () => {
    arena.clear();
    return shape.make(arena);
  };
  const row = (name, kind, count, pass) => rowWithSum(run, `${shape.name} ${name}`, kind, count, pass);
  const mapPages = (map) => loops.mapAll(map, ALL, PHYS, flags, PAGES_ONLY);
  const mapBlocks = (map) => loops.mapAll(map, ALL_BLOCKS, BLOCKS_PHYS, flags);

  const mapped = (name, kind, count, work) =>
    row(name, kind, count, () => {
      const map = fresh();
      const [time] = timedOnce(() => work(map));
      return [time, arena.checksum()];
    });
  mapped('map 4K, new tables', 'mapRange', COUNT, mapPages);
  row('map 4K, own heap', 'mapRange', COUNT, () => {
    const map = shape.makeOwn();
    const [time] = timedOnce(() => map.mapRangeWithConstraints(ALL, flags, PAGES_ONLY));
    let sum = 0;
    map.walkRange(ALL, (region, descriptor) => {
      sum += region.firstPage + (descriptor.low & 0xfff);
    });
    return [time, sum];
  });
  mapped('map 2M, new tables', 'mapRange', BLOCKS, mapBlocks);
  const random = 'map a page, random, new tables';
  mapped(random, 'regions at hand', COUNT, (map) => loops.mapEach(map, regions, physical, flags, PAGES_ONLY));
  mapped(random, 'bigint', COUNT, (map) => loops.mapAddresses(map, addresses, physical, flags, PAGES_ONLY));
  if (shape === modern) {
    row('unmap, by table', 'mapRange', COUNT / 512 + 1, () => {
      const map = fresh();
      mapPages(map);
      const [time] = timedOnce(() => loops.mapAll(map, ALL, 0n, none));
      return [time, arena.checksum()];
    });
  }

  let map = fresh();
  mapBlocks(map);
  const again = (name, count, work) =>
    row(name, 'mapRange', count, () => {
      const [time] = timedOnce(() => work(map));
      return [time, arena.checksum()];
    });
  again('map 2M, again', BLOCKS, mapBlocks);

  map = fresh();
  mapPages(map);
  again('map 4K, again', COUNT, mapPages);
  row('map 4K, again, active', 'mapRange', COUNT, () => {
    map.markActive();
    const [time] = timedOnce(() => mapPages(map));
    map.markInactive();
    return [time, arena.checksum()];
  });
  row('modify 4K, set and clear', 'modifyFlags', 2 * COUNT, () => {
    const [set] = timedOnce(() => loops.modify(map, ALL, readOnly, none));
    const sum = arena.checksum();
    const [clear] = timedOnce(() => loops.modify(map, ALL, none, readOnly));
    return [set + clear, sum + arena.checksum()];
  });
  row('walk 4K', 'numbers', COUNT, () => timedOnce(() => loops.walk(map, ALL, FIRST)));
  row('walk 4K', 'bigint', COUNT, () => timedOnce(() => loops.walkBigints(map, ALL, FIRST)));
  row('walk a page, random', 'regions at hand', COUNT, () =>
    timedOnce(() => loops.walkEach(map, regions, FIRST)),
  );
  row('walk a page, random', 'bigint', COUNT, () =>
    timedOnce(() => loops.walkAddresses(map, addresses, FIRST)),
  );
}

/** Uses both shapes, every regime and every kind of memory, as a long-lived process does. */
function useEverything() {
  const { El2, El2And0, El23Attributes, El3, LinearMap, Stage2, Stage2Attributes, TargetAllocator } = face;
  const stage2 = Stage2Attributes.ACCESS_FLAG.union(Stage2Attributes.VALID);
  const el2 = El23Attributes.ACCESSED.union(El23Attributes.VALID);
  const translations = [
    () => new Arena(),
    () => new Arena((memory) => new OverlayMemory(memory).memory),
    () => new TargetAllocator(TABLES),
  ];
  for (const make of translations) {
    const maps = [
      [modern.make(make()), modern],
      [Mapping.withAsidAndVaRange(make(), ASID, 0, El2And0, 'Lower'), modern],
      [
        new Mapping(make(), ROOT_LEVEL, Stage2),
        { flags: stage2, readOnly: Stage2Attributes.XN, none: stage2 },
      ],
      [new Mapping(make(), ROOT_LEVEL, El2), { flags: el2, readOnly: El23Attributes.READ_ONLY, none: el2 }],
      [new Mapping(make(), ROOT_LEVEL, El3), { flags: el2, readOnly: El23Attributes.READ_ONLY, none: el2 }],
      [seed.make(make()), seed],
    ];
    for (const [map, { flags, readOnly, none }] of maps) {
      for (let i = 0; i < 2000; i += 1) map.mapRange(regions[i], physical[i], flags);
      map.mapRange(MemoryRegion.ofPages(0, 0x10_0000), 0n, flags);
      map.modifyRange(MemoryRegion.ofPages(1, 0x6_0001), (_, each) => each.modifyFlags(readOnly, none));
      let seen = 0;
      map.walkRange(MemoryRegion.ofPages(0, 0x10_0000), (region) => {
        seen += region.endPage - region.firstPage;
      });
      expect(seen, 0x10_0000, 'pages walked');
    }
  }
  const linear = LinearMap.withAsid(ASID, ROOT_LEVEL, 0x1000n, El1And0, 'Lower');
  linear.mapRange(MemoryRegion.ofPages(0, 4096), modern.flags);
  expect(linear.translate(0x5000n)?.address.value, 0x6000n, 'linear');
}

for (const shape of [modern, seed]) measure('first', shape);
useEverything();
for (const shape of [modern, seed]) measure('second', shape);
