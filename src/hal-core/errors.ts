import { type ErrorCode, type ErrorDetail, PageTableError } from '../bits/index.ts';
import type { Size } from './size.ts';

/** An address that is not the first one of a page. */
export class NotAligned<S extends Size = Size> extends PageTableError {
  override readonly name: string = 'NotAligned';
  /** The size on whose boundary it does not lie. */
  readonly size: S;

  /**
   * @param size - of the page
   * @param address - which is not aligned
   */
  constructor(size: S, address: { valueOf(): bigint; toString(): string }) {
    super('MISALIGNED', `${address} is no multiple of the page size ${size}; expected the start of a page`, {
      address: address.valueOf(),
      size: size.asUsize(),
    });
    this.size = size;
  }
}

/** An allocator could not give frames, or would not take them back. */
export class AllocError extends PageTableError {
  override readonly name: string = 'AllocError';

  /**
   * @param message - what was asked for, and what there is
   * @param detail - the same by name
   * @param options - `cause`
   */
  constructor(message = 'the allocator failed', detail: ErrorDetail = {}, options?: ErrorOptions) {
    super('OUT_OF_FRAMES', message, detail, options);
  }

  /** No frames are left. */
  static oom(): AllocError {
    return new AllocError('the allocator has no frames left');
  }

  /** The original's `From<NotAligned>`. */
  static from(error: NotAligned): AllocError {
    return new AllocError(`the allocator failed: ${error.message}`, error.detail, { cause: error });
  }
}

/** The code of each kind: what all faces call it. */
const CODES = {
  NotMapped: 'NOT_MAPPED',
  WrongSize: 'HUGE_PAGE',
  Other: 'CORRUPT_TABLE',
} as const satisfies Record<string, ErrorCode>;

/** Why a page has no physical page. */
export class TranslateError<S extends Size = Size> extends PageTableError {
  override readonly name: string = 'TranslateError';
  /** The original's variant. */
  readonly kind: 'NotMapped' | 'WrongSize' | 'Other';
  /** `WrongSize`: the size that was asked for, as in the original. */
  readonly size: S | undefined;
  /** `WrongSize`: the size of the page that is mapped there; `undefined` if a table of smaller pages is. */
  readonly mappedSize: Size | undefined;

  /**
   * @param kind - the original's variant
   * @param message - page, and what was found
   * @param sizes - for `WrongSize`: what was asked for, and what is there
   */
  constructor(
    kind: TranslateError['kind'],
    message: string,
    { size, mappedSize }: { readonly size?: S; readonly mappedSize?: Size | undefined } = {},
  ) {
    super(CODES[kind], message, size === undefined ? {} : { size: size.asUsize() });
    this.kind = kind;
    this.size = size;
    this.mappedSize = mappedSize;
  }

  /** The original's `From<&str>`: any other reason. */
  static from(reason: string): TranslateError {
    return new TranslateError('Other', reason);
  }
}
