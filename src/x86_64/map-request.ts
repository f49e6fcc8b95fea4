import { PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { HUGE_PAGE } from './entry-bits.ts';
import { MapToError } from './errors.ts';
import { PageTableFlags } from './flags.ts';
import { PhysFrame } from './frame.ts';
import { Page } from './page.ts';
import { type PageSize, Size4KiB } from './page-size.ts';
import type { TablePath } from './table-path.ts';

// What a request to map a page is refused for, whichever way its tables are reached. `call` is what was called for which
// page, for messages.

/** What is wrong with arguments that are not a page, a frame of its size, and flags. */
export function wrongArguments(
  operation: string,
  page: unknown,
  frame: unknown,
  flags: unknown,
): PageTableError {
  if (!(page instanceof Page)) return wrongKind(operation, page, 'a Page');
  if (!(frame instanceof PhysFrame)) return wrongKind(operation, frame, 'a PhysFrame');
  if (!(flags instanceof PageTableFlags)) return wrongKind(operation, flags, 'PageTableFlags');
  return wrongKind(operation, `${page} and ${frame}`, 'the same size');
}

/** Refuses flags for a new table that no table can have. */
export function checkTableFlags(call: string, low: number): void {
  if ((low & HUGE_PAGE) === 0) return;
  throw new PageTableError(
    'BAD_ARGUMENT',
    `${call}: the flags for tables contain HUGE_PAGE, which a table cannot have`,
  );
}

/** Refuses a frame for a new table that is none. */
export function checkTableFrame(call: string, frame: PhysFrame): void {
  if (frame.pageSize === Size4KiB && (frame.low & 0xfff) === 0) return;
  throw new PageTableError(
    frame.pageSize === Size4KiB ? 'MISALIGNED' : 'BAD_ARGUMENT',
    `${call}: the allocator gave ${frame}; expected a 4-KiB frame aligned to 4096`,
  );
}

/** Refuses flags and frames that the entry of a page cannot hold. */
export function checkLeaf(
  call: string,
  page: Page<PageSize>,
  frame: PhysFrame<PageSize>,
  flags: PageTableFlags,
): void {
  if (page.pageSize.leaf === 0 && (flags.low & HUGE_PAGE) !== 0) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `${call} with ${flags}; expected flags without HUGE_PAGE, which is PAT in a level-1 entry`,
    );
  }
  if ((frame.low & 0xfff) !== 0) {
    throw new PageTableError('MISALIGNED', `${call} to ${frame}; expected a frame aligned to 4096`);
  }
}

/** The error for a page that cannot be mapped; the path stands at the entry that decided. */
export function mapRefusal(
  path: TablePath,
  call: string,
  page: Page<PageSize>,
  frame: PhysFrame<PageSize>,
  kind: MapToError['kind'],
): MapToError {
  const at = `${call} to ${frame}`;
  const detail = { ...path.detail(page), frame: frame.startAddress().asU64() };
  switch (kind) {
    case 'FrameAllocationFailed':
      return new MapToError(
        kind,
        `${at}: no frame is left for a table of level ${path.level - 1}; expected the allocator to give one`,
        detail,
      );
    case 'ParentEntryHugePage':
      return new MapToError(kind, `${at}: ${path} has HUGE_PAGE; expected a table`, detail);
    case 'PageAlreadyMapped':
      return new MapToError(kind, `${at}: ${path} is in use; expected an unused entry`, detail, frame);
  }
}
