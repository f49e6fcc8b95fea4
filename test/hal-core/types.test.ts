// Sizes and kinds of addresses are types: `npm run types` refuses this file if a line marked as an error compiles, or another one
// does not.
import { expect, test } from 'vitest';
import type {
  Alloc,
  AnySize,
  BumpAlloc,
  EmptyAlloc,
  GuardedMap,
  Handle,
  Map,
  PAddr,
  Page,
  PageCtrl,
  PageRange,
  Size,
  Size2Mb,
  Size4Kb,
  StaticSize,
  VAddr,
} from '../../src/hal-core/index.ts';

/** Takes a value of a type. */
declare function want<T>(value: T): void;

/** One of everything. */
interface Given {
  readonly ctrl: PageCtrl;
  readonly small: Map<Size4Kb, Alloc<Size4Kb>>;
  readonly guarded: GuardedMap<StaticSize, Alloc<Size4Kb>>;
  readonly alloc: BumpAlloc;
  readonly none: EmptyAlloc;
  readonly page4: Page<VAddr, Size4Kb>;
  readonly page2: Page<VAddr, Size2Mb>;
  readonly frame4: Page<PAddr, Size4Kb>;
  readonly frame2: Page<PAddr, Size2Mb>;
  readonly any: Page<VAddr, AnySize>;
  readonly pages4: PageRange<VAddr, Size4Kb>;
  readonly frames4: PageRange<PAddr, Size4Kb>;
  readonly frames2: PageRange<PAddr, Size2Mb>;
  readonly virt: VAddr;
  readonly phys: PAddr;
}

/** Lines that must compile. */
function accepted({ ctrl, small, guarded, alloc, none, ...given }: Given): void {
  const { page4, page2, frame4, frame2, pages4, frames4, virt, phys } = given;
  want<Handle<Size4Kb>>(ctrl.mapPage(page4, frame4, alloc));
  want<Handle<Size2Mb>>(ctrl.mapPage(page2, frame2, none));
  want<Page<PAddr, Size2Mb>>(ctrl.unmap(page2));
  want<Page<PAddr, Size4Kb>>(ctrl.translatePage(page4));
  want<PageRange<VAddr, Size4Kb>>(
    ctrl.mapRange(pages4, frames4, (handle) => handle.setWritable(true), alloc),
  );
  want<PageRange<VAddr, Size4Kb>>(small.identityMapRange(frames4, () => {}, none));
  want<Handle<Size4Kb>>(small.mapPage(page4, frame4, alloc).setWritable(true).setExecutable(false));
  want<Handle<StaticSize>>(guarded.mapPage(page4, frame4, alloc));
  want<Map<StaticSize, Alloc<Size4Kb>>>(ctrl);
  want<Alloc<Size4Kb>>(none);
  want<Page<VAddr, Size>>(page4);
  want<VAddr>(virt.add(virt).alignDown(4096n));
  want<bigint>(phys.difference(phys));
}

/** Lines that must not compile. */
function refused({ ctrl, small, alloc, ...given }: Given): void {
  const { page4, page2, frame4, frame2, any, pages4, frames2, virt, phys } = given;
  // @ts-expect-error - a 4-KiB page to a 2-MiB one
  ctrl.mapPage(page4, frame2, alloc);
  // @ts-expect-error - a physical page for a linear one
  ctrl.mapPage(frame4, frame4, alloc);
  // @ts-expect-error - a page of a size that tables do not have
  ctrl.unmap(any);
  // @ts-expect-error - ranges of different sizes
  ctrl.mapRange(pages4, frames2, () => {}, alloc);
  // @ts-expect-error - a mapper for pages of 4 KiB
  small.mapPage(page2, frame2, alloc);
  // @ts-expect-error - a page of another size
  page4.rangeInclusive(page2);
  // @ts-expect-error - an address of the other kind
  page4.contains(phys);
  // @ts-expect-error - a number for bytes
  virt.add(4096);
  // @ts-expect-error - an address of the other kind
  virt.compare(phys);
}

test('sizes and kinds of addresses are types', () => {
  expect([accepted, refused]).toHaveLength(2);
});
