/**
 * The slow, obvious reference walker for x86: one loop over a list of levels, in `bigint`.
 *
 * Written from `spec/formats.md` sections 1.1–1.7 and `spec/faults.md` A.1–A.9 only, so that it
 * can judge the library. It shares no constant with it, on purpose. Bit numbers in the comments
 * are the manual's.
 *
 * Not modelled: shadow stacks, HLAT, SGX, SME/SEV, LAM, and AMD's must-be-zero bit 8 in PML4E and
 * PML5E. The PAE registers are read from memory at every walk.
 *
 * @see Intel SDM vol. 3A (order 253668), chapter "Paging"
 */

/** The four paging modes, by the manual's names. */
export type ReferenceMode = '32-bit' | 'PAE' | '4-level' | '5-level';

/** Everything besides memory that a walk depends on. */
export interface ReferenceControl {
  readonly mode: ReferenceMode;
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  /** MAXPHYADDR, 32 to 52. */
  readonly physBits: number;
  /** CPUID 8000_0001H EDX[26]: a PDPTE may map 1 GiB. */
  readonly page1GB: boolean;
  /** CPUID 1 EDX[17]: a 4 MiB PDE holds physical address bits above 31. */
  readonly pse36: boolean;
  readonly pkru: number;
  readonly pkrs: number;
  readonly rflagsAC: boolean;
}

/** One access. An implicit one (descriptor tables, TSS) is a supervisor access at any CPL. */
export interface ReferenceAccess {
  readonly kind: 'read' | 'write' | 'fetch';
  /** Whether the access is made at CPL 3. */
  readonly user: boolean;
  readonly implicit?: boolean;
}

/** Reads physical memory, little-endian; `undefined` where there is none. */
export type ReferenceRead = (pa: bigint, bytes: 4 | 8) => bigint | undefined;

/** An entry the walk read. */
export interface ReferenceEntry {
  readonly level: LevelName;
  /** From the root, 0. */
  readonly depth: number;
  readonly address: bigint;
  readonly value: bigint;
}

/** What all entries of a completed translation say together, before the control registers. */
export interface ReferencePage {
  /** U/S is 1 at every level: a user-mode address. */
  readonly user: boolean;
  /** R/W is 1 at every level. */
  readonly writable: boolean;
  /** XD is 1 at some level, and EFER.NXE is 1. */
  readonly noExecute: boolean;
  /** Bits 62:59 of the leaf; 0 where the mode has no keys. */
  readonly protectionKey: number;
}

/** A translation, before any rights are checked. */
export interface ReferenceLeaf {
  readonly kind: 'leaf';
  readonly pa: bigint;
  readonly pageSize: bigint;
  readonly entries: readonly ReferenceEntry[];
  readonly page: ReferencePage;
  /** PAT·4 + PCD·2 + PWT of the leaf: the byte of IA32_PAT that gives the memory type. */
  readonly patIndex: number;
  /** G of the leaf, and CR4.PGE. */
  readonly global: boolean;
  readonly dirty: boolean;
}

/** Where a walk ended before a leaf. */
interface StoppedAt {
  /** From the root, 0. */
  readonly depth: number;
  readonly entryAddress: bigint;
  /** Entries read so far; the last one decided, unless it was absent. */
  readonly entries: readonly ReferenceEntry[];
}

interface StoppedAtReservedBits extends StoppedAt {
  /** The reserved bits that are set; 0 if that is not what ended the walk. */
  readonly reservedBits: bigint;
}

/** There is no memory where an entry should be. */
export type ReferenceAbsent = { readonly kind: 'absent' } & StoppedAt;

/** A present PDPTE of PAE paging has reserved bits: MOV to CR3 would have raised #GP. */
export type ReferencePdpteReserved = { readonly kind: 'pdpte-reserved' } & StoppedAtReservedBits;

/** A walk that ended before a leaf. */
export type ReferenceStop =
  | ({ readonly kind: 'not-present' } & StoppedAt)
  | ({ readonly kind: 'reserved' } & StoppedAtReservedBits)
  | ReferencePdpteReserved
  | ReferenceAbsent
  | { readonly kind: 'non-canonical' };

/** An entry as the processor writes it back after an access, if it changes. */
export interface ReferenceUpdate {
  readonly address: bigint;
  readonly value: bigint;
}

/** The answer to one access. */
export type ReferenceResult =
  | (Omit<ReferenceLeaf, 'kind'> & {
      readonly kind: 'ok';
      /** Accessed and dirty bits set by this access; entries already up to date are not listed. */
      readonly updates: readonly ReferenceUpdate[];
    })
  | ({
      readonly kind: 'page-fault';
      readonly errorCode: number;
      /** With `rights`, `depth` and `entryAddress` are the leaf's. */
      readonly reason: 'not-present' | 'reserved' | 'rights';
    } & StoppedAtReservedBits)
  | { readonly kind: 'general-protection' }
  | ReferenceAbsent
  | ReferencePdpteReserved;

/** Effective rights of a page for one class of access. */
export interface ReferenceRightsSet {
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
}

// --- Bits -----------------------------------------------------------------------------------

const PRESENT = 1n << 0n;
const READ_WRITE = 1n << 1n;
const USER = 1n << 2n;
const PWT = 1n << 3n;
const PCD = 1n << 4n;
const ACCESSED = 1n << 5n;
const DIRTY = 1n << 6n;
const PAGE_SIZE = 1n << 7n;
const PAT_OF_4K = 1n << 7n;
const GLOBAL = 1n << 8n;
const PAT_OF_LARGE = 1n << 12n;
const EXECUTE_DISABLE = 1n << 63n;

const CR0_WP = 1n << 16n;
const CR4_PSE = 1n << 4n;
const CR4_PGE = 1n << 7n;
const CR4_SMEP = 1n << 20n;
const CR4_SMAP = 1n << 21n;
const CR4_PKE = 1n << 22n;
const CR4_PKS = 1n << 24n;
const EFER_NXE = 1n << 11n;

const ERROR_P = 1 << 0;
const ERROR_WRITE = 1 << 1;
const ERROR_USER = 1 << 2;
const ERROR_RESERVED = 1 << 3;
const ERROR_FETCH = 1 << 4;
const ERROR_KEY = 1 << 5;

/** Bits `high` to `low`, both included, as the manual writes `high:low`; none if `high < low`. */
function bits(high: number, low: number): bigint {
  if (high < low) return 0n;
  return ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);
}

// --- Levels ---------------------------------------------------------------------------------

type LevelName = 'PML5E' | 'PML4E' | 'PDPTE' | 'PDE' | 'PTE';

interface Level {
  readonly name: LevelName;
  /** Lowest linear-address bit of the index. */
  readonly shift: bigint;
  readonly indexBits: bigint;
}

const PML5E: Level = { name: 'PML5E', shift: 48n, indexBits: 9n };
const PML4E: Level = { name: 'PML4E', shift: 39n, indexBits: 9n };
const PDPTE: Level = { name: 'PDPTE', shift: 30n, indexBits: 9n };
const PDE: Level = { name: 'PDE', shift: 21n, indexBits: 9n };
const PTE: Level = { name: 'PTE', shift: 12n, indexBits: 9n };

/** The levels of each mode, root first (formats 1.1). */
const LEVELS: Record<ReferenceMode, readonly Level[]> = {
  '32-bit': [
    { name: 'PDE', shift: 22n, indexBits: 10n },
    { name: 'PTE', shift: 12n, indexBits: 10n },
  ],
  PAE: [{ name: 'PDPTE', shift: 30n, indexBits: 2n }, PDE, PTE],
  '4-level': [PML4E, PDPTE, PDE, PTE],
  '5-level': [PML5E, PML4E, PDPTE, PDE, PTE],
};

function isLongMode(control: ReferenceControl): boolean {
  return control.mode === '4-level' || control.mode === '5-level';
}

/** Formats 1.2: where the root is. */
function rootAddress(control: ReferenceControl): bigint {
  switch (control.mode) {
    case '32-bit':
      return control.cr3 & bits(31, 12);
    case 'PAE':
      return control.cr3 & bits(31, 5);
    case '4-level':
    case '5-level':
      return control.cr3 & bits(control.physBits - 1, 12);
  }
}

/** Formats 1.1: bits 63:47, or 63:56 with five levels, are all equal. */
function isCanonical(control: ReferenceControl, va: bigint): boolean {
  if (!isLongMode(control)) return true;
  const top = control.mode === '5-level' ? bits(63, 56) : bits(63, 47);
  return (va & top) === 0n || (va & top) === top;
}

/** Faults A.6: whether a present entry maps a page rather than naming a table. */
function isLeaf(control: ReferenceControl, level: Level, value: bigint): boolean {
  if (level.name === 'PTE') return true;
  if ((value & PAGE_SIZE) === 0n) return false;
  if (level.name === 'PDE') return control.mode !== '32-bit' || (control.cr4 & CR4_PSE) !== 0n;
  if (level.name === 'PDPTE') return isLongMode(control) && control.page1GB;
  return false;
}

/** M' of formats 1.3: the physical-address width a 4 MiB PDE can express. */
function widthOf4MPage(control: ReferenceControl): number {
  return control.pse36 ? Math.min(40, control.physBits) : 32;
}

/** Faults A.8: the bits that must be 0 in a present entry. */
function reservedMask(control: ReferenceControl, level: Level, leaf: boolean): bigint {
  const m = control.physBits;
  if (control.mode === '32-bit') {
    if (level.name === 'PDE' && leaf) return bits(21, widthOf4MPage(control) - 19);
    return 0n;
  }
  if (control.mode === 'PAE' && level.name === 'PDPTE') {
    return bits(2, 1) | bits(8, 5) | bits(63, m);
  }
  let mask = control.mode === 'PAE' ? bits(62, m) : bits(51, m);
  if ((control.efer & EFER_NXE) === 0n) mask |= EXECUTE_DISABLE;
  if (level.name === 'PML5E' || level.name === 'PML4E') mask |= PAGE_SIZE;
  if (level.name === 'PDPTE') {
    if (leaf) mask |= bits(29, 13);
    else if (!control.page1GB) mask |= PAGE_SIZE;
  }
  if (level.name === 'PDE' && leaf) mask |= bits(20, 13);
  return mask;
}

/** The address an entry holds: of the next table, or of the page's first byte (formats 1.3–1.5). */
function addressIn(control: ReferenceControl, level: Level, leaf: boolean, value: bigint): bigint {
  const lowest = leaf ? Number(level.shift) : 12; // shifts are at most 48
  if (control.mode !== '32-bit') return value & bits(control.physBits - 1, lowest);
  if (level.name === 'PDE' && leaf) {
    const above4G = (value & bits(widthOf4MPage(control) - 20, 13)) << 19n;
    return (value & bits(31, 22)) | above4G;
  }
  return value & bits(31, 12);
}

// --- The walk -------------------------------------------------------------------------------

/**
 * Walks to the leaf, with no access in mind (faults A.1, steps 1 to 4).
 *
 * @param va - linear address; 32-bit and PAE paging use bits 31:0 only
 */
export function referenceLeaf(
  read: ReferenceRead,
  control: ReferenceControl,
  va: bigint,
): ReferenceLeaf | ReferenceStop {
  if (!isCanonical(control, va)) return { kind: 'non-canonical' };

  const levels = LEVELS[control.mode];
  const entryBytes = control.mode === '32-bit' ? 4 : 8;
  const entries: ReferenceEntry[] = [];
  let table = rootAddress(control);
  let user = true;
  let writable = true;
  let noExecute = false;

  for (let depth = 0; depth < levels.length; depth++) {
    const level = levels[depth];
    const index = (va >> level.shift) & ((1n << level.indexBits) - 1n);
    const entryAddress = table + index * BigInt(entryBytes);
    const value = read(entryAddress, entryBytes);
    if (value === undefined) return { kind: 'absent', depth, entryAddress, entries };
    entries.push({ level: level.name, depth, address: entryAddress, value });

    if ((value & PRESENT) === 0n) return { kind: 'not-present', depth, entryAddress, entries };
    const leaf = isLeaf(control, level, value);
    const reservedBits = value & reservedMask(control, level, leaf);
    if (reservedBits !== 0n) {
      const kind = control.mode === 'PAE' && level.name === 'PDPTE' ? 'pdpte-reserved' : 'reserved';
      return { kind, depth, entryAddress, reservedBits, entries };
    }

    const hasRights = !(control.mode === 'PAE' && level.name === 'PDPTE');
    if (hasRights) {
      user &&= (value & USER) !== 0n;
      writable &&= (value & READ_WRITE) !== 0n;
      // 32-bit entries have no bit 63; without NXE a set one was reserved above.
      noExecute ||= (value & EXECUTE_DISABLE) !== 0n;
    }

    const address = addressIn(control, level, leaf, value);
    if (!leaf) {
      table = address;
      continue;
    }
    const pageSize = 1n << level.shift;
    const pat = value & (level.name === 'PTE' ? PAT_OF_4K : PAT_OF_LARGE);
    return {
      kind: 'leaf',
      pa: address + (va & (pageSize - 1n)),
      pageSize,
      entries,
      page: {
        user,
        writable,
        noExecute,
        protectionKey: isLongMode(control) ? Number((value & bits(62, 59)) >> 59n) : 0, // 4 bits
      },
      patIndex: (pat ? 4 : 0) + (value & PCD ? 2 : 0) + (value & PWT ? 1 : 0),
      global: (value & GLOBAL) !== 0n && (control.cr4 & CR4_PGE) !== 0n,
      dirty: (value & DIRTY) !== 0n,
    };
  }
  throw new Error('unreachable: the last level is always a leaf');
}

function isSupervisor(access: ReferenceAccess): boolean {
  return access.implicit === true || !access.user;
}

/**
 * Whether the page's protection key denies the access (faults A.4).
 *
 * The two sentences of A.4 are taken as they stand: the register is chosen by the address, so a
 * user access to a supervisor-mode address consults IA32_PKRS, although it is refused anyway.
 */
function keyDenies(control: ReferenceControl, page: ReferencePage, access: ReferenceAccess): boolean {
  if (!isLongMode(control) || access.kind === 'fetch') return false;
  const enabled = (control.cr4 & (page.user ? CR4_PKE : CR4_PKS)) !== 0n;
  if (!enabled) return false;
  const register = page.user ? control.pkru : control.pkrs;
  const accessDisable = ((register >>> (2 * page.protectionKey)) & 1) !== 0;
  const writeDisable = ((register >>> (2 * page.protectionKey + 1)) & 1) !== 0;
  if (accessDisable) return true;
  const writesObey = !isSupervisor(access) || (control.cr0 & CR0_WP) !== 0n;
  return access.kind === 'write' && writeDisable && writesObey;
}

/** The table of faults A.4 without its keys. */
function rightsAllow(control: ReferenceControl, page: ReferencePage, access: ReferenceAccess): boolean {
  const supervisor = isSupervisor(access);
  if (!supervisor && !page.user) return false;

  if (access.kind === 'fetch') {
    if (supervisor && page.user && (control.cr4 & CR4_SMEP) !== 0n) return false;
    return !page.noExecute;
  }

  if (supervisor && page.user && (control.cr4 & CR4_SMAP) !== 0n) {
    const excused = control.rflagsAC && access.implicit !== true;
    if (!excused) return false;
  }
  if (access.kind === 'read') return true;
  if (page.writable) return true;
  return supervisor && (control.cr0 & CR0_WP) === 0n;
}

/** The bits of the error code that describe the access, not the cause (faults A.2). */
function accessErrorBits(control: ReferenceControl, access: ReferenceAccess): number {
  let code = 0;
  if (access.kind === 'write') code |= ERROR_WRITE;
  if (!isSupervisor(access)) code |= ERROR_USER;
  if (access.kind === 'fetch') {
    const smep = (control.cr4 & CR4_SMEP) !== 0n;
    const noExecuteEnabled = control.mode !== '32-bit' && (control.efer & EFER_NXE) !== 0n;
    if (smep || noExecuteEnabled) code |= ERROR_FETCH;
  }
  return code;
}

/** Faults A.5 for an access that is allowed; the last entry is the leaf. */
function accessedAndDirty(
  control: ReferenceControl,
  entries: readonly ReferenceEntry[],
  access: ReferenceAccess,
): ReferenceUpdate[] {
  // One entry may be used at two depths of the same walk: its bits add up.
  const after = new Map<bigint, bigint>();
  const before = new Map<bigint, bigint>();
  entries.forEach((entry, i) => {
    if (control.mode === 'PAE' && entry.level === 'PDPTE') return;
    const isLast = i === entries.length - 1;
    const set = ACCESSED | (isLast && access.kind === 'write' ? DIRTY : 0n);
    before.set(entry.address, entry.value);
    after.set(entry.address, (after.get(entry.address) ?? entry.value) | set);
  });
  return [...after]
    .filter(([address, value]) => value !== before.get(address))
    .map(([address, value]) => ({ address, value }));
}

/**
 * Translates `va` for one access, as the processor would with an empty TLB (faults A.1 to A.8).
 *
 * @param va - linear address; 32-bit and PAE paging use bits 31:0 only
 */
export function referenceWalk(
  read: ReferenceRead,
  control: ReferenceControl,
  va: bigint,
  access: ReferenceAccess,
): ReferenceResult {
  const found = referenceLeaf(read, control, va);
  const accessBits = accessErrorBits(control, access);
  switch (found.kind) {
    case 'non-canonical':
      return { kind: 'general-protection' };
    case 'absent':
    case 'pdpte-reserved':
      return found;
    case 'not-present':
      return {
        ...found,
        kind: 'page-fault',
        errorCode: accessBits,
        reason: 'not-present',
        reservedBits: 0n,
      };
    case 'reserved':
      return {
        ...found,
        kind: 'page-fault',
        errorCode: accessBits | ERROR_P | ERROR_RESERVED,
        reason: 'reserved',
      };
    case 'leaf': {
      const denied = keyDenies(control, found.page, access);
      if (rightsAllow(control, found.page, access) && !denied) {
        const updates = accessedAndDirty(control, found.entries, access);
        return { ...found, kind: 'ok', updates };
      }
      const leaf = found.entries[found.entries.length - 1];
      return {
        kind: 'page-fault',
        errorCode: accessBits | ERROR_P | (denied ? ERROR_KEY : 0),
        reason: 'rights',
        depth: leaf.depth,
        entryAddress: leaf.address,
        reservedBits: 0n,
        entries: found.entries,
      };
    }
  }
}

/**
 * What a user access and an explicit supervisor access with RFLAGS.AC clear may do with a page:
 * the same check as {@link referenceWalk}, asked six times.
 */
export function referenceRights(
  control: ReferenceControl,
  page: ReferencePage,
): { readonly user: ReferenceRightsSet; readonly supervisor: ReferenceRightsSet } {
  const withoutAC = { ...control, rflagsAC: false };
  const may = (kind: ReferenceAccess['kind'], user: boolean): boolean => {
    const access = { kind, user };
    return rightsAllow(withoutAC, page, access) && !keyDenies(withoutAC, page, access);
  };
  const all = (user: boolean): ReferenceRightsSet => ({
    read: may('read', user),
    write: may('write', user),
    execute: may('fetch', user),
  });
  return { user: all(true), supervisor: all(false) };
}
