// Addresses, pages and page ranges of tablewalk/hal-core.

import { isDeepStrictEqual } from 'node:util';
import { PageTableError } from '../../dist/bits/index.js';
import { NotAligned, PAddr, Page, VAddr } from '../../dist/hal-core/index.js';
import { baseOf, isLastOfSpace, pageAt, readPage, readSize } from './hal-values.mjs';
import { brief, checked, decimal, hex, MalformedFile, u64 } from './values.mjs';

/** Pages of a range that the files list at most. */
const MAX_PAGES = 6;

/** @typedef {Record<string, any>} Arguments */

/** @type {Record<string, any>} */
const SPACES = { VAddr, PAddr };

/**
 * Each operation: its arguments beside `space`, the call, which gives the payload, and what else a line tells of it.
 *
 * @type {Record<string, { takes: readonly string[], call: (args: Arguments) => unknown,
 *   beside?: (args: Arguments) => Record<string, unknown> }>}
 */
const OPERATIONS = {
  from_usize: { takes: ['value'], call: ({ Space, value }) => Space.fromUsize(value).asUsize() === value },
  align_up: { takes: ['addr', 'align'], call: ({ addr, align }) => hex(addr.alignUp(align).asUsize()) },
  align_down: { takes: ['addr', 'align'], call: ({ addr, align }) => hex(addr.alignDown(align).asUsize()) },
  is_aligned: { takes: ['addr', 'align'], call: ({ addr, align }) => addr.isAligned(align) },
  offset: { takes: ['addr', 'offset'], call: ({ addr, offset }) => hex(addr.offset(offset).asUsize()) },
  difference: { takes: ['addr', 'other'], call: ({ addr, other }) => addr.difference(other).toString() },
  containing: {
    takes: ['addr', 'size'],
    call: ({ addr, size }) => ofSize(Page.containing(addr, size), size),
  },
  starting_at: {
    takes: ['addr', 'size'],
    call: ({ addr, size }) => ofSize(Page.startingAt(addr, size), size),
  },
  page_add: { takes: ['base', 'size', 'n'], call: ({ base, size, n }) => ofSize(base.add(n), size) },
  page_sub: { takes: ['base', 'size', 'n'], call: ({ base, size, n }) => ofSize(base.sub(n), size) },
  page_contains: {
    takes: ['base', 'size', 'addr'],
    call: ({ base, addr }) => base.contains(addr),
    beside: ({ base }) => ({ endAddr: hex(base.endAddr().asUsize()) }),
  },
  compare: {
    takes: ['a', 'b'],
    call: ({ a, b }) => ({ eq: a.equals(b), cmp: a.compare(b) ?? null }),
    beside: ({ a }) => ({ debug: a.toString() }),
  },
  range: {
    takes: ['kind', 'start', 'end'],
    call: ({ kind, start, end }) =>
      rangeMember(kind === 'inclusive' ? start.rangeInclusive(end) : start.rangeTo(end)),
  },
};

/** @type {import('./sequence.mjs').System} */
export const halPage = {
  operations: Object.fromEntries(
    Object.entries(OPERATIONS).map(([name, { takes }]) => [name, ['space', ...takes]]),
  ),
  outcomes: ['endAddr', 'debug'],
  deliberate: ['contains-last-byte', 'last-page-is-yielded'],
  stateless: true,
  open: () => ({
    perform(operation) {
      const { call, beside } = OPERATIONS[operation.op];
      const args = argumentsOf(operation);
      try {
        return { result: { ok: call(args) }, ...beside?.(args) };
      } catch (error) {
        return { result: refusal(error) };
      }
    },
    save() {},
    follow() {},
    checkpoint: () => ({}),
    deliberate,
  }),
};

/**
 * @param {Record<string, any>} recorded
 * @param {Record<string, any>} found
 */
function deliberate(recorded, found) {
  if (recorded.op === 'page_contains' && isLastByte(recorded, found)) return { name: 'contains-last-byte' };
  if (recorded.op === 'range' && isLastPage(recorded, found)) return { name: 'last-page-is-yielded' };
  return undefined;
}

/**
 * @param {Record<string, any>} recorded
 * @param {Record<string, any>} found
 */
function isLastByte({ addr, endAddr, result }, found) {
  return addr === endAddr && found.endAddr === endAddr && result.ok === false && found.result.ok === true;
}

/**
 * Whether all is the same, except that the recorded iteration broke off at the last page before an end of the address
 * space, where that found yields this page and ends.
 *
 * @param {Record<string, any>} recorded
 * @param {Record<string, any>} found
 */
function isLastPage({ space, start: [first, sizeName], result }, found) {
  const { iter, stop, ...same } = result.ok ?? {};
  if (stop !== 'panic') return false;
  const size = readSize(sizeName).asUsize();
  const last = iter.length === 0 ? u64(first, 'start') : u64(iter.at(-1), 'iter') + size;
  const better = { ...same, iter: [...iter, hex(last)], stop: iter.length + 1 < MAX_PAGES ? 'end' : 'limit' };
  return isLastOfSpace(space, last, size) && isDeepStrictEqual(found.result, { ok: better });
}

/**
 * A page's base, if its size is that of the arguments.
 *
 * @param {any} page
 * @param {any} size
 */
function ofSize(page, size) {
  return page.size() === size ? baseOf(page) : `a page of ${page.size()}`;
}

/** @param {any} range - a `PageRange` */
function rangeMember(range) {
  return {
    end: baseOf(range.end()),
    len: orPanic(() => range.len()),
    size: orPanic(() => range.size()),
    pageSize: orPanic(() => range.pageSize().asUsize()),
    baseAddr: orPanic(() => range.baseAddr().asUsize()),
    endAddr: orPanic(() => range.endAddr().asUsize()),
    ...iteration(range),
  };
}

/** @param {Iterable<any>} range */
function iteration(range) {
  const pages = range[Symbol.iterator]();
  /** @type {string[]} */
  const iter = [];
  while (iter.length < MAX_PAGES) {
    const next = attempt(() => pages.next());
    if (next === undefined) return { iter, stop: 'panic' };
    if (next.done) return { iter, stop: 'end' };
    iter.push(baseOf(next.value));
  }
  return { iter, stop: 'limit' };
}

/**
 * @param {() => bigint} evaluate
 */
function orPanic(evaluate) {
  const value = attempt(evaluate);
  return value === undefined ? 'panic' : hex(value);
}

/**
 * @template T
 * @param {() => T} evaluate
 * @returns {T | undefined} nothing if it is refused
 */
function attempt(evaluate) {
  try {
    return evaluate();
  } catch (error) {
    if (error instanceof PageTableError) return undefined;
    throw error;
  }
}

/** @param {unknown} error */
function refusal(error) {
  if (!(error instanceof PageTableError)) return { threw: String(error) };
  if (error instanceof NotAligned) return { err: 'NotAligned', size: String(error.size) };
  return { panic: true, message: String(error) };
}

/**
 * @param {Record<string, any>} operation
 * @returns {Arguments}
 */
function argumentsOf(operation) {
  const { op, space } = operation;
  if (!Object.hasOwn(SPACES, space)) {
    throw new MalformedFile(`space: expected VAddr or PAddr, found ${brief(space)}`);
  }
  const Space = SPACES[space];
  /** @type {Arguments} */
  const args = { Space };
  for (const name of OPERATIONS[op].takes) {
    args[name] = checked(name, () => READ[name](operation[name], { name, Space, size: operation.size }));
  }
  return args;
}

/** @typedef {{ name: string, Space: any, size: unknown }} Context */

/** @type {Record<string, (value: unknown, context: Context) => any>} */
const READ = {
  value: (value) => u64(value, 'value'),
  align: (value) => u64(value, 'align'),
  n: (value) => u64(value, 'n'),
  offset: (value) => decimal(value, 'offset'),
  addr: readAddress,
  other: readAddress,
  size: (value) => readSize(value),
  kind: readKind,
  base: (value, { Space, size }) => pageAt(Space, value, readSize(size), 'base'),
  a: readPair,
  b: readPair,
  start: readPair,
  end: readPair,
};

/**
 * @param {unknown} value
 * @param {Context} context
 */
function readAddress(value, { name, Space }) {
  return Space.fromUsize(u64(value, name));
}

/**
 * @param {unknown} value
 * @param {Context} context
 */
function readPair(value, { name, Space }) {
  return readPage(Space, value, name);
}

/** @param {unknown} value */
function readKind(value) {
  if (value === 'inclusive' || value === 'to') return value;
  throw new MalformedFile(`kind: expected "inclusive" or "to", found ${brief(value)}`);
}
