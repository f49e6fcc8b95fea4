/**
 * The slow, obvious reference walker for AArch64: stage 1 of the EL1&0 regime, in `bigint`.
 *
 * Written from the manual's tables and pseudocode only, without a look at `src/`, so that it can judge the library. It shares no
 * constant with it, on purpose. Bit numbers in the comments are the manual's; the checks are numbered in the order in which
 * the pseudocode of stage 1 makes them.
 *
 * Not modelled: DS (FEAT_LPA2), FEAT_LVA and LPA, PIE, POE, HAFT, NFDn. Where the manual leaves a choice: a TnSZ out of range is a
 * Translation fault of level 0, a reserved granule code is 4 KiB, and nothing is written back for an access that is refused.
 *
 * @see Arm ARM (DDI 0487), chapter D8
 */
import type { ReferenceRead } from './reference-walker.ts';

/** The registers. */
export interface Aarch64ReferenceControl {
  readonly ttbr0: bigint;
  readonly ttbr1: bigint;
  readonly tcr: bigint;
  readonly mair: bigint;
  readonly sctlr: bigint;
  /** PSTATE.PAN. */
  readonly pan: boolean;
  /** PARange, 32 to 48. */
  readonly physBits: number;
}

/** One access. */
export interface Aarch64ReferenceAccess {
  readonly kind: 'read' | 'write' | 'fetch';
  readonly el: 0 | 1;
  /** LDTR, STTR. */
  readonly unprivileged?: boolean;
  /** Whether the address is not a multiple of the size. */
  readonly misaligned?: boolean;
  /** The access of an AT instruction: it checks no alignment, and makes nothing dirty. */
  readonly question?: boolean;
}

/** What the last entry of a walk says, with those above. */
export interface Aarch64ReferenceLeaf {
  readonly kind: 'leaf';
  readonly pa: bigint;
  readonly level: number;
  readonly entryAddress: bigint;
  readonly entry: bigint;
  /** APTable, UXNTable and PXNTable of all tables above. */
  readonly noEl0: boolean;
  readonly noWrites: boolean;
  readonly uxn: boolean;
  readonly pxn: boolean;
}

export type Aarch64ReferenceResult =
  | {
      readonly kind: 'ok';
      readonly pa: bigint;
      readonly level: number;
      /** The byte of MAIR. */
      readonly attribute: number;
      readonly shareability: number;
      /** The last entry as it is written back, if it changes. */
      readonly update: { readonly address: bigint; readonly value: bigint } | undefined;
    }
  | { readonly kind: 'abort'; readonly status: number; readonly esr: bigint }
  | { readonly kind: 'absent'; readonly address: bigint };

/** How a walk ends that does not come to a leaf: fault status codes without their level. */
type Stop =
  | { readonly kind: 'fault'; readonly code: number; readonly level: number }
  | { readonly kind: 'absent'; readonly address: bigint };

/** Bits `high` to `low`, both included, at the bottom. */
function field(value: bigint, high: number, low: number): number {
  return Number((value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n));
}

function bit(value: bigint, at: number): boolean {
  return ((value >> BigInt(at)) & 1n) === 1n;
}

/** TCR_EL1: what it says of the half that an address is in. */
export function referenceHalf(tcr: bigint, va: bigint) {
  const upper = bit(va, 55);
  const tg = upper ? field(tcr, 31, 30) : field(tcr, 15, 14);
  // Different codes for the two.
  const granuleShift = upper ? { 0: 12, 1: 14, 2: 12, 3: 16 }[tg] : { 0: 12, 1: 16, 2: 14, 3: 12 }[tg];
  return {
    upper,
    granuleShift: granuleShift ?? 12,
    tnsz: upper ? field(tcr, 21, 16) : field(tcr, 5, 0),
    epd: bit(tcr, upper ? 23 : 7),
    hpd: bit(tcr, upper ? 42 : 41),
    tbi: bit(tcr, upper ? 38 : 37),
    tbid: bit(tcr, upper ? 52 : 51),
    e0pd: bit(tcr, upper ? 56 : 55),
  };
}

/** TCR_EL1.IPS, and the processor's own limit. */
function outputBits(control: Aarch64ReferenceControl): number {
  const ips = [32, 36, 40, 42, 44, 48, 48, 48][field(control.tcr, 34, 32)];
  return Math.min(ips, control.physBits, 48);
}

/** D8.3: levels that may hold blocks or pages. */
function holdsLeaves(granuleShift: number, level: number): boolean {
  if (level === 3) return true;
  return granuleShift === 12 ? level === 1 || level === 2 : level === 2;
}

/** The walk: checks 2 to 13. */
export function referenceAarch64Leaf(
  read: ReferenceRead,
  control: Aarch64ReferenceControl,
  va: bigint,
  access: Aarch64ReferenceAccess,
): Aarch64ReferenceLeaf | Stop {
  const half = referenceHalf(control.tcr, va);
  const g = half.granuleShift;
  const translation = (level: number): Stop => ({ kind: 'fault', code: 0b000100, level });
  const addressSize = (level: number): Stop => ({ kind: 'fault', code: 0b000000, level });

  // 2: TnSZ. The least is 16; the most 48, 47 with 64 KiB.
  if (half.tnsz < 16 || half.tnsz > (g === 16 ? 47 : 48)) return translation(0);
  const inputBits = 64 - half.tnsz;

  // 3: the bits from the input size up to the top are as bit 55.
  const ignoresTag = half.tbi && !(half.tbid && access.kind === 'fetch');
  const top = ignoresTag ? 55 : 63;
  for (let at = inputBits; at <= top; at += 1) if (bit(va, at) !== half.upper) return translation(0);

  // 4: E0PDn.
  const isEl0 = access.el === 0 || access.unprivileged === true;
  if (half.e0pd && isEl0) return translation(0);
  // 6: EPDn.
  if (half.epd) return translation(0);

  // D8.2: the level of the root, its size and alignment.
  const stride = g - 3;
  const start = 3 - Math.floor((inputBits - 1 - g) / stride);
  const rootBits = inputBits - g - (3 - start) * stride;
  const rootBytes = 8n << BigInt(rootBits);
  const ttbr = half.upper ? control.ttbr1 : control.ttbr0;
  let table = ttbr & ((1n << 48n) - 1n) & ~(rootBytes - 1n);
  if (g === 16 && rootBytes < 64n) table &= ~63n;
  const oa = outputBits(control);
  const tooHigh = (address: bigint) => address >> BigInt(oa) !== 0n;
  // 7: the root.
  if (tooHigh(table)) return addressSize(0);

  let noEl0 = false;
  let noWrites = false;
  let uxn = false;
  let pxn = false;
  for (let level = start; ; level += 1) {
    const shift = g + (3 - level) * stride;
    const high = level === start ? inputBits - 1 : shift + stride - 1;
    const index = field(va, high, shift);
    const entryAddress = table + BigInt(index) * 8n;
    const entry = read(entryAddress, 8);
    if (entry === undefined) return { kind: 'absent', address: entryAddress };

    // 10: the type (table D8-48).
    if (!bit(entry, 0)) return translation(level);
    const isTable = level < 3 && bit(entry, 1);
    if (!isTable && level === 3 && !bit(entry, 1)) return translation(level);
    if (!isTable && !holdsLeaves(g, level)) return translation(level);

    // D8.3.1: bits 47:g, or 47 down to the size of the block.
    const lowest = isTable ? g : shift;
    const address = entry & ((1n << 48n) - 1n) & ~((1n << BigInt(lowest)) - 1n);
    // 11 and 13: output size.
    if (tooHigh(address)) return addressSize(level);

    if (!isTable) {
      const pa = address | (va & ((1n << BigInt(shift)) - 1n));
      return { kind: 'leaf', pa, level, entryAddress, entry, noEl0, noWrites, uxn, pxn };
    }
    // D8.4.1.2: they count for all below.
    if (!half.hpd) {
      noEl0 ||= bit(entry, 61);
      noWrites ||= bit(entry, 62);
      uxn ||= bit(entry, 60);
      pxn ||= bit(entry, 59);
    }
    table = address;
  }
}

/** D8.4.1.2, the direct scheme: whether the access is refused. */
function isDenied(
  control: Aarch64ReferenceControl,
  leaf: Aarch64ReferenceLeaf,
  access: Aarch64ReferenceAccess,
) {
  const { entry } = leaf;
  const hardwareDirty = bit(control.tcr, 39) && bit(control.tcr, 40) && bit(entry, 51);
  const readOnly = (bit(entry, 7) && !hardwareDirty) || leaf.noWrites;
  const el0 = { read: bit(entry, 6) && !leaf.noEl0, write: false, execute: !bit(entry, 54) && !leaf.uxn };
  el0.write = el0.read && !readOnly;
  const el1 = { read: true, write: !readOnly, execute: !bit(entry, 53) && !leaf.pxn && !el0.write };
  if (bit(control.sctlr, 19)) {
    // WXN, for the level that accesses.
    if (el0.write) el0.execute = false;
    if (el1.write) el1.execute = false;
  }
  const isEl0 = access.el === 0 || access.unprivileged === true;
  if (control.pan && !isEl0 && access.kind !== 'fetch') {
    const el0Executes = !bit(entry, 54) && !leaf.uxn;
    if (el0.read || el0.write || (bit(control.sctlr, 57) && el0Executes)) return true;
  }
  const rights = isEl0 ? el0 : el1;
  return !{ read: rights.read, write: rights.write, fetch: rights.execute }[access.kind];
}

/** ESR_EL1 of an abort. */
function syndrome(access: Aarch64ReferenceAccess, status: number): bigint {
  const isFetch = access.kind === 'fetch';
  const ec = (isFetch ? 0x20n : 0x24n) + (access.el === 1 ? 1n : 0n);
  const wnr = access.kind === 'write' ? 1n : 0n;
  return (ec << 26n) | (1n << 25n) | (wnr << 6n) | BigInt(status);
}

/** Translates `va` for one access, as the processor would with an empty TLB. */
export function referenceAarch64Walk(
  read: ReferenceRead,
  control: Aarch64ReferenceControl,
  va: bigint,
  access: Aarch64ReferenceAccess,
): Aarch64ReferenceResult {
  const abort = (status: number): Aarch64ReferenceResult => ({
    kind: 'abort',
    status,
    esr: syndrome(access, status),
  });
  const isData = access.kind !== 'fetch';
  const misaligned = access.misaligned === true && access.question !== true && isData;
  // SCTLR.A comes before translation.
  if (misaligned && bit(control.sctlr, 1)) return abort(0x21);

  // 1: a flat map, of Device-nGnRnE for data.
  if (!bit(control.sctlr, 0)) {
    const half = referenceHalf(control.tcr, va);
    const ignoresTag = half.tbi && !(half.tbid && !isData);
    const address = ignoresTag ? va & ((1n << 56n) - 1n) : va;
    if (address >> BigInt(control.physBits) !== 0n) return abort(0);
    if (misaligned) return abort(0x21);
    return { kind: 'ok', pa: address, level: 0, attribute: 0, shareability: 0, update: undefined };
  }

  const leaf = referenceAarch64Leaf(read, control, va, access);
  if (leaf.kind === 'absent') return leaf;
  if (leaf.kind === 'fault') return abort(leaf.code | leaf.level);
  const { entry, level } = leaf;

  // 14: the access flag.
  const ha = bit(control.tcr, 39);
  const hd = ha && bit(control.tcr, 40);
  if (!bit(entry, 10) && !ha) return abort(0b001000 | level);

  // 15: alignment; device memory is 0000xxxx.
  const attribute = field(control.mair, 8 * field(entry, 4, 2) + 7, 8 * field(entry, 4, 2));
  if (misaligned && attribute < 16) return abort(0x21);

  // 16: rights.
  if (isDenied(control, leaf, access)) return abort(0b001100 | level);

  // 17: hardware updates (D8.5).
  let value = entry;
  if (ha) value |= 1n << 10n;
  if (hd && bit(entry, 51) && access.kind === 'write' && access.question !== true) value &= ~(1n << 7n);
  const update = value === entry ? undefined : { address: leaf.entryAddress, value };
  return { kind: 'ok', pa: leaf.pa, level, attribute, shareability: field(entry, 9, 8), update };
}

/** PAR_EL1 after an AT instruction. The access is marked as a question. */
export function referencePar(result: Exclude<Aarch64ReferenceResult, { kind: 'absent' }>): bigint {
  if (result.kind === 'abort') return 1n | (BigInt(result.status) << 1n) | (1n << 11n);
  const { attribute } = result;
  // Device and non-cacheable memory is outer shareable.
  const isOuter = attribute < 16 || attribute === 0x44 || attribute === 0x40;
  const sh = isOuter ? 0b10n : BigInt(result.shareability);
  const page = result.pa & ((1n << 52n) - 1n) & ~0xfffn;
  return (BigInt(attribute) << 56n) | page | (1n << 11n) | (1n << 9n) | (sh << 7n);
}
