/**
 * Random registers, tables and accesses: the processor agrees with the reference walker on the address, on what an exception
 * says, on every entry afterwards, and on what AT instructions answer.
 */
import { describe, expect, test } from 'vitest';
import { Aarch64Cpu, type AtOperation, FETCH, READ, WRITE } from '../../src/cpu/index.ts';
import { randomAddress, randomCase, readerOfMemory } from '../support/aarch64-cases.ts';
import { LONG } from '../support/long.ts';
import { createRandom, type Random } from '../support/random-tables.ts';
import {
  type Aarch64ReferenceAccess,
  type Aarch64ReferenceResult,
  referenceAarch64Walk,
  referencePar,
} from '../support/reference-aarch64.ts';

const KINDS = { read: READ, write: WRITE, fetch: FETCH } as const;
const SEEDS = LONG ? 4000 : 120;
const ACCESSES = 35;

function textOf(result: Aarch64ReferenceResult): string {
  if (result.kind === 'ok') return `frame ${(result.pa >> 12n).toString(16)}`;
  return result.kind === 'absent' ? 'absent' : `abort ${result.esr.toString(16)}`;
}

/** What of each is seen over all seeds, so that nothing is tested by never happening. */
const seen = new Map<string, number>();

function count(result: Aarch64ReferenceResult): void {
  const name =
    result.kind === 'abort'
      ? `status ${result.status.toString(16)}`
      : result.kind === 'ok' && result.update
        ? 'updated'
        : result.kind;
  seen.set(name, (seen.get(name) ?? 0) + 1);
}

function oneAccess(cpu: Aarch64Cpu, va: bigint, access: Aarch64ReferenceAccess): string {
  const high = Number(BigInt.asIntN(32, va >> 32n));
  const low = Number(BigInt.asIntN(32, va));
  if (access.misaligned || access.unprivileged) {
    // Whole accesses; what lies at the frame is not always in memory.
    const options = { unprivileged: access.unprivileged === true };
    const outcome = access.kind === 'fetch' ? cpu.fetch(va, 4, options) : cpu.read(va, 4, options);
    if (outcome.kind === 'fault') return `abort ${outcome.errorCode.toString(16)}`;
    if (outcome.kind === 'absent' && outcome.what === 'table') return 'absent';
    return 'done';
  }
  const frame = cpu.translate(high, low, KINDS[access.kind]);
  if (frame >= 0) return `frame ${frame.toString(16)}`;
  const failure = cpu.failure();
  return failure.kind === 'fault' ? `abort ${failure.errorCode.toString(16)}` : 'absent';
}

function randomAccess(
  random: Random,
  va: bigint,
): { readonly va: bigint; readonly access: Aarch64ReferenceAccess } {
  const el = random.chance(0.5) ? 0 : 1;
  const kind = random.pick(['read', 'write', 'fetch'] as const);
  const choice = random.below(10);
  if (choice === 0) {
    return {
      va: (va & ~0xfffn) | 0x1n | BigInt(random.below(100) * 4),
      access: { kind: 'read', el, misaligned: true },
    };
  }
  if (choice < 3)
    return { va: va & ~3n, access: { kind: random.pick(['read', 'fetch']), el, unprivileged: true } };
  return { va: va & ~3n, access: { kind, el } };
}

describe.each(['none', 'all'] as const)('caching %s', (caching) => {
  test('accesses and AT instructions', () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const random = createRandom(seed);
      const it = randomCase(random);
      const { control, memory } = it;
      const { pan, physBits, ...registers } = control;
      const cpu = new Aarch64Cpu(memory, { ...registers, pan, physBits }, { caching });
      const words = memory.words.slice();
      const read = readerOfMemory(memory);
      for (let i = 0; i < ACCESSES; i += 1) {
        const { va, access } = randomAccess(random, randomAddress(random, it));
        const at = () =>
          `seed ${seed}, ${i}: ${JSON.stringify(access)} of 0x${va.toString(16)}, TCR 0x${control.tcr.toString(16)}`;
        const want = referenceAarch64Walk(read, control, va, access);
        count(want);
        cpu.el = access.el;
        if (caching === 'all') {
          cpu.tlbi('VMALLE1');
          cpu.barrier('DSB SY');
        }
        const found = oneAccess(cpu, va, access);
        const isWhole = access.misaligned || access.unprivileged;
        const wanted = textOf(want);
        if (isWhole && want.kind === 'ok') expect(found, at()).toBe('done');
        else if (found !== wanted) expect(`${at()} ${found}`).toBe(`${at()} ${wanted}`);
        if (want.kind === 'abort') expect([cpu.esr, cpu.far], at()).toEqual([want.esr, va]);
        if (want.kind === 'ok' && want.update !== undefined) {
          const { address, value } = want.update;
          const place = memory.locate(Number(address >> 12n)) + Number((address & 0xfffn) >> 2n);
          words[place] = Number(value & 0xffff_ffffn);
          words[place + 1] = Number(value >> 32n);
        }
      }
      // AT instructions: EL1 as they say, whatever the current level.
      for (let i = 0; i < 25; i += 1) {
        const va = randomAddress(random, it);
        const operation = random.pick<AtOperation>(['S1E1R', 'S1E1W', 'S1E0R', 'S1E0W', 'S1E1RP', 'S1E1WP']);
        const access = {
          kind: operation.includes('W') ? 'write' : 'read',
          el: operation.includes('E0') ? 0 : 1,
          question: true,
        } as const;
        const obeys = operation.endsWith('P');
        const want = referenceAarch64Walk(read, { ...control, pan: control.pan && obeys }, va, access);
        if (want.kind === 'absent') continue;
        if (caching === 'all') {
          cpu.tlbi('VMALLE1');
          cpu.barrier('DSB SY');
        }
        const at = `seed ${seed}: AT ${operation}, 0x${va.toString(16)}`;
        expect(`${at} ${cpu.at(operation, va).toString(16)}`).toBe(
          `${at} ${referencePar(want).toString(16)}`,
        );
        if (want.kind === 'ok' && want.update !== undefined) {
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
  const statuses = ['0', '1', '2', '3', '4', '5', '6', '7', '9', 'a', 'b', 'd', 'e', 'f', '21'];
  const expected = ['ok', 'updated', 'absent', ...statuses.map((status) => `status ${status}`)];
  expect(expected.filter((name) => (seen.get(name) ?? 0) < 5)).toEqual([]);
});
