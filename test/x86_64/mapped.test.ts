// Expected values: notes on the Rust crate, section 17, rows 1 to 40 for MappedPageTable and OffsetPageTable ("M"), and the
// rules of sections 8, 9 and 11. Where the original panics, memory must be as before the call.
import { describe, expect, test } from 'vitest';
import { flatMemory } from '../../src/memory/index.ts';
import { OffsetPageTable, PageTable, VirtAddr } from '../../src/x86_64/index.ts';
import { type Calls, hex, MapperCalls, type SizeName } from './calls.ts';
import { CountingAllocator, LAYOUTS, type Layout, Machine } from './machine.ts';

// Flags by the specification's letters.
const P = 1n;
const W = 2n;
const U = 4n;
const NC = 0x10n;
const H = 0x80n;
const G = 0x100n;
const B9 = 0x200n;
const B10 = 0x400n;
const NX = 1n << 63n;

// V has the indices 1, 2, 3 and 4; V2M and V1G are V aligned down.
const V = 0x80_8060_4000n;
const V2M = 0x80_8060_0000n;
const V1G = 0x80_8000_0000n;

type Word = readonly [address: bigint, value: bigint];

/** Entry `index` of the table in a frame. */
const at = (frame: bigint, index: number): bigint => frame + 8n * BigInt(index);
const P4_1 = at(0x1000n, 1);
/** V's entries in the chain of existing tables. */
const P3_2 = at(0x2000n, 2);
const P2_3 = at(0x3000n, 3);
const LEAF = at(0x4000n, 4);
/** V's entries in the tables that the allocator gives first. */
const NEW_P3_2 = at(0x10000n, 2);
const NEW_P2_3 = at(0x11000n, 3);
const NEW_LEAF = at(0x12000n, 4);

/** The chain of existing tables. */
const C = (x: bigint): Word[] => [
  [P4_1, 0x2000n | x],
  [P3_2, 0x3000n | x],
  [P2_3, 0x4000n | x],
];

const K: readonly Word[] = [
  ...C(P | W),
  [at(0x3000n, 7), 0x8003n],
  [at(0x8000n, 9), 0x99200n],
  [at(0x1000n, 300), 0x5003n],
  [at(0x5000n, 511), 0x6003n],
  [at(0x6000n, 0), 0x7003n],
  [at(0x1000n, 511), 0x9003n],
  [at(0x9000n, 511), 0xa003n],
  [at(0xa000n, 511), 0xb003n],
  [at(0x1000n, 5), 0xc003n],
  [at(0xc000n, 0), 0x4000_0083n],
  [at(0x1000n, 6), 0xd003n],
  [at(0xd000n, 3), 0xe200n],
  [at(0x1000n, 7), 0xf003n],
];
/** What a whole clean-up of K makes zero. */
const K_CLEANED: readonly Word[] = [
  [P2_3, 0n],
  [at(0x1000n, 7), 0n],
  [at(0x6000n, 0), 0n],
  [at(0x5000n, 511), 0n],
  [at(0x1000n, 300), 0n],
  [at(0xa000n, 511), 0n],
  [at(0x9000n, 511), 0n],
  [at(0x1000n, 511), 0n],
];

/** One call, and what it does. */
interface Step {
  readonly call: (calls: Calls) => string;
  readonly result: string;
  /** Frames that become tables: all their 512 entries are zero before `after` is stored. */
  readonly tables?: readonly bigint[];
  /** Entries that are different afterwards. */
  readonly after?: readonly Word[];
  /** Frames given back, in order. */
  readonly freed?: readonly bigint[];
}

interface Case {
  /** Row of section 17, or section of the rule. */
  readonly from: string;
  readonly name: string;
  readonly start?: readonly Word[];
  /** Frames that the allocator has. */
  readonly frames?: number;
  readonly steps: readonly Step[];
}

const step = (
  call: Step['call'],
  result: string,
  after: readonly Word[] = [],
  more: Pick<Step, 'tables' | 'freed'> = {},
): Step => ({ call, result, after, ...more });

const NEW_3 = { tables: [0x10000n, 0x11000n, 0x12000n] };
const NEW_2 = { tables: [0x10000n, 0x11000n] };
const NEW_1 = { tables: [0x10000n] };

const map =
  (flags: bigint, frame = 0x123000n, page = V) =>
  (c: Calls) =>
    c.map('4KiB', page, frame, flags);
const mapLarge =
  (flags: bigint, frame = 0x60_0000n) =>
  (c: Calls) =>
    c.map('2MiB', V2M, frame, flags);
const mapGiant =
  (flags: bigint, frame = 0xc000_0000n) =>
  (c: Calls) =>
    c.map('1GiB', V1G, frame, flags);
const translate =
  (address = V + 0x123n) =>
  (c: Calls) =>
    c.translate(address);

const ROWS: readonly Case[] = [
  {
    from: '1',
    name: 'NX goes to the leaf only',
    steps: [
      step(
        map(P | W | NX),
        'Ok',
        [
          [P4_1, 0x10003n],
          [NEW_P3_2, 0x11003n],
          [NEW_P2_3, 0x12003n],
          [NEW_LEAF, 0x8000_0000_0012_3003n],
        ],
        NEW_3,
      ),
    ],
  },
  {
    from: '2',
    name: 'parents get P, W and U of the flags, and nothing else',
    steps: [
      step(
        map(P | U | G | NC | B9),
        'Ok',
        [
          [P4_1, 0x10005n],
          [NEW_P3_2, 0x11005n],
          [NEW_P2_3, 0x12005n],
          [NEW_LEAF, 0x123315n],
        ],
        NEW_3,
      ),
    ],
  },
  {
    from: '3',
    name: 'parents that exist are widened',
    start: C(P),
    steps: [
      step(map(P | W | U), 'Ok', [
        [P4_1, 0x2007n],
        [P3_2, 0x3007n],
        [P2_3, 0x4007n],
        [LEAF, 0x123007n],
      ]),
    ],
  },
  {
    from: '4',
    name: 'parents that have the flags stay as they are',
    start: C(P),
    steps: [step(map(P), 'Ok', [[LEAF, 0x123001n]])],
  },
  { from: '5', name: 'a new parent without PRESENT', steps: [step(map(0n), 'abort')] },
  {
    from: '6',
    name: 'a used leaf: parents are widened all the same, and the error has the frame of the caller',
    start: [...C(P), [LEAF, 0x777001n]],
    steps: [
      step(map(P | W | U), 'PageAlreadyMapped(0x123000)', [
        [P4_1, 0x2007n],
        [P3_2, 0x3007n],
        [P2_3, 0x4007n],
      ]),
    ],
  },
  {
    from: '7',
    name: 'a huge page at level 2 is widened before it is refused',
    start: [...C(P), [P2_3, 0x20_0081n]],
    steps: [
      step(map(P | W | U), 'ParentEntryHugePage', [
        [P4_1, 0x2007n],
        [P3_2, 0x3007n],
        [P2_3, 0x20_0087n],
      ]),
    ],
  },
  {
    from: '8',
    name: 'a huge page at level 3 is widened before it is refused',
    start: [...C(P), [P3_2, 0x4000_0081n]],
    steps: [
      step(map(P | W | U), 'ParentEntryHugePage', [
        [P4_1, 0x2007n],
        [P3_2, 0x4000_0087n],
      ]),
    ],
  },
  {
    from: '9',
    name: 'a 2-MiB page over a table is PageAlreadyMapped',
    start: C(P | W),
    steps: [step(mapLarge(P), 'PageAlreadyMapped(0x600000)')],
  },
  {
    from: '10',
    name: 'tables made before the allocator ran out stay',
    frames: 1,
    steps: [step(map(P | W), 'FrameAllocationFailed', [[P4_1, 0x10003n]], NEW_1)],
  },
  {
    from: '11',
    name: 'a 2-MiB page takes two tables and gets HUGE_PAGE',
    steps: [
      step(
        mapLarge(P | W | G),
        'Ok',
        [
          [P4_1, 0x10003n],
          [NEW_P3_2, 0x11003n],
          [NEW_P2_3, 0x60_0183n],
        ],
        NEW_2,
      ),
    ],
  },
  {
    from: '12',
    name: 'a 1-GiB page takes one table and gets HUGE_PAGE',
    steps: [
      step(
        mapGiant(P | NX),
        'Ok',
        [
          [P4_1, 0x10001n],
          [NEW_P3_2, 0x8000_0000_c000_0081n],
        ],
        NEW_1,
      ),
    ],
  },
  {
    from: '13',
    name: 'a 1-GiB page without flags is HUGE_PAGE alone',
    start: [[P4_1, 0x2003n]],
    steps: [step(mapGiant(0n, 0n), 'Ok', [[P3_2, 0x80n]])],
  },
  { from: '14', name: 'HUGE_PAGE in the flags of a 4-KiB page', steps: [step(map(P | H), 'abort')] },
  {
    from: '15',
    name: 'HUGE_PAGE for the parents is OR-ed in, and then refused',
    start: C(P | W),
    steps: [step((c) => c.mapWith('4KiB', V, 0x123000n, P, P | H), 'ParentEntryHugePage', [[P4_1, 0x2083n]])],
  },
  {
    from: '16',
    name: 'HUGE_PAGE for a new parent',
    steps: [step((c) => c.mapWith('4KiB', V, 0x123000n, P, P | H), 'abort')],
  },
  {
    from: '17',
    name: 'a misaligned 2-MiB frame translates, but cannot be unmapped',
    start: [...C(P | W), [P2_3, 0x20_1083n]],
    steps: [
      step(translate(), 'Mapped 2MiB 0x200000 off 0x4123 flags 0x83'),
      step((c) => c.translatePage('2MiB', V2M), 'InvalidFrameAddress(0x201000)'),
      step((c) => c.unmap('2MiB', V2M), 'InvalidFrameAddress(0x201000)'),
    ],
  },
  {
    from: '18',
    name: 'a misaligned 1-GiB frame translates, but cannot be unmapped',
    start: [...C(P | W), [P3_2, 0x4020_0083n]],
    steps: [
      step(translate(), 'Mapped 1GiB 0x40000000 off 0x604123 flags 0x83'),
      step((c) => c.translateAddr(V + 0x123n), '0x40604123'),
      step((c) => c.unmap('1GiB', V1G), 'InvalidFrameAddress(0x40200000)'),
    ],
  },
  {
    from: '19',
    name: 'a leaf that is not present is unmapped, mapped and translated, each in its own sense',
    start: [...C(P | W), [LEAF, 0x5200n]],
    steps: [
      step((c) => c.unmap('4KiB', V), 'PageNotMapped'),
      step(map(P), 'PageAlreadyMapped(0x123000)'),
      step(translate(), 'Mapped 4KiB 0x5000 off 0x123 flags 0x200'),
      step((c) => c.translatePage('4KiB', V), 'Ok(0x5000)'),
      step((c) => c.update('4KiB', V, P | B10), 'Ok', [[LEAF, 0x5401n]]),
    ],
  },
  {
    from: '20',
    name: 'a 2-MiB leaf that is not present is not mapped, yet its flags can be set',
    start: [...C(P | W), [P2_3, 0x20_0080n]],
    steps: [
      step(translate(), 'NotMapped'),
      step((c) => c.unmap('2MiB', V2M), 'PageNotMapped'),
      step((c) => c.update('2MiB', V2M, P), 'Ok', [[P2_3, 0x20_0081n]]),
    ],
  },
  {
    from: '21',
    name: 'bit 7 in a 4-KiB leaf translates, but cannot be unmapped',
    start: [...C(P | W), [LEAF, 0x5083n]],
    steps: [
      step(translate(), 'Mapped 4KiB 0x5000 off 0x123 flags 0x83'),
      step((c) => c.translatePage('4KiB', V), 'Ok(0x5000)'),
      step((c) => c.unmap('4KiB', V), 'ParentEntryHugePage'),
    ],
  },
  {
    from: '22',
    name: 'updateFlags of a 2-MiB page on a table makes it a huge leaf',
    start: C(P | W),
    steps: [step((c) => c.update('2MiB', V2M, P | W), 'Ok', [[P2_3, 0x4083n]])],
  },
  {
    from: '23',
    name: 'updateFlags can clear PRESENT',
    start: [...C(P | W), [LEAF, 0x5003n]],
    steps: [step((c) => c.update('4KiB', V, 0n), 'Ok', [[LEAF, 0x5000n]])],
  },
  {
    from: '23',
    name: 'updateFlags can set bit 7 in a 4-KiB leaf',
    start: [...C(P | W), [LEAF, 0x5003n]],
    steps: [step((c) => c.update('4KiB', V, P | H), 'Ok', [[LEAF, 0x5081n]])],
  },
  {
    from: '24',
    name: 'setFlags replaces the flags of the table, and has none to set below a large page',
    start: C(P | W | U),
    steps: [
      step((c) => c.setFlags(4, '4KiB', V, P), 'Ok', [[P4_1, 0x2001n]]),
      step((c) => c.setFlags(2, '2MiB', V2M, P), 'ParentEntryHugePage'),
      step((c) => c.setFlags(2, '2MiB', 0n, P), 'ParentEntryHugePage'),
      step((c) => c.setFlags(3, '1GiB', V1G, P), 'ParentEntryHugePage'),
      step((c) => c.setFlags(3, '1GiB', 0n, P), 'ParentEntryHugePage'),
      step((c) => c.setFlags(4, '4KiB', 0n, P), 'PageNotMapped'),
    ],
  },
  {
    from: '25',
    name: 'setFlagsP3Entry on a 1-GiB page takes away HUGE_PAGE',
    start: [...C(P | W), [P3_2, 0x4000_0083n]],
    steps: [step((c) => c.setFlags(3, '4KiB', V, P), 'Ok', [[P3_2, 0x4000_0001n]])],
  },
  {
    from: '26',
    name: 'setFlagsP2Entry on a 2-MiB page takes away HUGE_PAGE',
    start: [...C(P | W), [P2_3, 0x20_0083n]],
    steps: [step((c) => c.setFlags(2, '4KiB', V, P | W), 'Ok', [[P2_3, 0x20_0003n]])],
  },
  {
    from: '27',
    name: 'updateFlags does not go into the data of a huge page',
    start: [...C(P | W), [P2_3, 0x20_0083n], [0x20_0020n, 0x1122_3344_5566_7788n]],
    steps: [step((c) => c.update('4KiB', V, P), 'ParentEntryHugePage')],
  },
  {
    from: '28',
    name: 'HUGE_PAGE in the level-4 table',
    start: [[P4_1, 0x4000_0083n]],
    steps: [
      step(translate(V), 'abort'),
      step((c) => c.unmap('4KiB', V), 'ParentEntryHugePage'),
      step(map(P | U), 'ParentEntryHugePage', [[P4_1, 0x4000_0087n]]),
    ],
  },
  {
    from: '29',
    name: 'a parent that is not present is made so, and its table is not cleared',
    start: [...C(P | W), [P2_3, 0x4200n], [at(0x4000n, 5), 0x77n]],
    steps: [
      step(map(P | W, 0x9000n), 'Ok', [
        [P2_3, 0x4203n],
        [LEAF, 0x9003n],
      ]),
    ],
  },
  {
    from: '30',
    name: 'a parent that is not present and is not made so',
    start: [...C(P | W), [P2_3, 0x4200n], [at(0x4000n, 5), 0x77n]],
    steps: [step((c) => c.mapWith('4KiB', V, 0x9000n, P | W, 0n), 'abort')],
  },
  {
    from: '31',
    name: 'frame 0 without flags can be mapped again and again',
    start: C(P | W),
    steps: [step(map(0n, 0n), 'Ok'), step(map(0n, 0n), 'Ok'), step(translate(V), 'NotMapped')],
  },
  {
    from: '32',
    name: 'unmap clears the leaf and gives the frame',
    start: [...C(P | W), [LEAF, 0x8000_0000_0077_7067n]],
    steps: [step((c) => c.unmap('4KiB', V), 'Ok(0x777000)', [[LEAF, 0n]])],
  },
  {
    from: '33',
    name: 'no frame from 2^47 can be mapped to itself',
    steps: [step((c) => c.identity('4KiB', 0x8000_0000_0000n, P), 'abort')],
  },
  {
    from: '35',
    name: 'clean-up of one page frees all tables above it that are empty, lowest first',
    start: C(P | W),
    steps: [
      step(
        (c) => c.cleanUpRange(V + 0x5000n, V + 0x5000n),
        'Ok',
        [
          [P2_3, 0n],
          [P3_2, 0n],
          [P4_1, 0n],
        ],
        { freed: [0x4000n, 0x3000n, 0x2000n] },
      ),
    ],
  },
  {
    from: '36',
    name: 'clean-up does nothing outside its range, nor in an inverted one',
    start: C(P | W),
    steps: [
      step((c) => c.cleanUpRange(0x80_8080_0000n, 0x80_8080_0000n), 'Ok'),
      step((c) => c.cleanUpRange(V + 0x1000n, V), 'Ok'),
    ],
  },
  {
    from: '37',
    name: 'an empty table outside the range keeps the table above it alive',
    start: [...C(P | W), [at(0x3000n, 9), 0x8003n]],
    steps: [step((c) => c.cleanUpRange(V, V), 'Ok', [[P2_3, 0n]], { freed: [0x4000n] })],
  },
  {
    from: '38',
    name: 'clean-up goes upwards in addresses, and tables come before the tables above them',
    start: K,
    steps: [
      step((c) => c.cleanUp(), 'Ok', K_CLEANED, {
        freed: [0x4000n, 0xf000n, 0x7000n, 0x6000n, 0x5000n, 0xb000n, 0xa000n, 0x9000n],
      }),
    ],
  },
  {
    from: '39',
    name: 'clean-up follows an entry that names its own table, in place 3',
    start: [...K, [at(0x1000n, 3), 0x1003n]],
    steps: [
      step((c) => c.cleanUp(), 'Ok', K_CLEANED, {
        freed: [0x4000n, 0xf000n, 0x7000n, 0x6000n, 0x5000n, 0xb000n, 0xa000n, 0x9000n],
      }),
    ],
  },
  {
    from: '39',
    name: 'clean-up follows an entry that names its own table, in place 0',
    start: [...K, [at(0x1000n, 0), 0x1003n]],
    steps: [
      step((c) => c.cleanUp(), 'Ok', K_CLEANED, {
        freed: [0xf000n, 0x4000n, 0x7000n, 0x6000n, 0x5000n, 0xb000n, 0xa000n, 0x9000n],
      }),
    ],
  },
  {
    from: '40',
    name: 'clean-up of the lower half, then of its last page and the upper half',
    start: K,
    steps: [
      step((c) => c.cleanUpRange(0n, 0x7fff_ffff_f000n), 'Ok', K_CLEANED.slice(0, 2), {
        freed: [0x4000n, 0xf000n],
      }),
      step((c) => c.cleanUpRange(0x7fff_ffff_f000n, 0xffff_ffff_ffff_f000n), 'Ok', K_CLEANED.slice(2), {
        freed: [0x7000n, 0x6000n, 0x5000n, 0xb000n, 0xa000n, 0x9000n],
      }),
    ],
  },
];

const T = (addr: bigint, x = P | W) => addr | x;

const RULES: readonly Case[] = [
  // 8.3
  {
    from: '8.3',
    name: 'without a frame there is nothing to abort over, and nothing is written',
    frames: 0,
    steps: [
      step(map(P | W), 'FrameAllocationFailed'),
      step(map(0n), 'FrameAllocationFailed'),
      step((c) => c.mapWith('4KiB', V, 0x123000n, P, P | H), 'FrameAllocationFailed'),
      step(map(P | H), 'FrameAllocationFailed'),
    ],
  },
  {
    from: '8.3',
    name: 'frames run out at each level; what was made before stays',
    start: [[P4_1, 0x2001n]],
    frames: 1,
    steps: [
      step(
        map(P | U),
        'FrameAllocationFailed',
        [
          [P4_1, 0x2005n],
          [P3_2, 0x10005n],
        ],
        NEW_1,
      ),
    ],
  },
  {
    from: '8.3',
    name: 'HUGE_PAGE in the flags of a 4-KiB page, where frames run out before the leaf is reached',
    frames: 2,
    steps: [
      step(
        map(P | H),
        'FrameAllocationFailed',
        [
          [P4_1, 0x10001n],
          [NEW_P3_2, 0x11001n],
        ],
        NEW_2,
      ),
    ],
  },
  {
    from: '8.3',
    name: 'no flags for the parents changes no parent',
    start: C(P),
    steps: [step((c) => c.mapWith('4KiB', V, 0x123000n, P | W | U, 0n), 'Ok', [[LEAF, 0x123007n]])],
  },
  {
    from: '8.3',
    name: 'flags are added, those of the parent stay',
    start: [
      [P4_1, 0x2000n | P | NX | B9],
      [P3_2, 0x3000n | P | U | 0x20n],
      [P2_3, 0x4000n | P],
    ],
    steps: [
      step(map(P | W), 'Ok', [
        [P4_1, 0x2000n | P | W | NX | B9],
        [P3_2, 0x3000n | P | W | U | 0x20n],
        [P2_3, 0x4000n | P | W],
        [LEAF, 0x123003n],
      ]),
    ],
  },
  {
    from: '8.3',
    name: 'a parent that stays not present: what was widened above it is undone',
    start: [
      [P4_1, 0x2001n],
      [P3_2, 0x3001n],
      [P2_3, 0x4000n],
    ],
    steps: [step((c) => c.mapWith('4KiB', V, 0x123000n, P, W), 'abort')],
  },
  {
    from: '8.3',
    name: 'a new table for which PRESENT is missing: what was widened above it is undone',
    start: [[P4_1, 0x2001n]],
    steps: [step((c) => c.mapWith('4KiB', V, 0x123000n, P, W), 'abort')],
  },
  {
    from: '8.3',
    name: 'a huge parent that is not present is an abort, and with PRESENT it is a huge parent',
    start: [...C(P | W), [P2_3, 0x20_0080n]],
    steps: [
      step((c) => c.mapWith('4KiB', V, 0x123000n, P, 0n), 'abort'),
      step(map(P), 'ParentEntryHugePage', [[P2_3, 0x20_0081n]]),
    ],
  },
  {
    from: '8.3',
    name: 'a table that is not in memory: what was widened above it is undone',
    start: [
      [P4_1, 0x2001n],
      [P3_2, 0x7f_ffff_f001n],
    ],
    steps: [
      step(map(P | W), 'abort'),
      step((c) => c.unmap('4KiB', V), 'abort'),
      step((c) => c.update('4KiB', V, P), 'abort'),
      step((c) => c.setFlags(2, '4KiB', V, P), 'abort'),
      step((c) => c.translatePage('4KiB', V), 'abort'),
      step(translate(), 'abort'),
    ],
  },
  // 9.1
  {
    from: '9.1',
    name: 'explicit flags reach the parents as they are, NX and GLOBAL too',
    steps: [
      step(
        (c) => c.mapWith('4KiB', V, 0x123000n, P | W | U, P | G | NX | B10),
        'Ok',
        [
          [P4_1, 0x10000n | P | G | NX | B10],
          [NEW_P3_2, 0x11000n | P | G | NX | B10],
          [NEW_P2_3, 0x12000n | P | G | NX | B10],
          [NEW_LEAF, 0x123007n],
        ],
        NEW_3,
      ),
    ],
  },
  {
    from: '9.1',
    name: 'the leaf gets exactly the flags: PRESENT is not added',
    start: C(P | W),
    steps: [
      step((c) => c.mapWith('4KiB', V, 0x123000n, W | B9, P), 'Ok', [[LEAF, 0x123202n]]),
      step((c) => c.mapWith('2MiB', V2M + 0x20_0000n, 0x60_0000n, W | B9, P), 'Ok', [
        [at(0x3000n, 4), 0x60_0282n],
      ]),
      step((c) => c.mapWith('1GiB', V1G + 0x4000_0000n, 0x4000_0000n, NX, P), 'Ok', [
        [at(0x2000n, 3), 0x8000_0000_4000_0080n],
      ]),
    ],
  },
  {
    from: '9.1',
    name: 'HUGE_PAGE may stand in the flags of a large page',
    start: C(P | W),
    steps: [
      step((c) => c.map('2MiB', V2M + 0x20_0000n, 0x60_0000n, P | H), 'Ok', [[at(0x3000n, 4), 0x60_0081n]]),
    ],
  },
  {
    from: '9.1',
    name: 'the same frame again is an error too',
    start: [...C(P | W), [LEAF, 0x123003n]],
    steps: [step(map(P | W), 'PageAlreadyMapped(0x123000)')],
  },
  {
    from: '9.1',
    name: 'a used leaf comes before HUGE_PAGE in the flags',
    start: [...C(P | W), [LEAF, 0x777003n]],
    steps: [step(map(P | H), 'PageAlreadyMapped(0x123000)')],
  },
  {
    from: '9.1',
    name: 'a huge parent comes before HUGE_PAGE in the flags',
    start: [...C(P), [P2_3, 0x20_0081n]],
    steps: [
      step(map(P | W | H), 'ParentEntryHugePage', [
        [P4_1, 0x2003n],
        [P3_2, 0x3003n],
        [P2_3, 0x20_0083n],
      ]),
    ],
  },
  {
    from: '9.1',
    name: 'HUGE_PAGE in the flags: what was widened above the leaf is undone',
    start: C(P),
    steps: [step(map(P | W | U | H), 'abort')],
  },
  {
    from: '9.1',
    name: 'a large leaf that is not present is PageAlreadyMapped',
    start: [...C(P | W), [P2_3, 0x200n]],
    steps: [step(mapLarge(P), 'PageAlreadyMapped(0x600000)')],
  },
  {
    from: '9.1',
    name: 'a 1-GiB page over a table is PageAlreadyMapped; over a huge page too',
    start: [...C(P | W), [at(0x2000n, 3), 0x4000_0083n]],
    steps: [
      step(mapGiant(P), 'PageAlreadyMapped(0xc0000000)'),
      step((c) => c.map('1GiB', V1G + 0x4000_0000n, 0xc000_0000n, P), 'PageAlreadyMapped(0xc0000000)'),
    ],
  },
  {
    from: '9.1',
    name: 'a huge frame is held against 4 KiB only',
    start: C(P | W),
    steps: [
      step((c) => c.map('2MiB', V2M + 0x20_0000n, 0x60_1000n, P), 'Ok', [[at(0x3000n, 4), 0x60_1081n]]),
      step((c) => c.map('2MiB', V2M + 0x40_0000n, 0x60_0800n, P), 'abort'),
      step(map(P, 0x123800n), 'abort'),
    ],
  },
  {
    from: '9.1',
    name: 'PAT of a huge leaf comes in with unnamed bits',
    start: C(P | W),
    steps: [
      step((c) => c.map('2MiB', V2M + 0x20_0000n, 0x60_0000n, P | 0x1000n), 'Ok', [
        [at(0x3000n, 4), 0x60_1081n],
      ]),
      // 9.3, 9.7
      step((c) => c.unmap('2MiB', V2M + 0x20_0000n), 'InvalidFrameAddress(0x601000)'),
      step(translate(V2M + 0x20_0000n), 'Mapped 2MiB 0x600000 off 0x0 flags 0x81'),
    ],
  },
  {
    from: '9.1',
    name: 'the highest frame and the highest page',
    steps: [
      step(
        map(P, 0xf_ffff_ffff_f000n, 0xffff_ffff_ffff_f000n),
        'Ok',
        [
          [at(0x1000n, 511), 0x10001n],
          [at(0x10000n, 511), 0x11001n],
          [at(0x11000n, 511), 0x12001n],
          [at(0x12000n, 511), 0xf_ffff_ffff_f001n],
        ],
        NEW_3,
      ),
      step(translate(0xffff_ffff_ffff_ffffn), 'Mapped 4KiB 0xffffffffff000 off 0xfff flags 0x1'),
      step((c) => c.translateAddr(0xffff_ffff_ffff_ffffn), '0xfffffffffffff'),
    ],
  },
  // 9.2
  {
    from: '9.2',
    name: 'a frame is mapped to the page with its address',
    steps: [
      step(
        (c) => c.identity('4KiB', V, P),
        'Ok',
        [
          [P4_1, 0x10001n],
          [NEW_P3_2, 0x11001n],
          [NEW_P2_3, 0x12001n],
          [NEW_LEAF, V | P],
        ],
        NEW_3,
      ),
      step((c) => c.identity('4KiB', V, P), 'PageAlreadyMapped(0x8080604000)'),
      step((c) => c.identity('2MiB', V2M, P), 'PageAlreadyMapped(0x8080600000)'),
      step((c) => c.identity('2MiB', V2M + 0x20_0000n, P), 'Ok', [[at(0x11000n, 4), 0x80_8080_0081n]]),
      step((c) => c.identity('1GiB', V1G + 0x4000_0000n, P), 'Ok', [[at(0x10000n, 3), 0x80_c000_0081n]]),
    ],
  },
  {
    from: '9.2',
    name: 'the last frame below 2^47 can be mapped to itself, those from there cannot',
    steps: [
      step(
        (c) => c.identity('1GiB', 0x7fff_c000_0000n, P),
        'Ok',
        [
          [at(0x1000n, 255), 0x10001n],
          [at(0x10000n, 511), 0x7fff_c000_0081n],
        ],
        NEW_1,
      ),
      step((c) => c.identity('1GiB', 0x8000_0000_0000n, P), 'abort'),
      step((c) => c.identity('2MiB', 0xf_ffff_ffe0_0000n, P), 'abort'),
    ],
  },
  // 9.3
  ...(['4KiB', '2MiB', '1GiB'] as const).flatMap((size) => unmapCases(size)),
  {
    from: '9.3',
    name: 'a large page that is a table is ParentEntryHugePage',
    start: C(P | W),
    steps: [
      step((c) => c.unmap('2MiB', V2M), 'ParentEntryHugePage'),
      step((c) => c.unmap('1GiB', V1G), 'ParentEntryHugePage'),
    ],
  },
  {
    from: '9.3',
    name: 'not present comes before everything else',
    start: [...C(P | W), [P2_3, 0x20_1000n], [at(0x2000n, 3), 0x4020_0080n]],
    steps: [
      step((c) => c.unmap('2MiB', V2M), 'PageNotMapped'),
      step((c) => c.unmap('1GiB', V1G + 0x4000_0000n), 'PageNotMapped'),
    ],
  },
  {
    from: '9.3',
    name: 'large pages are unmapped, their tables stay',
    start: [...C(P | W), [P2_3, 0x8000_0000_0060_01e7n], [at(0x2000n, 3), 0xc000_0081n]],
    steps: [
      step((c) => c.unmap('2MiB', V2M), 'Ok(0x600000)', [[P2_3, 0n]]),
      step((c) => c.unmap('2MiB', V2M), 'PageNotMapped'),
      step((c) => c.unmap('1GiB', V1G + 0x4000_0000n), 'Ok(0xc0000000)', [[at(0x2000n, 3), 0n]]),
    ],
  },
  // 9.4
  {
    from: '9.4',
    name: 'updateFlags replaces all flags, and adds HUGE_PAGE for large pages',
    start: [
      ...C(P | W),
      [LEAF, 0x8000_0000_0077_7e67n],
      [at(0x3000n, 4), 0x60_01e7n],
      [at(0x2000n, 3), 0xc000_0fffn],
    ],
    steps: [
      step((c) => c.update('4KiB', V, NX | B9), 'Ok', [[LEAF, 0x8000_0000_0077_7200n]]),
      step((c) => c.update('2MiB', V2M + 0x20_0000n, P), 'Ok', [[at(0x3000n, 4), 0x60_0081n]]),
      step((c) => c.update('1GiB', V1G + 0x4000_0000n, 0n), 'Ok', [[at(0x2000n, 3), 0xc000_0080n]]),
    ],
  },
  {
    from: '9.4',
    name: 'updateFlags never touches parents',
    start: [...C(P), [LEAF, 0x5001n]],
    steps: [step((c) => c.update('4KiB', V, P | W | U), 'Ok', [[LEAF, 0x5007n]])],
  },
  {
    from: '9.4',
    name: 'an unused leaf is not mapped, whatever its size',
    start: C(P | W),
    steps: [
      step((c) => c.update('4KiB', V, P), 'PageNotMapped'),
      step((c) => c.update('2MiB', V2M + 0x20_0000n, P), 'PageNotMapped'),
      step((c) => c.update('1GiB', V1G + 0x4000_0000n, P), 'PageNotMapped'),
      step((c) => c.update('1GiB', 0n, P), 'PageNotMapped'),
    ],
  },
  {
    from: '9.4',
    name: 'frame 0 without flags is unused afterwards',
    start: [...C(P | W), [LEAF, P]],
    steps: [
      step((c) => c.update('4KiB', V, 0n), 'Ok', [[LEAF, 0n]]),
      step((c) => c.update('4KiB', V, P), 'PageNotMapped'),
    ],
  },
  {
    from: '9.4',
    name: 'a huge page above, and a table above that is not present',
    start: [
      ...C(P | W),
      [P2_3, 0x20_0083n],
      [at(0x2000n, 3), 0x4000_0083n],
      [at(0x2000n, 4), 0x3002n],
      [at(0x1000n, 2), 0x83n],
    ],
    steps: [
      step((c) => c.update('4KiB', V, P), 'ParentEntryHugePage'),
      step((c) => c.update('4KiB', V1G + 0x4000_0000n, P), 'ParentEntryHugePage'),
      step((c) => c.update('2MiB', V1G + 0x4000_0000n, P), 'ParentEntryHugePage'),
      step((c) => c.update('2MiB', V1G + 0x8000_0000n, P), 'PageNotMapped'),
      step((c) => c.update('1GiB', 0x100_0000_0000n, P), 'ParentEntryHugePage'),
    ],
  },
  // 9.5
  {
    from: '9.5',
    name: 'setFlags acts on one entry, which need be neither present nor a table',
    start: [...C(P | W), [at(0x1000n, 2), 0x2080n], [at(0x2000n, 3), 0x3000n], [at(0x3000n, 4), 0x4080n]],
    steps: [
      step((c) => c.setFlags(4, '4KiB', 0x100_0000_0000n, P | W), 'Ok', [[at(0x1000n, 2), 0x2003n]]),
      step((c) => c.setFlags(3, '4KiB', V1G + 0x4000_0000n, P | NX), 'Ok', [
        [at(0x2000n, 3), 0x8000_0000_0000_3001n],
      ]),
      step((c) => c.setFlags(2, '4KiB', V2M + 0x20_0000n, P | H), 'Ok', [[at(0x3000n, 4), 0x4081n]]),
    ],
  },
  {
    from: '9.5',
    name: 'setFlags without PRESENT or HUGE_PAGE takes them away',
    start: [...C(P | W), [at(0x2000n, 3), 0x4000_0083n]],
    steps: [
      step((c) => c.setFlags(2, '4KiB', V, U), 'Ok', [[P2_3, 0x4004n]]),
      step((c) => c.setFlags(3, '2MiB', V1G + 0x4000_0000n, P | W), 'Ok', [[at(0x2000n, 3), 0x4000_0003n]]),
      step((c) => c.setFlags(3, '4KiB', V, 0n), 'Ok', [[P3_2, 0x3000n]]),
      step((c) => c.setFlags(4, '1GiB', V1G, 0n), 'Ok', [[P4_1, 0x2000n]]),
    ],
  },
  {
    from: '9.5',
    name: 'the tables above must be tables',
    start: [
      ...C(P | W),
      [at(0x1000n, 2), 0x2083n],
      [at(0x1000n, 3), 0x2002n],
      [at(0x2000n, 3), 0x4000_0083n],
      [at(0x2000n, 4), 0x3002n],
    ],
    steps: [
      step((c) => c.setFlags(3, '4KiB', 0x100_0000_0000n, P), 'ParentEntryHugePage'),
      step((c) => c.setFlags(3, '2MiB', 0x180_0000_0000n, P), 'PageNotMapped'),
      step((c) => c.setFlags(2, '4KiB', V1G + 0x4000_0000n, P), 'ParentEntryHugePage'),
      step((c) => c.setFlags(2, '4KiB', V1G + 0x8000_0000n, P), 'PageNotMapped'),
    ],
  },
  {
    from: '9.5',
    name: 'an unused entry is not mapped',
    start: C(P | W),
    steps: [
      step((c) => c.setFlags(4, '1GiB', 0n, P), 'PageNotMapped'),
      step((c) => c.setFlags(3, '2MiB', V1G + 0x4000_0000n, P), 'PageNotMapped'),
      step((c) => c.setFlags(2, '4KiB', V2M + 0x20_0000n, P), 'PageNotMapped'),
    ],
  },
  {
    from: '9.5',
    name: 'below a large page nothing is read, not even the level-4 table',
    start: [[P4_1, 0x4000_0083n]],
    steps: [
      step((c) => c.setFlags(3, '1GiB', V1G, P), 'ParentEntryHugePage'),
      step((c) => c.setFlags(2, '1GiB', V1G, P), 'ParentEntryHugePage'),
      step((c) => c.setFlags(2, '2MiB', V2M, P), 'ParentEntryHugePage'),
      step((c) => c.setFlags(2, '1GiB', 0xffff_ffff_c000_0000n, P), 'ParentEntryHugePage'),
    ],
  },
  // 9.6
  {
    from: '9.6',
    name: 'translatePage asks neither whether the leaf is present nor whether it is huge',
    start: [...C(P | W), [LEAF, 0x5e00n], [at(0x3000n, 4), 0x60_0002n], [at(0x2000n, 3), 0xc000_0080n]],
    steps: [
      step((c) => c.translatePage('4KiB', V), 'Ok(0x5000)'),
      step((c) => c.translatePage('2MiB', V2M + 0x20_0000n), 'Ok(0x600000)'),
      step((c) => c.translatePage('1GiB', V1G + 0x4000_0000n), 'Ok(0xc0000000)'),
      // A table read as a large page is misaligned, unless its frame happens to be aligned.
      step((c) => c.translatePage('2MiB', V2M), 'InvalidFrameAddress(0x4000)'),
      step((c) => c.translatePage('1GiB', V1G), 'InvalidFrameAddress(0x3000)'),
    ],
  },
  {
    from: '9.6',
    name: 'translatePage: unused, huge above, not present above',
    start: [
      ...C(P | W),
      [at(0x3000n, 4), 0x20_0083n],
      [at(0x3000n, 5), 0x4002n],
      [at(0x2000n, 3), 0x4000_0083n],
      [at(0x1000n, 2), 0x2083n],
    ],
    steps: [
      step((c) => c.translatePage('4KiB', V), 'PageNotMapped'),
      step((c) => c.translatePage('4KiB', V2M + 0x20_0000n), 'ParentEntryHugePage'),
      step((c) => c.translatePage('4KiB', V2M + 0x40_0000n), 'PageNotMapped'),
      step((c) => c.translatePage('2MiB', V1G + 0x4000_0000n), 'ParentEntryHugePage'),
      step((c) => c.translatePage('1GiB', 0x100_0000_0000n), 'ParentEntryHugePage'),
      step((c) => c.translatePage('1GiB', 0n), 'PageNotMapped'),
    ],
  },
  // 9.7
  {
    from: '9.7',
    name: 'the offset is what the size leaves of the address, the flags are the leaf’s alone',
    start: [
      ...C(P | W | U),
      [LEAF, 0x8000_0000_0000_5061n],
      [at(0x3000n, 4), 0x60_01e1n],
      [at(0x2000n, 3), 0x8000_0000_c000_0081n],
    ],
    steps: [
      step(translate(V + 0xfffn), 'Mapped 4KiB 0x5000 off 0xfff flags 0x8000000000000061'),
      step((c) => c.translateAddr(V + 0xfffn), '0x5fff'),
      step(translate(V2M + 0x3f_ffffn), 'Mapped 2MiB 0x600000 off 0x1fffff flags 0x1e1'),
      step((c) => c.translateAddr(V2M + 0x3f_ffffn), '0x7fffff'),
      step(translate(V1G + 0x7fff_ffffn), 'Mapped 1GiB 0xc0000000 off 0x3fffffff flags 0x8000000000000081'),
      step((c) => c.translateAddr(V1G + 0x7fff_ffffn), '0xffffffff'),
    ],
  },
  {
    from: '9.7',
    name: 'not mapped: parents and huge leaves that are not present, leaves that are zero',
    start: [
      ...C(P | W),
      [at(0x3000n, 4), 0x4002n],
      [at(0x3000n, 5), 0x60_0080n],
      [at(0x2000n, 3), 0xc000_0080n],
      [at(0x2000n, 4), 0x3002n],
      [at(0x1000n, 2), 0x2080n],
    ],
    steps: [
      V,
      V2M + 0x20_4000n,
      V2M + 0x40_0000n,
      V1G + 0x4000_0000n,
      V1G + 0x8000_0000n,
      0x100_0000_0000n,
      0n,
      0xffff_8000_0000_0000n,
    ].flatMap((address) => [
      step(translate(address), 'NotMapped'),
      step((c) => c.translateAddr(address), 'none'),
    ]),
  },
  {
    from: '9.7',
    name: 'an address that is not canonical cannot be asked for, even if its lower bits are mapped',
    start: [...C(P | W), [LEAF, 0x5003n]],
    steps: [
      step(translate(V), 'Mapped 4KiB 0x5000 off 0x0 flags 0x3'),
      ...[
        0x8000_0000_0000n,
        0xffff_7fff_ffff_f000n,
        V + (1n << 47n),
        V + (1n << 48n),
        V + (1n << 63n),
        V | (0xffffn << 48n),
        V + (1n << 64n),
        V - (1n << 64n),
        -1n,
      ].flatMap((address) => [
        step(translate(address), 'abort'),
        step((c) => c.translateAddr(address), 'abort'),
      ]),
    ],
  },
  {
    from: '9.7',
    name: 'translateAddr has no answer for HUGE_PAGE in the level-4 table either',
    start: [[P4_1, 0x83n]],
    steps: [step((c) => c.translateAddr(V), 'abort')],
  },
  // 11
  {
    from: '11',
    name: 'whole clean-up of a chain frees everything but the level-4 table',
    start: C(P | W),
    steps: [
      step(
        (c) => c.cleanUp(),
        'Ok',
        [
          [P2_3, 0n],
          [P3_2, 0n],
          [P4_1, 0n],
        ],
        { freed: [0x4000n, 0x3000n, 0x2000n] },
      ),
      step((c) => c.cleanUp(), 'Ok'),
    ],
  },
  ...(
    [
      ['a 4-KiB leaf', [LEAF, 0x5001n], []],
      ['a leaf that is not present', [at(0x4000n, 511), NX], []],
      ['a 2-MiB leaf', [at(0x3000n, 511), 0x20_0083n], [0x4000n]],
      ['a level-2 entry that is not present', [at(0x3000n, 0), 0x8002n], [0x4000n]],
      ['a 1-GiB leaf', [at(0x2000n, 0), 0x83n], [0x4000n, 0x3000n]],
      ['a level-3 entry that is not present', [at(0x2000n, 511), 0x200n], [0x4000n, 0x3000n]],
      ['a level-4 entry that is not present', [at(0x1000n, 0), 0x8002n], [0x4000n, 0x3000n, 0x2000n]],
      ['a level-4 entry with HUGE_PAGE', [at(0x1000n, 511), 0x8083n], [0x4000n, 0x3000n, 0x2000n]],
    ] as const
  ).map(
    ([name, word, freed]): Case => ({
      from: '11',
      name: `${name} stays, and keeps the tables above it alive`,
      start: [...C(P | W), word],
      steps: [
        step(
          (c) => c.cleanUp(),
          'Ok',
          [P2_3, P3_2, P4_1].slice(0, freed.length).map((entry): Word => [entry, 0n]),
          { freed },
        ),
      ],
    }),
  ),
  {
    from: '11',
    name: 'the range decides which tables are looked at',
    start: [...C(P | W), [at(0x3000n, 4), T(0x8000n)], [at(0x3000n, 5), T(0x9000n)]],
    steps: [
      step((c) => c.cleanUpRange(V2M + 0x20_0000n, V2M + 0x3f_f000n), 'Ok', [[at(0x3000n, 4), 0n]], {
        freed: [0x8000n],
      }),
      step(
        (c) => c.cleanUpRange(V2M + 0x1f_f000n, V2M + 0x40_0000n),
        'Ok',
        [
          [P2_3, 0n],
          [at(0x3000n, 5), 0n],
          [P3_2, 0n],
          [P4_1, 0n],
        ],
        { freed: [0x4000n, 0x9000n, 0x3000n, 0x2000n] },
      ),
    ],
  },
  {
    from: '11',
    name: 'a range that ends in one table begins the next one at its start',
    start: [
      [at(0x1000n, 1), T(0x2000n)],
      [at(0x2000n, 511), T(0x3000n)],
      [at(0x3000n, 511), T(0x4000n)],
      [at(0x1000n, 2), T(0x5000n)],
      [at(0x5000n, 0), T(0x6000n)],
      [at(0x6000n, 0), T(0x7000n)],
      [at(0x6000n, 1), T(0x8000n)],
    ],
    steps: [
      step(
        (c) => c.cleanUpRange(0xff_ffff_f000n, 0x100_0000_0000n),
        'Ok',
        [
          [at(0x3000n, 511), 0n],
          [at(0x2000n, 511), 0n],
          [at(0x1000n, 1), 0n],
          [at(0x6000n, 0), 0n],
        ],
        { freed: [0x4000n, 0x3000n, 0x2000n, 0x7000n] },
      ),
    ],
  },
  {
    from: '11',
    name: 'a table that is empty from the start is freed at any level',
    start: [
      [at(0x1000n, 1), T(0x2000n)],
      [at(0x1000n, 256), T(0x3000n)],
      [at(0x3000n, 0), T(0x4000n)],
    ],
    steps: [
      step(
        (c) => c.cleanUp(),
        'Ok',
        [
          [at(0x1000n, 1), 0n],
          [at(0x3000n, 0), 0n],
          [at(0x1000n, 256), 0n],
        ],
        { freed: [0x2000n, 0x4000n, 0x3000n] },
      ),
    ],
  },
];

/** What must be true of unmap at every level above a leaf of this size (9.3). */
function unmapCases(size: SizeName): Case[] {
  const entries: readonly (readonly [bigint, string])[] = [
    [P4_1, 'level-4'],
    [P3_2, 'level-3'],
    [P2_3, 'level-2'],
  ];
  const above = entries.slice(0, { '4KiB': 3, '2MiB': 2, '1GiB': 1 }[size]);
  const page = { '4KiB': V, '2MiB': V2M, '1GiB': V1G }[size];
  const unmap = (c: Calls) => c.unmap(size, page);
  return above.map(
    ([entry, name], i): Case => ({
      from: '9.3',
      name: `unmap of ${size}: the ${name} entry must be present, then not huge`,
      // What is below the entry would be something to unmap.
      start: [...C(P | W), [LEAF, 0x777003n], [entry, 0x2000n + BigInt(i) * 0x1000n + 0x82n]],
      steps: [
        step(unmap, 'PageNotMapped'),
        step((c) => c.setFlags(([4, 3, 2] as const)[i], '4KiB', V, P | H), 'Ok', [
          [entry, 0x2000n + BigInt(i) * 0x1000n + 0x81n],
        ]),
        step(unmap, 'ParentEntryHugePage'),
      ],
    }),
  );
}

/** Frames that the original asks for at most. One that aborts loses them; here they may go back to where they came from. */
const MOST_FRAMES = 3;

function play(layout: Layout, { start = [], frames, steps }: Case): void {
  const machine = new Machine(layout, frames === undefined ? {} : { frames });
  const { allocator, calls } = machine;
  for (const [address, value] of start) machine.poke(address, value);
  for (const { call, result, tables = [], after = [], freed = [] } of steps) {
    const before = allocator.taken.length;
    const freedBefore = allocator.freed.length;
    expect(call(calls)).toBe(result);
    for (const frame of tables) machine.expectZeros(frame);
    for (const [address, value] of after) machine.expectWord(address, value);
    expect(machine.differences()).toEqual([]);
    const taken = allocator.taken.slice(before);
    const returned = allocator.freed.slice(freedBefore);
    if (result === 'abort') {
      expect(taken.length).toBeLessThanOrEqual(MOST_FRAMES);
      if (returned.length > 0) expect(returned.toReversed()).toEqual(taken);
    } else {
      expect(taken.map(hex)).toEqual(tables.map(hex));
      expect(returned.map(hex)).toEqual(freed.map(hex));
    }
  }
  machine.release();
}

describe.each(LAYOUTS)('$name: section 17, rows 1 to 40', (layout) => {
  test.each(ROWS)('row $from: $name', (row) => play(layout, row));
});

describe('row 34: the address of a table is computed with VirtAddr + u64', () => {
  // Memory lies where a sum that wraps around, or is not canonical, would find it.
  const buffer = new ArrayBuffer(0x8000);
  const memory = flatMemory(buffer, [
    { address: 0n, offset: 0, length: 0x4000 },
    { address: 0x9000_0000_0000n, offset: 0x4000, length: 0x4000 },
  ]);

  test.each([
    ['not canonical', 0x1000_0000_0000n],
    ['wider than 64 bits', 0xffff_8000_0000_0000n],
  ])('a sum that is %s is an abort', (_, physOffset) => {
    const words = new BigUint64Array(buffer);
    words.fill(0n);
    words[0x1008 / 8] = 0x8000_0000_0003n;
    const before = words.slice();
    const mapper = new OffsetPageTable(PageTable.at(memory, 0x1000n), new VirtAddr(physOffset));
    const calls = new MapperCalls(mapper, new CountingAllocator(16));
    expect(calls.unmap('4KiB', V)).toBe('abort');
    // The same at every other call that follows the entry (8.1).
    expect(calls.map('4KiB', V, 0x123000n, P | W | U)).toBe('abort');
    expect(calls.update('4KiB', V, P)).toBe('abort');
    expect(calls.setFlags(3, '4KiB', V, P)).toBe('abort');
    expect(calls.translatePage('4KiB', V)).toBe('abort');
    expect(calls.translate(V)).toBe('abort');
    expect(calls.cleanUp()).toBe('abort');
    expect(words).toEqual(before);
  });

  test('memory that reaches into the hole holds no tables there', () => {
    // Physical 0 lies 0x8000 below the hole, and physical 0x8000 at its beginning.
    const start = 0x7fff_ffff_8000n;
    const around = new ArrayBuffer(0x1_0000);
    const across = flatMemory(around, [{ address: start, offset: 0, length: 0x1_0000 }]);
    const words = new BigUint64Array(around);
    words[0x1008 / 8] = 0x9003n;
    words[0x1010 / 8] = 0x7003n;
    const before = words.slice();
    const mapper = new OffsetPageTable(PageTable.at(across, start + 0x1000n), new VirtAddr(start));
    const calls = new MapperCalls(mapper, new CountingAllocator(16));
    expect(calls.unmap('1GiB', V1G)).toBe('abort');
    expect(calls.map('1GiB', V1G, 0xc000_0000n, P)).toBe('abort');
    expect(calls.translate(V)).toBe('abort');
    expect(words).toEqual(before);
    expect(calls.map('1GiB', 0x100_0000_0000n, 0xc000_0000n, P)).toBe('Ok');
    expect(words[0x7000 / 8]).toBe(0xc000_0081n);
  });
});

describe.each(LAYOUTS)('$name: sections 8, 9 and 11', (layout) => {
  test.each(RULES)('$from: $name', (rule) => play(layout, rule));
});
