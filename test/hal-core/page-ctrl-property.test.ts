// Random calls with pages of three sizes: every answer is that of a model of the tables, and after each call the processor (with
// its TLB, CR0.WP and accessed bits) and `Walker` see exactly what the model has.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ErrorCode } from '../../src/bits/index.ts';
import type { PAddr, Page, StaticSize, VAddr } from '../../src/hal-core/index.ts';
import { Walker } from '../../src/walk/index.ts';
import { LONG } from '../support/long.ts';
import { CR0_WP, frameOf, Machine, pageOf, SIZES, virt } from './machine.ts';
import { thrown } from './thrown.ts';

/** What an entry of the tables is: nothing, a table, or a page, which may be there or not. */
type Slot = 'table' | { phys: bigint; present: boolean; writable: boolean; executable: boolean };

interface Target {
  readonly size: StaticSize;
  /** 1 (PT) to 3 (PDPT). */
  readonly level: number;
  readonly address: bigint;
}

/** The tables, by level and address, as the documentation of `PageCtrl` says that calls change them. */
class Model {
  readonly slots = new Map<string, Slot>();
  tables = 0;

  slot(level: number, address: bigint): Slot | undefined {
    return this.slots.get(this.key(level, address));
  }

  map({ level, address }: Target, phys: bigint): ErrorCode | undefined {
    for (let above = 4; above > level; above -= 1) {
      const slot = this.slot(above, address);
      if (slot !== undefined && slot !== 'table') return 'HUGE_PAGE';
    }
    const before = this.slot(level, address);
    if (before === 'table' || before?.present) return 'ALREADY_MAPPED';
    for (let above = 4; above > level; above -= 1) {
      if (this.slot(above, address) === undefined) this.tables += 1;
      this.slots.set(this.key(above, address), 'table');
    }
    const { writable = false, executable = true } = before ?? {};
    this.slots.set(this.key(level, address), { phys, present: true, writable, executable });
    return undefined;
  }

  /** The page that a call is about, or why there is none. */
  find({ level, address }: Target): Exclude<Slot, 'table'> | ErrorCode {
    for (let above = 4; above > level; above -= 1) {
      const slot = this.slot(above, address);
      if (slot === undefined) return 'NOT_MAPPED';
      if (slot !== 'table') return slot.present ? 'HUGE_PAGE' : 'NOT_MAPPED';
    }
    const slot = this.slot(level, address);
    if (slot === 'table') return 'HUGE_PAGE';
    return slot?.present ? slot : 'NOT_MAPPED';
  }

  unmap({ level, address }: Target): void {
    this.slots.delete(this.key(level, address));
  }

  /** The page in which an address lies, and the address to which it is mapped. */
  translate(address: bigint): { page: Exclude<Slot, 'table'>; phys: bigint } | undefined {
    for (let level = 3; level > 0; level -= 1) {
      const slot = this.slot(level, address);
      if (slot === undefined) return undefined;
      if (slot === 'table') continue;
      return slot.present
        ? { page: slot, phys: slot.phys + (address & (SIZES[level - 1].SIZE - 1n)) }
        : undefined;
    }
    return undefined;
  }

  private key(level: number, address: bigint): string {
    return `${level} ${address >> BigInt(3 + 9 * level)}`;
  }
}

const index = (...of: readonly bigint[]) => fc.constantFrom(...of);
const target = fc
  .tuple(fc.constantFrom(1, 1, 2, 3), index(0n, 1n, 255n), index(0n, 511n), index(0n, 1n), index(0n, 511n))
  .map(([level, p4, p3, p2, p1]): Target => {
    const size = SIZES[level - 1];
    const address = ((p4 << 39n) | (p3 << 30n) | (p2 << 21n) | (p1 << 12n)) & ~(size.SIZE - 1n);
    return { size, level, address };
  });
const call = fc.record({
  kind: fc.constantFrom('map', 'map', 'map', 'unmap', 'flags', 'translate'),
  target,
  frame: fc.nat({ max: 63 }),
  writable: fc.boolean(),
  executable: fc.boolean(),
  present: fc.constantFrom(true, true, true, false),
});

/** Physical pages: small ones in memory, where no table lies, and large ones behind its end. */
const physOf = ({ level, size }: Target, frame: number): bigint =>
  (level === 1 ? 0xa_0000n : 0x1_0000_0000n) + BigInt(frame) * size.SIZE;

/** Every place at which two pages of the random calls can differ. */
const PROBES = [0n, 1n, 255n].flatMap((p4) =>
  [0n, 511n].flatMap((p3) =>
    [0n, 1n].flatMap((p2) =>
      [0n, 511n].map((p1) => (p4 << 39n) | (p3 << 30n) | (p2 << 21n) | (p1 << 12n) | 0x120n),
    ),
  ),
);

function check(machine: Machine, model: Model): void {
  const { cpu, ctrl } = machine;
  const walker = new Walker(machine.memory, cpu.paging());
  for (const address of PROBES) {
    const expected = model.translate(address);
    expect(walker.translateAddress(address)).toBe(expected?.phys);
    expect(ctrl.translateAddr(virt(address))?.asUsize()).toBe(expected?.phys);
    const allowed = [cpu.read(address, 8), cpu.write(address, 8, address), cpu.fetch(address, 1)];
    expect(allowed.map(({ kind }) => kind !== 'fault')).toEqual([
      expected !== undefined,
      expected?.page.writable === true,
      expected?.page.executable === true,
    ]);
  }
  expect(machine.alloc.used).toBe(model.tables);
}

test('answers, tables, processor and Walker agree with a model', () => {
  fc.assert(
    fc.property(fc.array(call, { minLength: 1, maxLength: 30 }), (calls) => {
      const machine = new Machine({ window: 'tables', registers: { cr0: (1n << 31n) | CR0_WP }, policy: {} });
      const model = new Model();
      const { ctrl, alloc } = machine;
      for (const { kind, target: where, frame, writable, executable, present } of calls) {
        const page: Page<VAddr, StaticSize> = pageOf(where.address, where.size);
        if (kind === 'map') {
          const phys: Page<PAddr, StaticSize> = frameOf(physOf(where, frame), where.size);
          const refusal = model.map(where, physOf(where, frame));
          if (refusal === undefined) ctrl.mapPage(page, phys, alloc).commit();
          else
            expect(
              machine.changedBy(() =>
                expect(thrown(() => ctrl.mapPage(page, phys, alloc)).code).toBe(refusal),
              ),
            ).toEqual([]);
        } else {
          const found = model.find(where);
          const calls = {
            unmap: () => ctrl.unmap(page),
            flags: () => ctrl.flagsMut(page),
            translate: () => ctrl.translatePage(page),
          };
          if (typeof found === 'string') expect(thrown(calls[kind]).code).toBe(found);
          else if (kind === 'flags') {
            ctrl.flagsMut(page).setWritable(writable).setExecutable(executable).setPresent(present).commit();
            Object.assign(found, { writable, executable, present });
          } else {
            expect(calls[kind]().toString()).toBe(frameOf(found.phys, where.size).toString());
            if (kind === 'unmap') model.unmap(where);
          }
        }
        check(machine, model);
      }
    }),
    { numRuns: LONG ? 2000 : 60 },
  );
});
