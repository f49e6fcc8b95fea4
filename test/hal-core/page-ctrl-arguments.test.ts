// What is no argument is refused before anything is read: the error says what was given and what was expected.
import { describe, expect, test } from 'vitest';
import {
  AnySize,
  Mm,
  PAddr,
  Page,
  type PageCtrl,
  Size2Mb,
  Size4Kb,
  VAddr,
} from '../../src/hal-core/index.ts';
import { frame, frameOf, Machine, page, pageOf, virt } from './machine.ts';
import { refused } from './thrown.ts';

const any = Page.containing(virt(0x1000n), AnySize.Size4Kb);

/** What is none for a linear page, and what the error says. */
const NO_PAGES: readonly (readonly [string, unknown, string])[] = [
  ['an address', virt(0x1000n), 'VAddr(0x1000); expected a Page of VAddr'],
  ['a bigint', 0x1000n, 'the bigint 4096; expected a Page of VAddr'],
  ['nothing', undefined, 'undefined; expected a Page of VAddr'],
  ['a physical page', frame(0x1000n), 'PAddr(0x1000), size: 4KB }; expected a Page of VAddr'],
  ['a page of AnySize', any, 'expected a page of Size4Kb, Size2Mb or Size1Gb'],
];

const CALLS: Readonly<Record<string, (ctrl: PageCtrl, given: never) => unknown>> = {
  mapPage: (ctrl, given) => ctrl.mapPage(given, frame(0x5000n), new Machine().alloc),
  flagsMut: (ctrl, given) => ctrl.flagsMut(given),
  unmap: (ctrl, given) => ctrl.unmap(given),
  translatePage: (ctrl, given) => ctrl.translatePage(given),
};

describe.each(Object.keys(CALLS))('%s refuses', (name) => {
  test.each(NO_PAGES)('%s', (_, given, says) => {
    const { ctrl } = new Machine();
    const error = refused(() => CALLS[name](ctrl, given as never), 'BAD_ARGUMENT', says);
    expect(error.message).toMatch(new RegExp(`^${name}: `));
  });

  test('a page that is not canonical', () => {
    const hole = Page.startingAt(VAddr.fromUsizeUnchecked(0x8000_0000_0000n), Size4Kb);
    refused(() => CALLS[name](new Machine().ctrl, hole as never), 'OUT_OF_RANGE', 'not canonical');
  });
});

describe('mapPage refuses', () => {
  const { ctrl, alloc } = new Machine();
  test.each<[string, unknown, string]>([
    ['a linear page for the physical one', page(0x1000n), 'expected a Page of PAddr'],
    ['a physical page of another size', frameOf(0n, Size2Mb), 'expected a physical page of 4KB'],
    ['one of AnySize', Page.containing(PAddr.zero(), AnySize.Size4Kb), 'expected a physical page of 4KB'],
  ])('%s', (_, given, says) => {
    refused(() => ctrl.mapPage(page(0x1000n), given as never, alloc), 'BAD_ARGUMENT', says);
  });

  test.each([
    ['no allocator', undefined],
    ['what is none', {}],
    ['one that takes nothing back', { alloc: () => frame(0n) }],
  ])('%s, whether or not a table is missing', (_, none) => {
    const machine = new Machine();
    for (const address of [0x1000n, 0x2000n]) {
      const call = () => machine.ctrl.mapPage(page(address), frame(0x5000n), none as never);
      refused(call, 'BAD_ARGUMENT', /^mapPage: .*; expected an allocator for tables/);
      machine.ctrl.mapPage(page(0x1000n + address), frame(0x5000n), machine.alloc);
    }
  });

  test('a physical page at an address that there is not', () => {
    const beyond = Page.startingAt(PAddr.fromUsize(0x000f_ffff_ffff_f000n).addUnchecked(0x1000n), Size4Kb);
    refused(() => ctrl.mapPage(page(0x1000n), beyond, alloc), 'OUT_OF_RANGE', 'top 12 bits');
  });
});

test('translateAddr takes a canonical VAddr', () => {
  const { ctrl } = new Machine();
  refused(
    () => ctrl.translateAddr(0x1000n as never),
    'BAD_ARGUMENT',
    'translateAddr: the bigint 4096; expected a VAddr',
  );
  refused(() => ctrl.translateAddr(PAddr.zero() as never), 'BAD_ARGUMENT', 'expected a VAddr');
  refused(() => ctrl.translateAddr(VAddr.fromUsizeUnchecked(1n << 47n)), 'OUT_OF_RANGE', 'not canonical');
  expect(ctrl.translateAddr(pageOf(0n, Size2Mb).baseAddr())).toBe(undefined);
});

test('Mm takes a processor, and addresses', () => {
  for (const none of [undefined, null, {}, 5]) {
    refused(() => new Mm(none as never), 'BAD_ARGUMENT', 'expected a processor');
  }
  const { mm } = new Machine({ initialised: false });
  refused(
    () => mm.initPaging(0x1000n as never),
    'BAD_ARGUMENT',
    'initPaging: the bigint 4096; expected a VAddr',
  );
  refused(
    () => mm.initPaging(virt(0x1001n)),
    'MISALIGNED',
    'window at VAddr(0x1001); expected a multiple of 4096',
  );
  const { cpu, memory } = new Machine();
  refused(() => new Mm(new Uint8Array(1 << 20) as never), 'BAD_ARGUMENT', 'Mm: [object Uint8Array];');
  refused(() => new Mm(cpu, null as never), 'BAD_ARGUMENT', 'Mm: null; expected options');
  for (const physicalMemory of [new Uint8Array(5), null, {}] as never[]) {
    refused(() => new Mm(cpu, { physicalMemory }), 'BAD_ARGUMENT', 'expected memory with readEntry');
  }
  new Mm(cpu, { physicalMemory: memory });
  refused(() => mm.kernelVaddrOf(0n as never), 'BAD_ARGUMENT', 'expected a PAddr');
  refused(() => mm.kernelPaddrOf(0n as never), 'BAD_ARGUMENT', 'expected a VAddr');
});

test('a processor that gives what is none is refused', () => {
  const machine = new Machine();
  machine.processor.invlpg = () => null as never;
  const handle = machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), machine.alloc);
  refused(() => handle.commit(), 'BAD_ARGUMENT', 'INVLPG returned: null; expected a fault, or nothing');
  Object.defineProperty(machine.processor, 'cr3', { value: 0x1000 });
  refused(
    () => machine.mm.current(),
    'BAD_ARGUMENT',
    'current: CR3: the number 4096; expected a bigint: 4096n',
  );
});
