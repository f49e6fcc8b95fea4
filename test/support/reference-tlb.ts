/**
 * The slow, obvious reference processor for x86: the reference walker with a memory of what it has read.
 *
 * It remembers as much as the manual allows, for as long as the manual allows: every translation, and every entry that
 * leads to a table. What is remembered is the list of entries as they were read, root first; using it again means
 * walking again with those values in place of memory. So rights, keys and modifiers are always those of now.
 *
 * Where the manual leaves a choice, see {@link ReferenceChoices}.
 *
 * Not modelled: absent memory (a walk that needs it changes nothing), changes of the paging mode, and EFER.
 *
 * @see Intel SDM vol. 3A (order 253668), section "Caching Translation Information" (4.10)
 */
import {
  type ReferenceAccess,
  type ReferenceControl,
  type ReferenceRead,
  type ReferenceResult,
  referenceWalk,
} from './reference-walker.ts';

/** Writes an entry of physical memory. */
export type ReferenceWrite = (pa: bigint, bytes: 4 | 8, value: bigint) => void;

/** What a processor may do one way or the other; the defaults keep most. */
export interface ReferenceChoices {
  /**
   * INVPCID of type 0 must remove the paging-structure-cache entries that translate the address; `true`: it removes
   * all of that PCID.
   */
  readonly invpcidAddressDropsAllTables: boolean;
  /**
   * MOV to CR4 that sets SMEP must remove "all TLB entries for the current PCID", global ones that were made under it
   * too; `true`: it removes global ones whatever PCID they were made under.
   */
  readonly smepDropsAllGlobals: boolean;
}

/** The answer to one access. */
export type ReferenceOutcome =
  | { readonly kind: 'ok'; readonly frame: bigint }
  | {
      readonly kind: 'page-fault';
      readonly errorCode: number;
      /** Whether it follows from anything remembered. */
      readonly fromCache: boolean;
    }
  | { readonly kind: 'general-protection' | 'absent' };

/** What was read for some linear addresses. */
interface Remembered {
  /** The PCID that was current then. */
  readonly pcid: bigint;
  readonly global: boolean;
  /** Linear addresses that differ only in the bits below this one share it. */
  readonly shift: bigint;
  readonly va: bigint;
  /** The entries, root first, to a page or to a table. */
  readonly values: readonly bigint[];
}

const DIRTY = 1n << 6n;
const ACCESSED = 1n << 5n;
const PAGE_SIZE = 1n << 7n;
const CR0_CD_NW_PG = (1n << 30n) | (1n << 29n) | (1n << 31n);
const CR4_PSE = 1n << 4n;
const CR4_PAE = 1n << 5n;
const CR4_PGE = 1n << 7n;
const CR4_PCIDE = 1n << 17n;
const CR4_SMEP = 1n << 20n;
const NO_FLUSH = 1n << 63n;

/** The lowest linear-address bit of each level's index, root first (4.3 to 4.5). */
const SHIFTS: Record<ReferenceControl['mode'], readonly bigint[]> = {
  '32-bit': [22n, 12n],
  PAE: [30n, 21n, 12n],
  '4-level': [39n, 30n, 21n, 12n],
  '5-level': [48n, 39n, 30n, 21n, 12n],
};

/** A processor with a TLB and paging-structure caches. */
export class ReferenceTlb {
  /** The registers now. */
  control: ReferenceControl;
  private readonly readMemory: ReferenceRead;
  private readonly writeMemory: ReferenceWrite;
  private readonly choices: ReferenceChoices;
  /** By PCID (or `global`), page size and page number. */
  private readonly translations = new Map<string, Remembered>();
  /** By PCID, level and the address bits above it. */
  private readonly tables = new Map<string, Remembered>();
  /** The PDPTE registers of PAE paging (4.4.1). */
  private pdptes: readonly bigint[] = [];

  constructor(
    read: ReferenceRead,
    write: ReferenceWrite,
    control: ReferenceControl,
    choices: Partial<ReferenceChoices> = {},
  ) {
    this.readMemory = read;
    this.writeMemory = write;
    this.control = control;
    this.choices = { invpcidAddressDropsAllTables: false, smepDropsAllGlobals: false, ...choices };
    if (!this.loadPdptes(control)) throw new Error('ReferenceTlb: the PDPTEs have reserved bits');
  }

  /** How much is remembered, for tests of the tests. */
  get size(): { readonly translations: number; readonly tables: number } {
    return { translations: this.translations.size, tables: this.tables.size };
  }

  // ---- accesses

  /** Translates an address for an access and sets accessed and dirty bits. */
  access(va: bigint, access: ReferenceAccess): ReferenceOutcome {
    if (this.isNonCanonical(va)) return { kind: 'general-protection' };
    const hit = this.translationOf(va);
    if (hit !== undefined) {
      // "Details of TLB Use" (4.10.2.3): it is used without looking at the tables.
      const answer = this.walk(va, access, hit.values, CR4_PSE);
      if (answer.kind === 'page-fault') return this.fault(va, answer.errorCode, true);
      const isDirty = (hit.values[hit.values.length - 1] & DIRTY) !== 0n;
      if (access.kind !== 'write' || isDirty) return this.allowed(answer);
      // 4.8: a write sets D, which only a walk can do.
    }
    const known = this.deepestTableOf(va);
    const answer = this.walk(va, access, known?.values ?? [], 0n);
    if (answer.kind === 'page-fault') return this.fault(va, answer.errorCode, known !== undefined);
    if (answer.kind === 'ok') this.complete(va, access, answer, known?.values.length ?? 0);
    return this.allowed(answer);
  }

  /**
   * Whether a write may as well use a translation with D = 1 as walk because of one with D = 0: both are remembered, one
   * of them global or of a larger page, after the tables have changed without invalidation (4.10.2.3).
   */
  isWriteUncertain(va: bigint): boolean {
    const usable = [...this.translations.values()].filter((it) => covers(it, va) && this.isUsable(it));
    const dirty = usable.filter(({ values }) => (values[values.length - 1] & DIRTY) !== 0n);
    return dirty.length > 0 && dirty.length < usable.length;
  }

  /** The reference walk, in which the first entries are those given, and the first of PAE paging is a register. */
  private walk(va: bigint, access: ReferenceAccess, given: readonly bigint[], cr4: bigint): ReferenceResult {
    let depth = -1;
    const read: ReferenceRead = (pa, bytes) => {
      depth += 1;
      if (depth < given.length) return given[depth];
      if (depth === 0 && this.isPae) return this.pdptes[Number((va >> 30n) & 3n)];
      return this.readMemory(pa, bytes);
    };
    return referenceWalk(read, { ...this.control, cr4: this.control.cr4 | cr4 }, va, access);
  }

  private allowed(answer: ReferenceResult): ReferenceOutcome {
    if (answer.kind === 'ok') return { kind: 'ok', frame: answer.pa >> 12n };
    return { kind: 'absent' };
  }

  /** A walk has succeeded: sets A and D in the entries that it read (4.8), and remembers all that it found. */
  private complete(
    va: bigint,
    access: ReferenceAccess,
    answer: Extract<ReferenceResult, { kind: 'ok' }>,
    given: number,
  ): void {
    const { entries } = answer;
    const last = entries.length - 1;
    const bytes = this.control.mode === '32-bit' ? 4 : 8;
    const values: bigint[] = [];
    for (const [depth, { address, value }] of entries.entries()) {
      const isRegister = this.isPae && depth === 0;
      const set = ACCESSED | (depth === last && access.kind === 'write' ? DIRTY : 0n);
      if (depth >= given && !isRegister) {
        const now = this.readMemory(address, bytes) ?? 0n;
        if ((now | set) !== now) this.writeMemory(address, bytes, now | set);
      }
      if (depth === last) {
        this.rememberTranslation(va, answer, [...values, value | set]);
        break;
      }
      // With CR4.PSE = 0 bit 7 of a 32-bit PDE is ignored, and stays so in what is remembered.
      values.push(this.control.mode === '32-bit' ? value & ~PAGE_SIZE : value);
      if (depth >= given && !isRegister) this.rememberTable(va, depth, [...values]);
    }
  }

  private rememberTranslation(
    va: bigint,
    { pageSize, global }: Extract<ReferenceResult, { kind: 'ok' }>,
    values: readonly bigint[],
  ): void {
    const { pcid } = this;
    const shift = BigInt(pageSize.toString(2).length - 1);
    const key = `${global ? 'global' : pcid} ${shift} ${va >> shift}`;
    this.translations.set(key, { pcid, global, shift, va, values });
  }

  private rememberTable(va: bigint, depth: number, values: readonly bigint[]): void {
    const { pcid } = this;
    const shift = SHIFTS[this.control.mode][depth];
    this.tables.set(`${pcid} ${shift} ${va >> shift}`, { pcid, global: false, shift, va, values });
  }

  /** A page fault removes what could be used for its address (4.10.4.1), so that it does not come again. */
  private fault(va: bigint, errorCode: number, fromCache: boolean): ReferenceOutcome {
    drop(this.translations, (it) => covers(it, va) && this.isUsable(it));
    drop(this.tables, (it) => covers(it, va) && this.isUsable(it));
    return { kind: 'page-fault', errorCode, fromCache };
  }

  /** The translation for an address; of several, that of the smallest page, and a global one last. */
  private translationOf(va: bigint): Remembered | undefined {
    const usable = [...this.translations.values()].filter((it) => covers(it, va) && this.isUsable(it));
    return usable.sort((a, b) => Number(a.shift - b.shift) || Number(a.global) - Number(b.global))[0];
  }

  /** 4.10.3.2: the entry nearest to the page is used first. */
  private deepestTableOf(va: bigint): Remembered | undefined {
    const usable = [...this.tables.values()].filter((it) => covers(it, va) && this.isUsable(it));
    return usable.sort((a, b) => Number(a.shift - b.shift))[0];
  }

  private isUsable({ pcid, global }: Remembered): boolean {
    return global || pcid === this.pcid;
  }

  // ---- registers and invalidation (4.10.4.1)

  /** The current PCID (4.10.1). */
  get pcid(): bigint {
    return (this.control.cr4 & CR4_PCIDE) === 0n ? 0n : this.control.cr3 & 0xfffn;
  }

  private get isPae(): boolean {
    return this.control.mode === 'PAE';
  }

  /** INVLPG. */
  invlpg(va: bigint): void {
    if (this.isNonCanonical(va)) return;
    drop(this.translations, (it) => covers(it, va) && this.isUsable(it));
    drop(this.tables, (it) => it.pcid === this.pcid);
  }

  /**
   * MOV to CR3.
   *
   * @returns whether it was executed rather than refused with #GP
   */
  writeCr3(value: bigint): boolean {
    const keeps = (this.control.cr4 & CR4_PCIDE) !== 0n && (value & NO_FLUSH) !== 0n;
    const next = { ...this.control, cr3: value & ~NO_FLUSH };
    if (!this.loadPdptes(next)) return false;
    this.control = next;
    if (!keeps) {
      drop(this.translations, (it) => it.pcid === this.pcid && !it.global);
      drop(this.tables, (it) => it.pcid === this.pcid);
    }
    return true;
  }

  /** MOV to CR4; not for PAE and LA57. */
  writeCr4(value: bigint): boolean {
    const before = this.control.cr4;
    const next = { ...this.control, cr4: value };
    const changed = before ^ value;
    if ((changed & CR4_PCIDE & value) !== 0n && (this.control.cr3 & 0xfffn) !== 0n) return false;
    const loads = (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) !== 0n;
    if (loads && !this.loadPdptes(next)) return false;
    if ((changed & CR4_PGE) !== 0n || (changed & CR4_PCIDE & before) !== 0n) {
      this.translations.clear();
      this.tables.clear();
    } else if ((changed & CR4_SMEP & value) !== 0n) {
      const all = this.choices.smepDropsAllGlobals;
      drop(this.translations, (it) => it.pcid === this.pcid || (all && it.global));
      drop(this.tables, (it) => it.pcid === this.pcid);
    }
    this.control = next;
    return true;
  }

  /** MOV to CR0; not for PG and PE. */
  writeCr0(value: bigint): boolean {
    const next = { ...this.control, cr0: value };
    const loads = ((this.control.cr0 ^ value) & CR0_CD_NW_PG) !== 0n;
    if (loads && !this.loadPdptes(next)) return false;
    this.control = next;
    return true;
  }

  /** INVPCID (vol. 2). */
  invpcid(type: number, pcid: bigint, va: bigint): boolean {
    if (type > 3) return false;
    if (type < 2 && pcid !== 0n && (this.control.cr4 & CR4_PCIDE) === 0n) return false;
    if (type === 0) {
      if (this.isNonCanonical(va)) return false;
      const all = this.choices.invpcidAddressDropsAllTables;
      drop(this.translations, (it) => covers(it, va) && it.pcid === pcid && !it.global);
      drop(this.tables, (it) => it.pcid === pcid && (all || covers(it, va)));
    } else {
      drop(this.translations, (it) => (type !== 1 || it.pcid === pcid) && (type === 2 || !it.global));
      drop(this.tables, (it) => type !== 1 || it.pcid === pcid);
    }
    return true;
  }

  /** Loads the PDPTE registers, unless a present one has reserved bits (4.4.1). */
  private loadPdptes(control: ReferenceControl): boolean {
    if (!this.isPae) return true;
    const pdptes = [0n, 1n, 2n, 3n].map(
      (index) => this.readMemory((control.cr3 & 0xffff_ffe0n) + 8n * index, 8) ?? 0n,
    );
    const reserved = (((1n << 64n) - 1n) & ~((1n << BigInt(control.physBits)) - 1n)) | 0x1e6n;
    if (pdptes.some((value) => (value & 1n) !== 0n && (value & reserved) !== 0n)) return false;
    this.pdptes = pdptes;
    return true;
  }

  private isNonCanonical(va: bigint): boolean {
    const bits = { '32-bit': 64, PAE: 64, '4-level': 48, '5-level': 57 }[this.control.mode];
    return BigInt.asUintN(64, BigInt.asIntN(bits, va)) !== va;
  }
}

function covers({ shift, va }: Remembered, other: bigint): boolean {
  return va >> shift === other >> shift;
}

function drop(remembered: Map<string, Remembered>, goes: (it: Remembered) => boolean): void {
  for (const [key, it] of remembered) if (goes(it)) remembered.delete(key);
}
