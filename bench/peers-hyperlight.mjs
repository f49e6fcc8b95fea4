// tablewalk's side of the rows "vmem" of bench/peers.mjs: node bench/peers-hyperlight.mjs ROUNDS, after npm run build.

import {
  aarch64,
  amd64,
  GuestPageTableBuffer,
  MemoryTableOps,
  map,
  virtToPhys,
  walkVaSpaces,
} from '../dist/hyperlight-vmem/index.js';
import { flatMemory } from '../dist/memory/index.js';
import * as loopsOfOwn from './peers-hyperlight-loops.mjs?own';
import * as loopsOfReady from './peers-hyperlight-loops.mjs?ready';
import { COUNT, checksum, expect, rowWithSum, shuffled, timedOnce } from './peers-rows.mjs';

/** Physical address of the first table, the root. */
const TABLES = 0x10_0000n;
/** Room for the tables: more than 1 GiB in one address space needs, and four halves beside a shared one. */
const TABLES_BYTES = 520 * 4096;

const VIRT = 0x7f00_0000_0000n;
const PHYS = 0x1_0000_0000n;
const LEN = BigInt(COUNT) * 4096n;

/** Address spaces that share tables, and the bytes of each half: what each has alone, and what all have. */
const ROOTS = 4;
const HALF = LEN / BigInt(ROOTS) / 2n;
/** Where all of them have the shared pages: what the next entry of the root maps. */
const SHARED = VIRT + (1n << 39n);
const SHARED_ENTRY = ((SHARED >> 39n) & 511n) * 8n;

const WRITABLE = { kind: 'Basic', readable: true, writable: true, executable: false };
const COW = { kind: 'Cow', readable: true, executable: true };

const gibibyte = { physBase: PHYS, virtBase: VIRT, len: LEN, kind: WRITABLE };
const nothing = { ...gibibyte, kind: { kind: 'Unmapped' } };

const addresses = shuffled().map((page) => VIRT + BigInt(page) * 4096n + 0x123n);

/** Operations as a user writes them who has guest RAM in an array: the first address of RAM is 0. */
class OwnOps {
  tableMovability = 'MayNotMoveTable';
  ram = new BigUint64Array((Number(TABLES) + TABLES_BYTES) / 8);
  next = TABLES + 4096n;
  root = TABLES;

  entryAddr(addr, entryOffset) {
    return addr + entryOffset;
  }

  readEntry(addr) {
    return this.ram[Number(addr) / 8];
  }

  writeEntry(addr, entry) {
    this.ram[Number(addr) / 8] = entry;
  }

  toPhys(addr) {
    return addr;
  }

  fromPhys(phys) {
    return phys;
  }

  rootTable() {
    return this.root;
  }

  allocTable() {
    const table = this.next;
    this.next += 4096n;
    return table;
  }
}

/** Operations over memory that is there before anything is mapped. */
function memoryTables() {
  const words = new Uint32Array(TABLES_BYTES / 4);
  let next = 0n;
  const allocTable = () => {
    const table = next;
    next += 4096n;
    return table;
  };
  const clear = () => {
    words.fill(0);
    next = TABLES + 4096n;
  };
  clear();
  const memory = flatMemory(words, [{ address: TABLES, offset: 0, length: TABLES_BYTES }]);
  return {
    name: 'MemoryTableOps',
    loops: loopsOfReady,
    ops: new MemoryTableOps(memory, { root: TABLES, allocTable }),
    clear,
    checksum: () => checksum(words.subarray(0, Number(next - TABLES) / 4)),
  };
}

/** The ready-made buffer that grows; it begins empty each time. */
function growingTables() {
  const tables = {
    name: 'GuestPageTableBuffer',
    loops: loopsOfReady,
    ops: new GuestPageTableBuffer(TABLES),
    clear() {
      tables.ops = new GuestPageTableBuffer(TABLES);
    },
    checksum() {
      const { buffer, byteOffset, byteLength } = tables.ops.intoBytes();
      return checksum(new Uint32Array(buffer, byteOffset, byteLength / 4));
    },
  };
  return tables;
}

/** A user's own operations, from `bigint` to `bigint`. */
function ownTables() {
  const ops = new OwnOps();
  return {
    name: 'own operations',
    loops: loopsOfOwn,
    ops,
    clear() {
      ops.ram.fill(0n);
      ops.next = TABLES + 4096n;
    },
    checksum: () => checksum(new Uint32Array(ops.ram.buffer, Number(TABLES), Number(ops.next - TABLES) / 4)),
  };
}

/** Address spaces in one buffer: each has its own pages, and all have those of the first one's next entry. */
function spaces(ops, setRoot) {
  const roots = [TABLES];
  while (roots.length < ROOTS) roots.push(ops.allocTable());
  map(amd64, ops, { physBase: 0x80_0000_0000n, virtBase: SHARED, len: HALF, kind: COW });
  const entry = ops.readEntry(ops.entryAddr(TABLES, SHARED_ENTRY));
  for (const [i, root] of roots.entries()) {
    setRoot(root);
    map(amd64, ops, { physBase: PHYS + BigInt(i) * HALF, virtBase: VIRT, len: HALF, kind: WRITABLE });
    ops.writeEntry(ops.entryAddr(root, SHARED_ENTRY), entry);
  }
  return roots;
}

function measureMaps(run, tables) {
  const { name, loops } = tables;
  const measured = (rowName, clear, work, mapping) => {
    rowWithSum(run, `vmem map 4K, ${rowName}`, name, COUNT, () => {
      if (clear) tables.clear();
      const { ops } = tables;
      const [time] = timedOnce(() => work(ops, mapping));
      return [time, tables.checksum()];
    });
  };
  const grows = name === 'GuestPageTableBuffer';
  measured(grows ? 'a buffer that grows' : 'new tables', true, loops.mapAll, gibibyte);
  measured('again', false, loops.mapAll, gibibyte);
  measured('Unmapped', false, loops.mapAll, nothing);
  measured('page by page', true, loops.mapEach, gibibyte);
}

function measureLookups(run, { name, ops, loops }) {
  const measured = (rowName, kind, work, input) => {
    rowWithSum(run, `vmem virt_to_phys, ${rowName}`, `${name}: ${kind}`, COUNT, () =>
      timedOnce(() => work(ops, VIRT, input)),
    );
  };
  measured('1 GiB', 'frame', loops.sumFrames, LEN);
  measured('1 GiB', 'physBase', loops.sumAddresses, LEN);
  measured('1 GiB, from within', 'frame', loops.sumFrames, LEN);
  measured('a page, random', 'frame', loops.sumLookups, addresses);
}

function measureWalk(run, { name, ops, loops }, setRoot) {
  const roots = spaces(ops, setRoot);
  rowWithSum(run, 'vmem walk_va_spaces, 4 roots', name, COUNT, () => {
    const [time, found] = timedOnce(() => loops.walk(ops, roots, 1n << 47n));
    return [time, loops.sumWalk(found, VIRT)];
  });
}

function measure(run) {
  const ready = [memoryTables(), growingTables()];
  for (const tables of ready) measureMaps(run, tables);
  for (const tables of ready) measureLookups(run, tables);
  const grown = growingTables();
  measureWalk(run, grown, (root) => grown.ops.setRoot(root));

  const own = ownTables();
  measureMaps(run, own);
  measureLookups(run, own);
  own.clear();
  measureWalk(run, own, (root) => {
    own.ops.root = root;
  });
}

/** Uses every kind of operations and both architectures, as a long-lived process does. */
function useEverything() {
  const own = ownTables();
  const plain = { ...ownTables().ops, tableMovability: 'MayMoveTable', updateRoot() {} };
  for (const name of Object.getOwnPropertyNames(OwnOps.prototype)) plain[name] ??= OwnOps.prototype[name];
  const wide = memoryTables();
  const shared = new SharedArrayBuffer(TABLES_BYTES);
  let next = TABLES;
  const atomic = new MemoryTableOps(
    flatMemory(shared, [{ address: TABLES, offset: 0, length: TABLES_BYTES }]),
    { root: TABLES, allocTable: () => (next += 4096n), outside: 'ignore' },
  );
  for (const arch of [amd64, aarch64]) {
    for (const ops of [own.ops, plain, wide.ops, atomic, new GuestPageTableBuffer(TABLES)]) {
      for (const kind of [WRITABLE, COW, { kind: 'Unmapped' }, WRITABLE]) {
        for (let i = 0n; i < 512n; i += 1n) {
          map(arch, ops, { physBase: PHYS, virtBase: i * 0x3000n, len: 0x2000n, kind });
        }
      }
      let pages = 0;
      for (const { frame } of virtToPhys(arch, ops, 0n, 512n * 0x3000n)) pages += frame > 0 ? 1 : 0;
      expect(pages, 1024, 'pages found');
      const aliases = true;
      const [{ items }] = walkVaSpaces(arch, ops, [ops.rootTable()], 0n, 512n * 0x3000n, { aliases });
      expect(items.length, 1024, 'pages walked');
    }
  }
}

measure('first');
useEverything();
measure('second');
