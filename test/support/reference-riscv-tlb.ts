/**
 * The slow, obvious reference hart for RISC-V: the reference walker with a memory of the entries that it has read.
 *
 * It remembers as much as the manual allows, for as long as the manual allows: every entry that a walk has read, those that
 * fault as well. What is remembered is the list of entries as they were read, root first; using it again means walking again
 * with those values in place of memory. So SUM, MXR and ADUE are always those of now.
 *
 * Where the manual leaves a choice: of what ends a walk the smallest is used, what belongs to the ASID before what is
 * global; of what leads to tables the one nearest to the page.
 *
 * Not modelled: M-mode, absent memory that comes to be.
 *
 * @see RISC-V Privileged ISA, section "Supervisor Memory-Management Fence Instruction", chapter "Svnapot"
 */
import {
  type RiscvReferenceAccess,
  type RiscvReferenceControl,
  type RiscvReferenceResult,
  referenceRiscvLeaf,
  referenceRiscvWalk,
} from './reference-riscv.ts';
import type { ReferenceRead } from './reference-walker.ts';

/** Writes an entry of physical memory. */
export type RiscvReferenceWrite = (pa: bigint, value: bigint) => void;

/** What was read for some addresses. */
interface Remembered {
  readonly asid: bigint;
  readonly global: boolean;
  /** Addresses that differ only in the bits below this one share it. */
  readonly shift: bigint;
  readonly va: bigint;
  /** The entries, root first. */
  readonly values: readonly bigint[];
}

export type RiscvReferenceOutcome = { readonly text: string; readonly fromCache: boolean };

const G = 1n << 5n;

/** A hart with an address-translation cache. */
export class ReferenceRiscvTlb {
  /** The registers now. */
  control: RiscvReferenceControl;
  private readonly readMemory: ReferenceRead;
  private readonly writeMemory: RiscvReferenceWrite;
  /** Whether entries that fault are remembered. */
  private readonly cachesInvalid: boolean;
  /** What ended walks: pages, and entries that fault. */
  private ends: Remembered[] = [];
  /** What led to tables. */
  private pointers: Remembered[] = [];

  constructor(
    read: ReferenceRead,
    write: RiscvReferenceWrite,
    control: RiscvReferenceControl,
    cachesInvalid: boolean,
  ) {
    this.readMemory = read;
    this.writeMemory = write;
    this.control = control;
    this.cachesInvalid = cachesInvalid;
  }

  /** satp.ASID. */
  get asid(): bigint {
    const { satp, xlen } = this.control;
    return xlen === 32 ? (satp >> 22n) & 0x1ffn : (satp >> 44n) & 0xffffn;
  }

  /** Whether what is used for an address is a matter of choice. */
  isUncertain(va: bigint): boolean {
    return this.usable(this.ends, va).length > 1;
  }

  /** Translates an address for an access, and sets A and D. */
  access(va: bigint, access: RiscvReferenceAccess): RiscvReferenceOutcome {
    const [hit] = this.usable(this.ends, va);
    if (hit !== undefined) {
      const answer = this.walk(va, access, hit.values);
      // A and D are set by a walk only.
      if (answer.kind === 'absent' || answer.update === undefined) {
        return { text: textOf(answer), fromCache: answer.kind === 'fault' };
      }
    }
    const [pointer] = this.usable(this.pointers, va);
    const given = pointer?.values ?? [];
    const answer = this.walk(va, access, given);
    const update = answer.kind === 'absent' ? undefined : answer.update;
    if (update !== undefined) this.writeMemory(update.address, update.value);
    this.remember(va, given, update?.value);
    return { text: textOf(answer), fromCache: answer.kind === 'fault' && pointer !== undefined };
  }

  /** The reference walk, in which the first entries are those given. */
  private walk(va: bigint, access: RiscvReferenceAccess, given: readonly bigint[]): RiscvReferenceResult {
    return referenceRiscvWalk(this.reader(given), this.control, va, access);
  }

  private reader(given: readonly bigint[]): ReferenceRead {
    let depth = -1;
    return (pa, bytes) => {
      depth += 1;
      return depth < given.length ? given[depth] : this.readMemory(pa, bytes);
    };
  }

  /** @param updated - the last entry, if A or D was set in it */
  private remember(va: bigint, given: readonly bigint[], updated: bigint | undefined): void {
    const found = referenceRiscvLeaf(this.reader(given), this.control, va);
    if (found.kind === 'non-canonical') return;
    const bits = this.control.xlen === 32 ? 10 : 9;
    // Modes 8, 9 and 10 have 3, 4 and 5 levels.
    const levels = this.control.xlen === 32 ? 2 : Number(this.control.satp >> 60n) - 5;
    const values: bigint[] = [];
    const last = found.entries.length - 1;
    const endsHere = found.kind !== 'absent' && found.kind !== 'access';
    for (const [depth, { value }] of found.entries.entries()) {
      const shift = BigInt(12 + (levels - 1 - depth) * bits);
      values.push(depth === last && updated !== undefined ? updated : value);
      const above = values.slice(0, endsHere && depth === last ? -1 : undefined);
      const global = above.some((each) => (each & G) !== 0n);
      const it = { asid: this.asid, global, shift, va, values: [...values] };
      if (depth < last || !endsHere) {
        if (depth >= given.length) this.pointers = put(this.pointers, it);
      } else if (found.kind === 'leaf') {
        const page = { ...it, global: global || (value & G) !== 0n };
        this.ends = put(this.ends, page);
        // Svnapot: copies for all entries of the group.
        for (let i = 0n; found.napot && i < 16n; i += 1n) {
          const each = (va & ~0xffffn) | (i << 12n);
          if (this.usable(this.ends, each).length === 0) this.ends = put(this.ends, { ...page, va: each });
        }
      } else if (this.cachesInvalid) {
        this.ends = put(this.ends, it);
      }
    }
  }

  /** What can be used for an address, in the order in which it is. */
  private usable(list: readonly Remembered[], va: bigint): Remembered[] {
    const found = list.filter((it) => covers(it, va) && (it.global || it.asid === this.asid));
    return found.sort((a, b) => Number(a.shift - b.shift) || Number(a.global) - Number(b.global));
  }

  /** SFENCE.VMA; an operand that is not given is x0. */
  sfence(va: bigint | undefined, asid: bigint | undefined): void {
    const stays = (it: Remembered) => asid !== undefined && (it.global || it.asid !== asid);
    if (va === undefined) {
      this.pointers = this.pointers.filter(stays);
      this.ends = this.ends.filter(stays);
    } else if (referenceRiscvLeaf(() => undefined, this.control, va).kind !== 'non-canonical') {
      this.ends = this.ends.filter((it) => !covers(it, va) || stays(it));
    }
  }
}

function textOf(answer: RiscvReferenceResult): string {
  if (answer.kind === 'ok') return `frame ${answer.pa >> 12n}`;
  return answer.kind === 'absent' ? 'absent' : `cause ${answer.cause}`;
}

function covers({ shift, va }: Remembered, other: bigint): boolean {
  return va >> shift === other >> shift;
}

/** A list with one more, in place of an earlier one for the same addresses. */
function put(list: readonly Remembered[], it: Remembered): Remembered[] {
  const isSame = (each: Remembered) =>
    each.shift === it.shift &&
    covers(each, it.va) &&
    each.global === it.global &&
    (it.global || each.asid === it.asid);
  return [...list.filter((each) => !isSame(each)), it];
}
