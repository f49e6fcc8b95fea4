/**
 * The slow, obvious reference walker for RISC-V: Sv32, Sv39, Sv48 and Sv57, in `bigint`.
 *
 * Written from the manual's algorithm only, without a look at `src/`, so that it can judge the library. It shares no constant
 * with it, on purpose. Bit numbers in the comments are the manual's; the steps are numbered as in "Virtual Address Translation
 * Process".
 *
 * Not modelled: shadow stacks (Zicfiss), Svrsw60t59b, PMP, MPRV, the hypervisor's second stage.
 *
 * @see RISC-V Privileged ISA, chapters "Supervisor-Level ISA", "Svnapot", "Svpbmt", "Svadu"
 */
import type { ReferenceRead } from './reference-walker.ts';

export interface RiscvReferenceControl {
  readonly satp: bigint;
  readonly xlen: 32 | 64;
  readonly sum: boolean;
  readonly mxr: boolean;
  readonly svnapot: boolean;
  readonly svpbmt: boolean;
  readonly adue: boolean;
  /** Physical addresses from 2^physBits on are an access fault. */
  readonly physBits: number;
}

export interface RiscvReferenceAccess {
  readonly kind: 'read' | 'write' | 'fetch';
  readonly privilege: 'U' | 'S' | 'M';
}

/** An entry that the walk read. */
export interface RiscvReferenceEntry {
  /** The manual's: 0 is the last. */
  readonly level: number;
  readonly address: bigint;
  readonly value: bigint;
}

export interface RiscvReferenceLeaf {
  readonly kind: 'leaf';
  readonly pa: bigint;
  readonly level: number;
  /** Bytes that the one entry maps, a group not counted. */
  readonly pageSize: bigint;
  /** Whether the entry is one of a Svnapot group. */
  readonly napot: boolean;
  /** G in the entry or in one above. */
  readonly global: boolean;
  readonly entries: readonly RiscvReferenceEntry[];
}

/** How a walk ends that does not come to a leaf. `absent`: memory has no such address. */
export interface RiscvReferenceStop {
  readonly kind: 'non-canonical' | 'not-present' | 'reserved' | 'absent' | 'access';
  readonly entries: readonly RiscvReferenceEntry[];
  /** Of the entry that could not be read. */
  readonly address?: bigint;
}

export type RiscvReferenceResult =
  | {
      readonly kind: 'ok';
      readonly pa: bigint;
      /** Bits 62:61 of the entry; 0 without translation and without Svpbmt. */
      readonly pbmt: number;
      /** The last entry as it is written back, if it changes. */
      readonly update: { readonly address: bigint; readonly value: bigint } | undefined;
    }
  | {
      readonly kind: 'fault';
      readonly cause: number;
      readonly tval: bigint;
      /** A and D are set before the page itself is accessed, which may fail by where it lies. */
      readonly update?: { readonly address: bigint; readonly value: bigint } | undefined;
    }
  | { readonly kind: 'absent'; readonly address: bigint };

function field(value: bigint, high: number, low: number): bigint {
  return (value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
}

/** satp: MODE, and the root's address. `undefined` for Bare. */
function mode({ satp, xlen }: RiscvReferenceControl) {
  if (xlen === 32) {
    const on = field(satp, 31, 31) === 1n;
    return on ? { levels: 2, bits: 10, bytes: 4 as const, root: field(satp, 21, 0) << 12n } : undefined;
  }
  const code = Number(field(satp, 63, 60));
  if (code === 0) return undefined;
  const levels = { 8: 3, 9: 4, 10: 5 }[code];
  if (levels === undefined) throw new Error(`reserved satp.MODE ${code}`);
  return { levels, bits: 9, bytes: 8 as const, root: field(satp, 43, 0) << 12n };
}

/** Whether a valid entry holds anything reserved, for step 3. */
function isReserved(pte: bigint, level: number, bytes: 4 | 8, control: RiscvReferenceControl): boolean {
  const on = (bit: number) => field(pte, bit, bit) === 1n;
  const [r, w, x] = [on(1), on(2), on(3)];
  if (w && !r) return true;
  const isLeaf = r || x;
  if (!isLeaf && (on(4) || on(6) || on(7))) return true; // U, A, D
  if (bytes === 4) return false;
  if (field(pte, 60, 54) !== 0n) return true;
  const pbmt = field(pte, 62, 61);
  if (pbmt !== 0n && (!control.svpbmt || !isLeaf || pbmt === 3n)) return true;
  if (!on(63)) return false;
  return !control.svnapot || !isLeaf || level !== 0 || field(pte, 13, 10) !== 0b1000n;
}

/** Steps 1 to 5: everything but rights. The mode must not be Bare. */
export function referenceRiscvLeaf(
  read: ReferenceRead,
  control: RiscvReferenceControl,
  va: bigint,
): RiscvReferenceLeaf | RiscvReferenceStop {
  const chosen = mode(control);
  if (chosen === undefined) throw new Error('Bare');
  const { levels, bits, bytes, root } = chosen;
  const entries: RiscvReferenceEntry[] = [];
  const stop = (kind: RiscvReferenceStop['kind'], address?: bigint): RiscvReferenceStop => ({
    kind,
    entries,
    ...(address === undefined ? {} : { address }),
  });
  const width = 12 + levels * bits;
  if (control.xlen === 64) {
    for (let at = width; at < 64; at += 1)
      if (field(va, at, at) !== field(va, width - 1, width - 1)) return stop('non-canonical');
  }
  let table = root;
  let global = false;
  for (let level = levels - 1; level >= 0; level -= 1) {
    const low = 12 + level * bits;
    const address = table + field(va, low + bits - 1, low) * BigInt(bytes);
    // 2: the processor has no such physical address; or the memory has none.
    if (address >> BigInt(control.physBits) !== 0n) return stop('access', address);
    const pte = read(address, bytes);
    if (pte === undefined) return stop('absent', address);
    entries.push({ level, address, value: pte });
    // 3.
    if (field(pte, 0, 0) === 0n) return stop('not-present');
    if (isReserved(pte, level, bytes, control)) return stop('reserved');
    if (field(pte, 5, 5) === 1n) global = true;
    const ppn = bytes === 4 ? field(pte, 31, 10) : field(pte, 53, 10);
    // 4.
    if (field(pte, 1, 1) === 0n && field(pte, 3, 3) === 0n) {
      if (level === 0) return stop('reserved');
      table = ppn << 12n;
      continue;
    }
    // 5: a superpage must be aligned.
    const below = (1n << BigInt(level * bits)) - 1n;
    if ((ppn & below) !== 0n) return stop('reserved');
    const napot = bytes === 8 && field(pte, 63, 63) === 1n;
    // The page number with its lowest bits from the address; those of a group are a code.
    const taken = napot ? 15n : below;
    const pa = (((ppn & ~taken) | ((va >> 12n) & taken)) << 12n) | (va & 0xfffn);
    return { kind: 'leaf', pa, level, pageSize: 1n << BigInt(low), napot, global, entries };
  }
  throw new Error('unreachable');
}

/** Translates `va` for one access, as a hart would that remembers nothing. */
export function referenceRiscvWalk(
  read: ReferenceRead,
  control: RiscvReferenceControl,
  va: bigint,
  access: RiscvReferenceAccess,
): RiscvReferenceResult {
  const { kind, privilege } = access;
  const pageFault = { kind: 'fault', cause: { fetch: 12, read: 13, write: 15 }[kind], tval: va } as const;
  const accessFault = { kind: 'fault', cause: { fetch: 1, read: 5, write: 7 }[kind], tval: va } as const;
  const isBeyond = (pa: bigint) => pa >> BigInt(control.physBits) !== 0n;
  if (privilege === 'M' || mode(control) === undefined) {
    return isBeyond(va) ? accessFault : { kind: 'ok', pa: va, pbmt: 0, update: undefined };
  }
  const leaf = referenceRiscvLeaf(read, control, va);
  if (leaf.kind === 'absent' && leaf.address !== undefined) return { kind: 'absent', address: leaf.address };
  if (leaf.kind === 'access') return accessFault;
  if (leaf.kind !== 'leaf') return pageFault;
  const { value: pte, address } = leaf.entries[leaf.entries.length - 1];
  const on = (bit: number) => field(pte, bit, bit) === 1n;
  const [r, w, x, u] = [on(1), on(2), on(3), on(4)];
  // 6: U, SUM.
  if (privilege === 'U' && !u) return pageFault;
  if (privilege === 'S' && u && (kind === 'fetch' || !control.sum)) return pageFault;
  // 8: R, W, X, MXR.
  if (kind === 'read' && !r && !(control.mxr && x)) return pageFault;
  if (kind === 'write' && !w) return pageFault;
  if (kind === 'fetch' && !x) return pageFault;
  // 9: A and D.
  let value = pte | (1n << 6n);
  if (kind === 'write') value |= 1n << 7n;
  if (value !== pte && !control.adue) return pageFault;
  const update = value === pte ? undefined : { address, value };
  // 10: the physical address.
  if (isBeyond(leaf.pa)) return { ...accessFault, update };
  return { kind: 'ok', pa: leaf.pa, pbmt: control.xlen === 64 ? Number(field(pte, 62, 61)) : 0, update };
}
