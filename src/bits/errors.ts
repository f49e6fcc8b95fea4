/**
 * Every code that a {@link PageTableError} can carry. Codes are stable; `docs/errors.md` explains each.
 */
export const ERROR_CODES = [
  'OUT_OF_RANGE',
  'MISALIGNED',
  'OVERLAP',
  'DETACHED',
  'MALFORMED_IMAGE',
  'TRUNCATED_IMAGE',
  'UNSUPPORTED_IMAGE',
  'LIMIT_EXCEEDED',
  'READ_FAILED',
  'NO_ROOT',
  'NO_CPU',
  'PAGING_DISABLED',
  'BAD_ARGUMENT',
  'NOT_IN_MEMORY',
  'CORRUPT_TABLE',
  'REENTERED',
  'OUT_OF_FRAMES',
  'ALREADY_MAPPED',
  'NOT_MAPPED',
  'HUGE_PAGE',
  'INVALID_FRAME',
  'PROCESSOR_FAULT',
  'NOT_RECURSIVE',
  'NOT_ACTIVE',
  'UNSAFE_MAPPING',
  'BREAK_BEFORE_MAKE',
  'UPDATE_FAILED',
  'NOT_REPRESENTABLE',
  'WRITE_XOR_EXECUTE',
  'SHARED_TABLE',
  'STALE_PLAN',
] as const;

/** One of {@link ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** What an error found, by name. Values are numbers, byte addresses or text. */
export type ErrorDetail = Readonly<Record<string, number | bigint | string>>;

/**
 * A mistake of the caller, or input that is not what it claims to be.
 *
 * Page faults, absent entries and pages that an image does not hold are answers, never errors.
 */
export class PageTableError extends Error {
  override readonly name: string = 'PageTableError';
  /** Stable code, for programs. */
  readonly code: ErrorCode;
  /** What was found, for programs; the message says the same to people. */
  readonly detail: ErrorDetail;

  /**
   * @param code - stable code
   * @param message - operation, offending value, what was expected, what was found
   * @param detail - the same values by name
   * @param options - `cause`, where another error led to this one
   */
  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.detail = detail;
  }
}
