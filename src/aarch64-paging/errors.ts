import { type ErrorCode, type ErrorDetail, hex64, PageTableError } from '../bits/index.ts';
import type { VirtualAddress } from './address.ts';
import type { Descriptor } from './descriptor.ts';
import type { Flags } from './flags.ts';
import type { ViolatedRule } from './live-rules.ts';
import type { MemoryRegion } from './region.ts';

/** The code of each kind. */
const CODES = {
  AddressRange: 'OUT_OF_RANGE',
  InvalidVirtualAddress: 'OUT_OF_RANGE',
  RegionBackwards: 'BAD_ARGUMENT',
  PteUpdateFault: 'UPDATE_FAILED',
  InvalidFlags: 'BAD_ARGUMENT',
  BreakBeforeMakeViolation: 'BREAK_BEFORE_MAKE',
} as const satisfies Record<string, ErrorCode>;

/** What a break-before-make violation was about. */
export interface Violation {
  /** Which rule; Arm ARM (DDI 0487), section "Using break-before-make when updating translation table entries". */
  readonly rule: ViolatedRule;
  /** Level of the entry. */
  readonly level: number;
  /** All that the entry maps. */
  readonly entry: MemoryRegion;
  /** The descriptor as it is. */
  readonly before: bigint;
  /** The descriptor as it was to be. */
  readonly after: bigint;
}

/** What an error carries, by kind. */
interface Payload {
  readonly addr?: VirtualAddress;
  readonly region?: MemoryRegion;
  readonly bits?: bigint;
  readonly descriptor?: Descriptor;
  readonly flags?: Flags;
  readonly violation?: Violation;
}

/** Why a range could not be mapped, changed or walked. */
export class MapError extends PageTableError {
  override readonly name: string = 'MapError';
  /** The original's variant. */
  readonly kind: keyof typeof CODES;
  /** `AddressRange`, `InvalidVirtualAddress`: the address. */
  readonly addr: VirtualAddress | undefined;
  /** `RegionBackwards`, `BreakBeforeMakeViolation`: the region. */
  readonly region: MemoryRegion | undefined;
  /** `PteUpdateFault`: the entry's bits. */
  readonly bits: bigint | undefined;
  /** `PteUpdateFault`: the entry. */
  readonly descriptor: Descriptor | undefined;
  /** `InvalidFlags`: as the original gives them: all that were given, or in the shape of 0.5 the one that is wrong. */
  readonly flags: Flags | undefined;
  /** `BreakBeforeMakeViolation`: the entry, and what is wrong. */
  readonly violation: Violation | undefined;

  /** @internal */
  constructor(
    kind: MapError['kind'],
    message: string,
    payload: Payload,
    detail: ErrorDetail,
    options?: ErrorOptions,
  ) {
    super(CODES[kind], message, detail, options);
    this.kind = kind;
    this.addr = payload.addr;
    this.region = payload.region;
    this.bits = payload.bits;
    this.descriptor = payload.descriptor;
    this.flags = payload.flags;
    this.violation = payload.violation;
  }
}

const REASONS: Readonly<Record<ViolatedRule, string>> = {
  'output-address': 'its output address would change',
  'block-size': 'a block would be split, or only a part of it changed',
  attributes: 'attributes would change that must stay while it is valid',
  callback: 'the callback failed',
};

/** The error for a change that needs break-before-make. */
export function violationError(
  region: MemoryRegion,
  violation: Violation | undefined,
  cause?: unknown,
): MapError {
  let message = `Cannot remap region ${region} while translation is live.`;
  let detail = {};
  if (violation !== undefined) {
    const { rule, level, entry, before, after } = violation;
    message +=
      ` The level-${level} entry of ${entry}, ${hex64(before)}, was to become ${hex64(after)}: ${REASONS[rule]}.` +
      ' Make it invalid first, or deactivate the map.';
    detail = { rule, level, before, after };
  }
  const payload = violation === undefined ? { region } : { region, violation };
  return new MapError('BreakBeforeMakeViolation', message, payload, detail, causedBy(cause));
}

/** Options of an error with a cause, if there is one. */
export function causedBy(cause: unknown): ErrorOptions {
  return cause === undefined ? {} : { cause };
}
