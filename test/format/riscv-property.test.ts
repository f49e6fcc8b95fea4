import { describe, expect, test } from 'vitest';
import {
  ACCESSES,
  andRights,
  groupOrder,
  isGlobal,
  type Paging,
  rightBit,
  riscvPaging,
} from '../../src/format/index.ts';
import { explain } from '../../src/inspect/index.ts';
import type { PhysicalMemory } from '../../src/memory/index.ts';
import {
  Cursor,
  DONE,
  FAULTY,
  MISSING,
  NON_CANONICAL,
  NOT_IN_MEMORY,
  NOT_PRESENT,
  type Path,
  RESERVED,
  TABLE,
  Walker,
} from '../../src/walk/index.ts';
import { LONG } from '../support/long.ts';
import { createRandom } from '../support/random-tables.ts';
import {
  type RiscvReferenceLeaf,
  type RiscvReferenceStop,
  referenceRiscvLeaf,
  referenceRiscvWalk,
} from '../support/reference-riscv.ts';
import { RISCV_MODES, type RiscvMode, randomRiscvAddress, randomRiscvCase } from '../support/riscv-cases.ts';
import { layOut } from '../support/x86-cases.ts';

const ENDS = {
  leaf: 'mapped',
  absent: 'not-in-memory',
  access: 'not-in-memory',
  reserved: 'reserved',
  'not-present': 'not-present',
  'non-canonical': 'non-canonical',
} as const;
const CODES: Readonly<Record<string, number>> = {
  'not-present': NOT_PRESENT,
  reserved: RESERVED,
  'not-in-memory': NOT_IN_MEMORY,
  'non-canonical': NON_CANONICAL,
};

/** What a walk came to, in one form for both walkers. */
function expected(found: RiscvReferenceLeaf | RiscvReferenceStop, levels: number): string {
  const entries = found.entries.map(
    ({ level, address, value }) =>
      `${levels - 1 - level} ${address.toString(16)} ${BigInt.asUintN(64, value).toString(16)}`,
  );
  const frame = found.kind === 'leaf' ? found.pa >> 12n : 'address' in found && (found.address ?? 0n) >> 12n;
  const size = found.kind === 'leaf' ? found.pageSize : 0n;
  return `${ENDS[found.kind]} ${frame || ''} ${size} ${entries.join(', ')}`;
}

function outcomeOf({ end, steps, frame, pageShift }: Path): string {
  const entries = steps.map(({ depth, address, low, high }) => {
    const value = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    return `${depth} ${address.toString(16)} ${value.toString(16)}`;
  });
  const size = pageShift === undefined ? 0n : 1n << BigInt(pageShift);
  return `${end} ${frame || ''} ${size} ${entries.join(', ')}`;
}

/** What a cursor over everything reports, by its first page; tables are not counted. */
function reports(memory: PhysicalMemory, paging: Paging) {
  const cursor = new Cursor(memory, paging);
  const list: { page: number; order: number; said: string; frame: number }[] = [];
  for (let event = cursor.next(); event !== DONE && list.length < 20_000; event = cursor.next()) {
    const { page, order, frame } = cursor;
    if (event === TABLE) continue;
    const said = event === MISSING ? 'not-in-memory' : event === FAULTY ? 'reserved' : 'mapped';
    list.push({ page, order, said, frame });
  }
  return list;
}

/** What the reports say of a page: how the walk to it ends, and its frame. */
function saidOf(list: ReturnType<typeof reports>, page: number): string {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle].page <= page) low = middle + 1;
    else high = middle;
  }
  const last = list[low - 1];
  if (last === undefined || page >= last.page + 2 ** last.order) return 'not-present';
  return last.said === 'mapped' ? `mapped ${last.frame + page - last.page}` : last.said;
}

/** Where tables are put: low; at the ends of small integers; as high as the format goes. */
const PLACES: Readonly<Record<RiscvMode, readonly number[]>> = {
  sv32: [0x200, 0xf_ff00],
  sv39: [0x8_0000, 2 ** 28],
  sv48: [0x8_0000, 2 ** 29 - 64],
  sv57: [0x8_0000, 2 ** 29 - 64],
};
/** With 56 physical-address bits. */
const FAR_PLACES = [2 ** 31 - 9, 2 ** 32 + 77, 2 ** 43 - 3, 2 ** 44 - 64];

const TABLES = LONG ? 200 : 12;
const ADDRESSES = 40;

function compare(mode: RiscvMode, svnapot: boolean, svpbmt: boolean, firstSeed: number) {
  const counts = new Map<string, number>();
  const count = (key: string) => counts.set(key, (counts.get(key) ?? 0) + 1);
  const differences: string[] = [];
  const { levels, bytes } = RISCV_MODES[mode];
  for (let seed = firstSeed; seed < firstSeed + TABLES; seed += 1) {
    const random = createRandom(seed);
    const firstFrame = random.pick([...PLACES[mode], ...(bytes === 8 ? FAR_PLACES : [])]);
    const one = randomRiscvCase(random, mode, { firstFrame, svnapot, svpbmt });
    const physBits = firstFrame > 2 ** 29 ? 56 : one.control.physBits;
    const control = { ...one.control, physBits };
    const layout = random.pick(['flat', 'sparse'] as const);
    const run = { first: firstFrame, end: firstFrame + 32 };
    const { memory, read } = layOut(one.frames, layout, run);
    const paging = riscvPaging(control);
    const { facts } = paging.format;
    const walker = new Walker(memory, paging);
    const listed = reports(memory, paging);
    const differ = (va: bigint, what: string, want: unknown, found: unknown) =>
      differences.push(
        `${mode} seed ${seed} va 0x${va.toString(16)} ${what}: expected ${want}, found ${found}`,
      );

    for (let i = 0; i < ADDRESSES; i += 1) {
      const va = randomRiscvAddress(random, one);
      const page = Number(va >> 12n);
      const found = referenceRiscvLeaf(read, control, va);
      const want = expected(found, levels);
      const path = walker.path(page);
      if (outcomeOf(path) !== want) differ(va, 'path', want, outcomeOf(path));
      const end = ENDS[found.kind];
      const frame = found.kind === 'leaf' ? Number(found.pa >> 12n) : CODES[end];
      if (walker.translate(page) !== frame) differ(va, 'translate', frame, walker.translate(page));
      count(found.kind === 'leaf' ? `mapped ${found.napot ? 'napot' : found.level}` : found.kind);
      if (end !== 'non-canonical' && listed.length < 20_000) {
        const said = found.kind === 'leaf' ? `mapped ${frame}` : end;
        if (saidOf(listed, page) !== said) differ(va, 'cursor', said, saidOf(listed, page));
      }

      let rights = 0;
      const explained = explain(memory, paging, va);
      for (const [n, access] of ACCESSES.entries()) {
        const privilege = access.user ? 'U' : 'S';
        const result = referenceRiscvWalk(read, control, va, { kind: access.kind, privilege });
        const code = result.kind === 'ok' ? 'allowed' : result.kind === 'absent' ? 'unknown' : result.cause;
        const ours = explained.accesses[n].result;
        const got = ours.kind === 'fault' ? ours.errorCode : ours.kind;
        if (got !== code) differ(va, `${access.kind} by ${privilege}`, code, got);
        count(`access ${code}`);
        if (ours.kind === 'fault' && (ours.because.length === 0 || ours.because.some((text) => text === '')))
          differ(va, 'because', 'a reason', ours.because);
        // Rights say nothing of where pages lie.
        if (code === 'allowed' || code === 1 || code === 5 || code === 7) rights |= rightBit(access);
      }
      if (found.kind !== 'leaf') continue;
      if (explained.rights !== rights) differ(va, 'rights', rights, explained.rights);
      if (explained.global !== found.global) differ(va, 'global', found.global, explained.global);
      const type =
        svpbmt && bytes === 8 ? Number((found.entries[levels - 1 - found.level].value >> 61n) & 3n) : 0;
      if (explained.memoryType?.index !== type) differ(va, 'memory type', type, explained.memoryType?.index);
      const last = path.steps[path.steps.length - 1];
      const group = found.napot ? 4 : 0;
      if (groupOrder(facts, last.depth, last.high) !== group) differ(va, 'group', group, 'another');
      const and = path.steps
        .slice(0, -1)
        .reduce((all, step) => andRights(facts, step.depth, all, step.low), -1);
      if (isGlobal(facts, last.depth, last.low, and) !== found.global)
        differ(va, 'isGlobal', found.global, '');
    }
  }
  return { counts, differences };
}

const SWITCHES = [
  [false, false],
  [true, false],
  [false, true],
  [true, true],
] as const;
const MODES: readonly RiscvMode[] = ['sv32', 'sv39', 'sv48', 'sv57'];

describe('translate, path, the cursor, rights and faults agree with the reference walker on random tables', () => {
  for (const [n, mode] of MODES.entries()) {
    for (const [i, [svnapot, svpbmt]] of SWITCHES.entries()) {
      if (mode === 'sv32' && i > 0) continue;
      test(`${mode}${svnapot ? ', Svnapot' : ''}${svpbmt ? ', Svpbmt' : ''}`, () => {
        const seed = 1000 * (10 * n + i + 1);
        const { counts, differences } = compare(mode, svnapot, svpbmt, seed);
        const seen = [...counts].sort().map(([what, times]) => `${what} ${times}`);
        console.log(
          `riscv, ${mode}: from seed ${seed}, ${differences.length} differences; ${seen.join(', ')}`,
        );
        expect(differences.slice(0, 3)).toEqual([]);
        const kinds = ['mapped 0', 'mapped 1', 'not-present', 'reserved', 'absent', 'access allowed'];
        if (mode !== 'sv32') kinds.push('non-canonical', 'mapped 2');
        if (svnapot) kinds.push('mapped napot');
        for (const kind of kinds) expect([kind, (counts.get(kind) ?? 0) >= 3]).toEqual([kind, true]);
      });
    }
  }
});
