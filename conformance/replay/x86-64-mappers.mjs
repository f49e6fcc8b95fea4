// The mappers of tablewalk/x86_64.

import { PageTableError } from '../../dist/bits/index.js';
import { ProcessorFault, X86Cpu } from '../../dist/cpu/index.js';
import {
  FlagUpdateError,
  MappedPageTable,
  MapperFlushAll,
  MapToError,
  OffsetPageTable,
  Page,
  PageTable,
  PageTableFlags,
  PageTableIndex,
  PhysAddr,
  PhysFrame,
  RecursivePageTable,
  Size1GiB,
  Size2MiB,
  Size4KiB,
  TranslateError,
  UnmapError,
  VirtAddr,
} from '../../dist/x86_64/index.js';
import { RecordedAllocator } from './allocator.mjs';
import { describedMemory } from './memory.mjs';
import { brief, checked, hex, MalformedFile, u64 } from './values.mjs';

/** @typedef {OffsetPageTable | MappedPageTable<any> | RecursivePageTable} Mapper */
/** @typedef {Record<string, any>} Arguments */

/** CR0 with paging on and write protection off. */
const CR0_PG = 1n << 31n;

const RESULT_ERRORS = [MapToError, UnmapError, FlagUpdateError, TranslateError];

/** @type {Record<string, any>} */
const SIZES = { '4KiB': Size4KiB, '2MiB': Size2MiB, '1GiB': Size1GiB };

/**
 * Each operation: its arguments in the file, the class of its errors, the call, and the payload of a result.
 *
 * @type {Record<string, { takes: readonly string[], fails?: Function,
 *   call: (mapper: Mapper, args: Arguments, frames: LoggedFrames) => any, payload: (value: any, args: Arguments) => unknown }>}
 */
const OPERATIONS = {
  map_to: {
    takes: ['size', 'page', 'frame', 'flags'],
    fails: MapToError,
    call: (mapper, { page, frame, flags }, frames) => mapper.mapTo(page, frame, flags, frames.allocator),
    payload: flush,
  },
  map_to_with_table_flags: {
    takes: ['size', 'page', 'frame', 'flags', 'parentFlags'],
    fails: MapToError,
    call: (mapper, { page, frame, flags, parentFlags }, frames) =>
      mapper.mapToWithTableFlags(page, frame, flags, parentFlags, frames.allocator),
    payload: flush,
  },
  identity_map: {
    takes: ['size', 'frame', 'flags'],
    fails: MapToError,
    call: (mapper, { frame, flags }, frames) => mapper.identityMap(frame, flags, frames.allocator),
    payload: flush,
  },
  unmap: {
    takes: ['size', 'page'],
    fails: UnmapError,
    call: (mapper, { page }) => mapper.unmap(page),
    payload: ({ frame, flush: flushed }, args) => ({ ...frameOf(frame, args), ...flush(flushed, args) }),
  },
  update_flags: {
    takes: ['size', 'page', 'flags'],
    fails: FlagUpdateError,
    call: (mapper, { page, flags }) => mapper.updateFlags(page, flags),
    payload: flush,
  },
  set_flags_p4_entry: {
    takes: ['size', 'page', 'flags'],
    fails: FlagUpdateError,
    call: (mapper, { page, flags }) => mapper.setFlagsP4Entry(page, flags),
    payload: flushAll,
  },
  set_flags_p3_entry: {
    takes: ['size', 'page', 'flags'],
    fails: FlagUpdateError,
    call: (mapper, { page, flags }) => mapper.setFlagsP3Entry(page, flags),
    payload: flushAll,
  },
  set_flags_p2_entry: {
    takes: ['size', 'page', 'flags'],
    fails: FlagUpdateError,
    call: (mapper, { page, flags }) => mapper.setFlagsP2Entry(page, flags),
    payload: flushAll,
  },
  translate_page: {
    takes: ['size', 'page'],
    fails: TranslateError,
    call: (mapper, { page }) => mapper.translatePage(page),
    payload: frameOf,
  },
  translate: {
    takes: ['addr'],
    call: (mapper, { addr }) => mapper.translate(addr),
    payload: translation,
  },
  translate_addr: {
    takes: ['addr'],
    call: (mapper, { addr }) => mapper.translateAddr(addr),
    payload: (address) => (address === undefined ? null : hex(address.asU64())),
  },
  clean_up: {
    takes: [],
    call: (mapper, _, frames) => mapper.cleanUp(frames.deallocator),
    payload: () => true,
  },
  clean_up_addr_range: {
    takes: ['start', 'end'],
    call: (mapper, { start, end }, frames) =>
      mapper.cleanUpAddrRange(Page.rangeInclusive(start, end), frames.deallocator),
    payload: () => true,
  },
};

/** Physical address p is at virtual address `physOffset + p`, and memory is addressed by the latter. */
export const offsetPageTable = system((header) => {
  const physOffset = u64(header.physOffset, 'physOffset');
  const memory = describedMemory(header.memory, physOffset);
  const root = u64(header.root, 'root') + physOffset;
  return {
    memory,
    tableAt: (frame) => frame,
    mapper: new OffsetPageTable(PageTable.at(memory.memory, root), new VirtAddr(physOffset)),
  };
});

/** The table of frame f lies at `f XOR mask`, and memory is addressed by that. */
export const mappedPageTable = system((header) => {
  if (header.frameMapping?.kind !== 'xor') {
    throw new MalformedFile(`frameMapping: expected kind "xor", found ${brief(header.frameMapping)}`);
  }
  const mask = u64(header.frameMapping.mask, 'frameMapping.mask');
  const memory = describedMemory(header.memory);
  const root = u64(header.root, 'root');
  /** @param {bigint} frame */
  const tableAt = (frame) => frame ^ mask;
  const mapping = {
    /** @param {PhysFrame} frame */
    frameToPointer: (frame) => PageTable.at(memory.memory, tableAt(frame.startAddress().asU64())),
  };
  return {
    memory,
    tableAt,
    mapper: new MappedPageTable(PageTable.at(memory.memory, root), mapping),
  };
});

/**
 * Tables are reached through a processor only. The recorded one walks afresh for each access, sets no accessed and dirty
 * bits, and passes over rights, which its supervisor accesses with CR0.WP = 0 do not depend on.
 */
export const recursivePageTable = system((header) => {
  const { recursiveIndex, cr0wp, setsAccessedDirty } = header;
  if (cr0wp !== false || setsAccessedDirty !== false) {
    throw new MalformedFile('processor: expected CR0.WP = 0 and no accessed and dirty bits');
  }
  const memory = describedMemory(header.memory);
  const cr3 = u64(header.root, 'root');
  const index = new PageTableIndex(recursiveIndex);
  const page = Page.fromPageTableIndices(index, index, index, index);
  const registers = { cr0: CR0_PG, cr3, physBits: 52 };
  const cpu = new X86Cpu(memory.memory, registers, { caching: 'none', accessedDirty: false });
  return {
    memory,
    tableAt: (frame) => frame,
    // The header's initial words, which make the table appear at this address, are stored later.
    mapper: () => RecursivePageTable.newUnchecked(PageTable.at(cpu, page.startAddress().asU64()), index),
  };
});

/**
 * What the mappers have in common.
 *
 * @typedef {object} Machine
 * @property {import('./memory.mjs').WordMemory} memory
 * @property {(frame: bigint) => bigint} tableAt - recorded address of the table in a frame
 * @property {Mapper | (() => Mapper)} mapper - one for the whole sequence, so that what it keeps between calls is replayed
 *   as well; made at the first operation where that is needed
 *
 * @param {(header: Record<string, any>) => Machine} build
 * @returns {import('./sequence.mjs').System}
 */
function system(build) {
  return {
    operations: Object.fromEntries(Object.entries(OPERATIONS).map(([name, { takes }]) => [name, takes])),
    outcomes: ['alloc', 'freed'],
    deliberate: [],
    open(header) {
      const { memory, tableAt, mapper: given } = checked('header', () => build(header));
      /** @type {Mapper | undefined} */
      let mapper = typeof given === 'function' ? undefined : given;
      const allocator = new RecordedAllocator(header.allocator);
      memory.watch(u64(header.root, 'root'));
      return {
        memory,
        perform(operation) {
          // The original clears new tables, but its recorded allocator gave frames that were clear already.
          const frames = new LoggedFrames(allocator, (frame) => {
            memory.watch(tableAt(frame));
            memory.soil(tableAt(frame));
          });
          if (typeof given === 'function') mapper ??= given();
          const result = resultOf(operation, /** @type {Mapper} */ (mapper), frames);
          // Frames that were taken for a call that was then refused need not be cleared.
          if ('panic' in result || 'fault' in result)
            for (const frame of frames.alloc) memory.unsoil(tableAt(frame));
          return { result, alloc: frames.alloc.map(hex), freed: frames.freed.map(hex) };
        },
        save: () => allocator.save(),
        follow: (before, operation) => allocator.follow(before, operation),
        checkpoint: () => allocator.checkpoint(),
      };
    },
  };
}

/** The recorded allocator as mappers see it. As in the original, what gives frames is not what takes them back. */
class LoggedFrames {
  /** @type {bigint[]} */
  alloc = [];
  /** @type {bigint[]} */
  freed = [];
  allocator = { allocateFrame: () => this.#take() };
  deallocator = { deallocateFrame: (/** @type {PhysFrame} */ frame) => this.#give(frame) };
  #allocator;
  #handedOut;

  /**
   * @param {RecordedAllocator} allocator
   * @param {(frame: bigint) => void} handedOut - told of each frame before it is handed out
   */
  constructor(allocator, handedOut) {
    this.#allocator = allocator;
    this.#handedOut = handedOut;
  }

  #take() {
    const address = this.#allocator.take();
    if (address === undefined) return undefined;
    this.alloc.push(address);
    this.#handedOut(address);
    return PhysFrame.fromStartAddress(new PhysAddr(address));
  }

  /** @param {PhysFrame} frame */
  #give(frame) {
    const address = frame.startAddress().asU64();
    this.freed.push(address);
    this.#allocator.give(address);
  }
}

/**
 * Does an operation.
 *
 * @param {Record<string, any>} operation
 * @param {Mapper} mapper
 * @param {LoggedFrames} frames
 */
function resultOf(operation, mapper, frames) {
  const { takes, fails, call, payload } = OPERATIONS[operation.op];
  const args = argumentsOf(operation, takes);
  try {
    return { ok: payload(call(mapper, args, frames), args) };
  } catch (error) {
    return refusal(error, fails, args);
  }
}

/**
 * @param {Record<string, any>} operation
 * @param {readonly string[]} takes
 * @returns {Arguments}
 */
function argumentsOf(operation, takes) {
  /** @type {Arguments} */
  const args = { size: Size4KiB };
  for (const name of takes) {
    args[name] = checked(name, () => READ[name](operation[name], args.size, name));
  }
  return args;
}

/** @type {Record<string, (value: unknown, size: any, name: string) => any>} */
const READ = {
  size: readSize,
  page: readPage,
  start: readPage,
  end: readPage,
  // Hostile files have frames that are not aligned to their size.
  frame: (value, size) => PhysFrame.fromStartAddressUnchecked(new PhysAddr(u64(value, 'frame')), size),
  flags: readFlags,
  parentFlags: readFlags,
  addr: (value) => new VirtAddr(u64(value, 'addr')),
};

/** @param {unknown} value */
function readSize(value) {
  if (typeof value === 'string' && Object.hasOwn(SIZES, value)) return SIZES[value];
  throw new MalformedFile(`size: expected one of ${Object.keys(SIZES).join(', ')}, found ${brief(value)}`);
}

/**
 * @param {unknown} value
 * @param {any} size
 * @param {string} name
 */
function readPage(value, size, name) {
  return Page.fromStartAddressUnchecked(new VirtAddr(u64(value, name)), size);
}

/**
 * @param {unknown} value
 * @param {any} _size
 * @param {string} name
 */
function readFlags(value, _size, name) {
  return PageTableFlags.fromBitsRetain(u64(value, name));
}

/**
 * A thrown error as the files write it. What they cannot say (the wrong class, an error that is not of this package) is
 * written so that it equals nothing in them.
 *
 * @param {unknown} error
 * @param {Function | undefined} fails - the class of this operation's errors
 * @param {Arguments} args
 */
function refusal(error, fails, args) {
  if (error instanceof ProcessorFault)
    return { fault: hex((error.fault.cr2 ?? 0n) & ~0xfffn), message: String(error) };
  if (!(error instanceof PageTableError)) return { threw: String(error) };
  const resultClass = RESULT_ERRORS.find((each) => error instanceof each);
  if (resultClass === undefined) return { panic: true, message: String(error) };
  const { kind, frame, addr } = /** @type {any} */ (error);
  return {
    err: kind,
    ...(frame === undefined ? {} : frameOf(frame, args)),
    ...(addr === undefined ? {} : { addr: hex(addr.asU64()) }),
    ...(resultClass === fails ? {} : { class: resultClass.name }),
  };
}

/**
 * @param {any} flushed - a `MapperFlush`
 * @param {Arguments} args
 */
function flush(flushed, { size }) {
  const page = flushed.page();
  return { flush: hex(page.startAddress().asU64()), ...wrongSize(page, size) };
}

/** @param {unknown} flushed */
function flushAll(flushed) {
  return { flushAll: flushed instanceof MapperFlushAll };
}

/**
 * @param {any} frame
 * @param {Arguments} args
 */
function frameOf(frame, { size }) {
  return { frame: hex(frame.startAddress().asU64()), ...wrongSize(frame, size) };
}

/**
 * The size of a page or frame, if it is not that of the arguments: then it makes the payload differ.
 *
 * @param {any} unit
 * @param {any} size
 */
function wrongSize({ pageSize }, size) {
  return pageSize === size ? {} : { size: pageSize?.DEBUG_STR };
}

/** @param {any} result - a `TranslateResult` */
function translation(result) {
  if (result.kind === 'NotMapped') return 'NotMapped';
  if (result.kind === 'InvalidFrameAddress') return { invalidFrameAddress: hex(result.addr.asU64()) };
  const { frame, offset, flags } = result;
  return {
    mapped: {
      size: frame.pageSize.DEBUG_STR,
      frame: hex(frame.startAddress().asU64()),
      offset: hex(offset),
      flags: hex(flags.bits()),
    },
  };
}
