// tablewalk's side of the rows "space" of bench/peers.mjs: node bench/peers-space.mjs ROUNDS, after npm run build.

import { aarch64Paging, resolveAarch64Control } from '../dist/format/index.js';
import { flatMemory } from '../dist/memory/index.js';
import { AddressSpace, SPACE_FORMATS } from '../dist/space/index.js';
import { COUNT, expect, row, rowWithSum, shuffled, timedOnce } from './peers-rows.mjs';
import { FrameStack, leafChecksum } from './space-tables.mjs';

/** Tables that there is room for: 1 GiB of pages needs 512 for leaves, and some above. */
const ROOM = 530;
const PAGE = 4096n;
const GIB = BigInt(COUNT) * PAGE;
const PHYS = 0x1_0000_0000n;
/** Pages of the rows that change one page a call. */
const PAGES = 65_536;

const words = new Uint32Array(ROOM * 1024);
const memory = flatMemory(words);

/** A kind of tables as the peers have them; what they do not mark as used is not. */
const X86 = {
  kind: 'x86',
  levels: 4,
  virt: 0x7f00_0000_0000n,
  make: (allocator) => AddressSpace.create({ format: '4-level', memory, allocator }),
};
/** As in the rows "aarch64": a root of level 1. */
const AARCH64 = {
  kind: 'aarch64',
  levels: 3,
  virt: 0x10_0000_0000n,
  make: (allocator) => {
    const ttbr0 = BigInt(allocator.allocate()) << 12n;
    const { control } = resolveAarch64Control({ tcr: 0x19n | (1n << 23n) | (5n << 32n), mair: 0xffn, ttbr0 });
    return AddressSpace.open({ paging: aarch64Paging(control, 'lower'), memory, allocator });
  },
};

function fresh(shape) {
  words.fill(0);
  return shape.make(new FrameStack(0, ROOM));
}

const mapped = (shape, bytes = GIB) => {
  const space = fresh(shape);
  space.map(shape.virt, bytes, { physical: PHYS, rights: 'rw', maxPage: PAGE });
  return space;
};
const leaves = ({ kind, levels }, space) => leafChecksum(words, Number(space.roots[0] >> 12n), kind, levels);

/** What a loop by hand and the machine's own fill take for as many entries: no peer does it. */
function measureLimits(run) {
  const entries = new Uint32Array(COUNT * 2);
  row(run, 'limit: stores', 'plain loop', COUNT, () => {
    const [time] = timedOnce(() => {
      let low = 0x63;
      for (let i = 0; i < entries.length; i += 2) {
        entries[i] = low;
        entries[i + 1] = 0x8000_0001;
        low = (low + 4096) >>> 0;
      }
    });
    return time;
  });
  row(run, 'limit: stores', 'fill', COUNT, () => timedOnce(() => entries.fill(0x63))[0]);
}

function measureRanges(run, shape, prefix) {
  const { virt } = shape;
  const done = (name, count, make, work) =>
    rowWithSum(run, `${prefix} ${name}`, 'AddressSpace', count, () => {
      const space = make();
      const [time] = timedOnce(() => work(space));
      return [time, leaves(shape, space)];
    });
  const map = (space) => space.map(virt, GIB, { physical: PHYS, rights: 'rw', maxPage: PAGE });
  done('map 1 GiB in 4K, new tables', COUNT, () => fresh(shape), map);
  const space = mapped(shape);
  const protect = (name, from, bytes) =>
    rowWithSum(run, `${prefix} ${name}`, 'AddressSpace', Number(bytes / PAGE) * 2, () => {
      let time = 0;
      let sum = 0;
      for (const rights of ['r', 'rw']) {
        time += timedOnce(() => space.protect(virt + from, bytes, { rights, dirty: false }))[0];
        sum += leaves(shape, space);
      }
      return [time, sum];
    });
  const unmap = (name, from, bytes) =>
    done(
      name,
      Number(bytes / PAGE),
      () => mapped(shape),
      (each) => each.unmap(virt + from, bytes),
    );
  protect('protect 1 GiB in 4K', 0n, GIB);
  if (shape === X86) protect('protect its middle half', GIB / 4n, GIB / 2n);
  unmap('unmap 1 GiB in 4K', 0n, GIB);
  if (shape !== X86) return;
  unmap('unmap its middle half', GIB / 4n, GIB / 2n);
  unmap('unmap half, within tables', 0x12_3000n, GIB / 2n);
  const tebibyte = { physical: PHYS, rights: 'rw' };
  done(
    'map 1 TiB in the largest pages',
    1024,
    () => fresh(shape),
    (each) => each.map(virt, GIB << 10n, tebibyte),
  );
}

function measurePages(run, order, numbers) {
  const { virt } = X86;
  const count = numbers.length;
  const addresses = numbers.map((number) => virt + BigInt(number) * PAGE);
  const options = addresses.map((address) => ({ physical: address - virt + PHYS, rights: 'rw' }));
  const name = (what) => `space ${what} a page, ${order}`;
  rowWithSum(run, name('map'), 'AddressSpace', count, () => {
    const space = fresh(X86);
    const [time] = timedOnce(() => {
      for (let i = 0; i < count; i += 1) space.map(addresses[i], PAGE, options[i]);
    });
    return [time, leaves(X86, space)];
  });
  const space = mapped(X86, BigInt(count) * PAGE);
  rowWithSum(run, name('protect'), 'AddressSpace', 2 * count, () => {
    let time = 0;
    let sum = 0;
    for (const rights of ['r', 'rw']) {
      const change = { rights, dirty: false };
      const [part] = timedOnce(() => {
        for (let i = 0; i < count; i += 1) space.protect(addresses[i], PAGE, change);
      });
      time += part;
      sum += leaves(X86, space);
    }
    return [time, sum];
  });
  rowWithSum(run, name('unmap'), 'AddressSpace', count, () => {
    const full = mapped(X86, BigInt(count) * PAGE);
    const [time] = timedOnce(() => {
      for (let i = 0; i < count; i += 1) full.unmap(addresses[i], PAGE);
    });
    return [time, leaves(X86, full)];
  });
}

function measure(run) {
  measureLimits(run);
  measureRanges(run, X86, 'space');
  measurePages(
    run,
    'in order',
    Array.from({ length: PAGES }, (_, i) => i),
  );
  measurePages(run, 'random', shuffled(PAGES));
  measureRanges(run, AARCH64, 'space aarch64');
}

/** Uses every format, as a long-lived process does. */
function useEverything() {
  const room = new Uint32Array(200 * 1024);
  const other = flatMemory(room);
  for (const format of SPACE_FORMATS) {
    room.fill(0);
    const allocator = new FrameStack(0, 200);
    const space = AddressSpace.create({ format, memory: other, allocator });
    for (let i = 0n; i < 200n; i += 1n) {
      const at = i * 0x10_1000n;
      space.map(at, 0x1_3000n, { physical: at + PAGE, rights: 'rwx' });
      space.protect(at + PAGE, 0x3000n, { rights: 'rx' });
      expect(space.translate(at)?.kind, 'mapped', 'translate');
      if (i % 2n === 0n) space.unmap(at, 0x1_0000n);
    }
    space.compact();
    space.unmap(0n, 0x1000_0000n);
  }
}

measure('first');
useEverything();
measure('second');
