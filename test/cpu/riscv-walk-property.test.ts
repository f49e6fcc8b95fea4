/**
 * Random registers, tables and accesses: the processor agrees with the reference walker on the address, on what an exception
 * says, and on every entry afterwards.
 */
import { describe, expect, test } from 'vitest';
import { FETCH, READ, RiscvCpu, WRITE } from '../../src/cpu/index.ts';
import { LONG } from '../support/long.ts';
import { createRandom } from '../support/random-tables.ts';
import { type RiscvReferenceResult, referenceRiscvWalk } from '../support/reference-riscv.ts';
import {
  type RiscvMode,
  randomRiscvAddress,
  randomRiscvCase,
  readerOfRiscv,
} from '../support/riscv-cases.ts';
import { layOut } from '../support/x86-cases.ts';

const KINDS = { read: READ, write: WRITE, fetch: FETCH } as const;
const MODES: readonly RiscvMode[] = ['sv32', 'sv39', 'sv48', 'sv57'];
const SEEDS = LONG ? 3000 : 80;
const ACCESSES = 40;

function textOf(result: RiscvReferenceResult): string {
  if (result.kind === 'ok') return `frame ${(result.pa >> 12n).toString(16)}`;
  return result.kind === 'absent' ? 'absent' : `cause ${result.cause} at ${result.tval.toString(16)}`;
}

/** What of each is seen over all seeds, so that nothing is tested by never happening. */
const seen = new Map<string, number>();

function count(result: RiscvReferenceResult): void {
  const name =
    result.kind === 'fault'
      ? `cause ${result.cause}`
      : result.kind === 'ok' && result.update
        ? 'updated'
        : result.kind;
  seen.set(name, (seen.get(name) ?? 0) + 1);
}

describe.each(['none', 'all'] as const)('caching %s', (caching) => {
  test('accesses', () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const random = createRandom(seed);
      const mode = random.pick(MODES);
      const switches = { svnapot: random.chance(0.7), svpbmt: random.chance(0.7) };
      const it = randomRiscvCase(random, mode, { firstFrame: 0x8_0000, ...switches });
      const run = { first: 0x8_0000, end: 0x8_0000 + 32 };
      const { memory } = layOut(it.frames, 'flat', run);
      const read = readerOfRiscv(memory);
      const { control } = it;
      const cpu = new RiscvCpu(memory, control, { caching });
      const words = memory.words.slice();
      for (let i = 0; i < ACCESSES; i += 1) {
        const va = randomRiscvAddress(random, it);
        const kind = random.pick(['read', 'write', 'fetch'] as const);
        const privilege = random.pick(['U', 'S', 'S', 'M'] as const);
        const want = referenceRiscvWalk(read, control, va, { kind, privilege });
        count(want);
        cpu.privilege = privilege;
        if (caching === 'all') cpu.sfenceVma();
        const frame = cpu.translate(
          Number(BigInt.asIntN(32, va >> 32n)),
          Number(BigInt.asIntN(32, va)),
          KINDS[kind],
        );
        const failure = cpu.failure();
        const found =
          frame >= 0
            ? `frame ${frame.toString(16)}`
            : failure.kind === 'fault'
              ? `cause ${failure.cause} at ${failure.stval.toString(16)}`
              : 'absent';
        const at = `seed ${seed}, ${i}: ${kind} by ${privilege} of 0x${va.toString(16)} in ${mode}`;
        if (found !== textOf(want)) expect(`${at}: ${found}`).toBe(`${at}: ${textOf(want)}`);
        if (want.kind === 'fault') {
          expect([cpu.scause, cpu.stval], at).toEqual([BigInt(want.cause), want.tval]);
        }
        if (want.kind !== 'absent' && want.update !== undefined) {
          const { address, value } = want.update;
          const place = memory.locate(Number(address >> 12n)) + Number((address & 0xfffn) >> 2n);
          words[place] = Number(value & 0xffff_ffffn);
        }
      }
      expect(memory.words, `seed ${seed}: memory`).toEqual(words);
    }
  });
});

test('every kind of end has been met', () => {
  const causes = [1, 5, 7, 12, 13, 15].map((cause) => `cause ${cause}`);
  const expected = ['ok', 'updated', 'absent', ...causes];
  expect(expected.filter((name) => (seen.get(name) ?? 0) < 5)).toEqual([]);
});
