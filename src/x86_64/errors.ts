import { type ErrorCode, type ErrorDetail, hex64, PageTableError } from '../bits/index.ts';
import type { PhysAddr } from './addr.ts';
import type { PhysFrame } from './frame.ts';
import type { PageSize } from './page-size.ts';

/** The code of each kind: what all faces call it. */
const CODES = {
  FrameAllocationFailed: 'OUT_OF_FRAMES',
  ParentEntryHugePage: 'HUGE_PAGE',
  PageAlreadyMapped: 'ALREADY_MAPPED',
  PageNotMapped: 'NOT_MAPPED',
  InvalidFrameAddress: 'INVALID_FRAME',
} as const satisfies Record<string, ErrorCode>;

/** Why {@link PageTableEntry.frame} has no frame to give. */
export class FrameError extends PageTableError {
  override readonly name: string = 'FrameError';
  /** The original's variant. */
  readonly kind: 'FrameNotPresent' | 'HugeFrame';

  constructor(kind: FrameError['kind'], entry: bigint) {
    const absent = kind === 'FrameNotPresent';
    super(
      absent ? 'NOT_MAPPED' : 'HUGE_PAGE',
      `frame: the entry ${hex64(entry)} ${absent ? 'is not present' : 'maps a huge page'}; ` +
        'expected a present entry without HUGE_PAGE',
      { entry },
    );
    this.kind = kind;
  }
}

/** Why a page could not be mapped. */
export class MapToError<S extends PageSize = PageSize> extends PageTableError {
  override readonly name: string = 'MapToError';
  /** The original's variant. */
  readonly kind: 'FrameAllocationFailed' | 'ParentEntryHugePage' | 'PageAlreadyMapped';
  /** `PageAlreadyMapped`: the frame that the caller passed, which is free for other use; not the one that is mapped. */
  readonly frame: PhysFrame<S> | undefined;

  constructor(kind: MapToError['kind'], message: string, detail: ErrorDetail, frame?: PhysFrame<S>) {
    super(CODES[kind], message, detail);
    this.kind = kind;
    this.frame = frame;
  }
}

/** Why a page could not be unmapped. */
export class UnmapError extends PageTableError {
  override readonly name: string = 'UnmapError';
  /** The original's variant. */
  readonly kind: 'ParentEntryHugePage' | 'PageNotMapped' | 'InvalidFrameAddress';
  /** `InvalidFrameAddress`: the address that the entry holds. */
  readonly addr: PhysAddr | undefined;

  constructor(kind: UnmapError['kind'], message: string, detail: ErrorDetail, addr?: PhysAddr) {
    super(CODES[kind], message, detail);
    this.kind = kind;
    this.addr = addr;
  }
}

/** Why the flags of an entry could not be changed. */
export class FlagUpdateError extends PageTableError {
  override readonly name: string = 'FlagUpdateError';
  /** The original's variant. */
  readonly kind: 'PageNotMapped' | 'ParentEntryHugePage';

  constructor(kind: FlagUpdateError['kind'], message: string, detail: ErrorDetail) {
    super(CODES[kind], message, detail);
    this.kind = kind;
  }
}

/** Why a page has no frame. */
export class TranslateError extends PageTableError {
  override readonly name: string = 'TranslateError';
  /** The original's variant. */
  readonly kind: 'PageNotMapped' | 'ParentEntryHugePage' | 'InvalidFrameAddress';
  /** `InvalidFrameAddress`: the address that the entry holds. */
  readonly addr: PhysAddr | undefined;

  constructor(kind: TranslateError['kind'], message: string, detail: ErrorDetail, addr?: PhysAddr) {
    super(CODES[kind], message, detail);
    this.kind = kind;
    this.addr = addr;
  }
}

/** Why a table cannot be used by a recursive mapper. */
export class InvalidPageTable extends PageTableError {
  override readonly name: string = 'InvalidPageTable';
  /** The original's variant. */
  readonly kind: 'NotRecursive' | 'NotActive';

  constructor(kind: InvalidPageTable['kind'], message: string, detail: ErrorDetail) {
    super(kind === 'NotRecursive' ? 'NOT_RECURSIVE' : 'NOT_ACTIVE', message, detail);
    this.kind = kind;
  }
}
