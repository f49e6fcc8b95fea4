import type { Aarch64Control, PhysicalMemory, RiscvControl, X86Control } from '../../src/index.ts';
import type { AddressSpace, PageOptions, SpaceFormat } from '../../src/space/index.ts';
import { referenceAarch64Leaf, referenceAarch64Walk } from '../support/reference-aarch64.ts';
import { referenceRiscvLeaf, referenceRiscvWalk } from '../support/reference-riscv.ts';
import {
  type ReferenceMode,
  type ReferenceRead,
  referenceLeaf,
  referenceWalk,
} from '../support/reference-walker.ts';

/** Where each access comes to: six physical addresses, or `undefined` for a fault, in the order of {@link JUDGED}. */
export type Verdict = readonly (bigint | undefined)[];

/** Reads, writes and fetches of the kernel, then of applications. */
export const JUDGED = [
  { kind: 'read', user: false },
  { kind: 'write', user: false },
  { kind: 'fetch', user: false },
  { kind: 'read', user: true },
  { kind: 'write', user: true },
  { kind: 'fetch', user: true },
] as const;

/** What the manual's walk says of an address, by programs that know nothing of this one. */
export interface Judge {
  accesses(va: bigint): Verdict;
  /** Bytes of the page that maps an address; a contiguous group counts as one. */
  pageBytes(va: bigint): bigint | undefined;
}

/** Reads physical memory for the reference walkers. */
export function reader(memory: PhysicalMemory): ReferenceRead {
  return (pa, bytes) => {
    const at = memory.locate(Number(pa >> 12n));
    if (at < 0) return undefined;
    const word = at + Number((pa & 0xfffn) >> 2n);
    const { words } = memory;
    return bytes === 4 ? BigInt(words[word]) : BigInt(words[word]) | (BigInt(words[word + 1]) << 32n);
  };
}

/** The judge of a space's format, under its control state. */
export function judgeOf(space: AddressSpace, format: SpaceFormat): Judge {
  const read = reader(space.memory);
  const { control } = space;
  if (control === undefined) throw new Error('no control state');
  if ('cr3' in control) return x86Judge(read, control, format);
  if ('satp' in control) return riscvJudge(read, control);
  return aarch64Judge(read, control);
}

function x86Judge(read: ReferenceRead, control: X86Control, format: SpaceFormat): Judge {
  // The names are the same.
  const reference = {
    ...control,
    mode: format as ReferenceMode,
    pkru: 0,
    pkrs: 0,
    rflagsAC: false,
    amd: false,
  };
  return {
    accesses: (va) =>
      JUDGED.map((access) => {
        const result = referenceWalk(read, reference, va, access);
        return result.kind === 'ok' ? result.pa : undefined;
      }),
    pageBytes: (va) => {
      const leaf = referenceLeaf(read, reference, va);
      return leaf.kind === 'leaf' ? leaf.pageSize : undefined;
    },
  };
}

function aarch64Judge(read: ReferenceRead, control: Aarch64Control): Judge {
  const { ttbr0 = 0n, ttbr1 = 0n, mair = 0n } = control;
  const reference = { ...control, ttbr0, ttbr1, mair };
  return {
    accesses: (va) =>
      JUDGED.map(({ kind, user }) => {
        const result = referenceAarch64Walk(read, reference, va, { kind, el: user ? 0 : 1 });
        return result.kind === 'ok' ? result.pa : undefined;
      }),
    pageBytes: (va) => {
      const leaf = referenceAarch64Leaf(read, reference, va, { kind: 'read', el: 1, question: true });
      if (leaf.kind !== 'leaf') return undefined;
      const bytes = 1n << BigInt(12 + 9 * (3 - leaf.level));
      return ((leaf.entry >> 52n) & 1n) === 1n ? bytes * 16n : bytes;
    },
  };
}

function riscvJudge(read: ReferenceRead, control: RiscvControl): Judge {
  return {
    accesses: (va) =>
      JUDGED.map(({ kind, user }) => {
        const result = referenceRiscvWalk(read, control, va, { kind, privilege: user ? 'U' : 'S' });
        return result.kind === 'ok' ? result.pa : undefined;
      }),
    pageBytes: (va) => {
      const leaf = referenceRiscvLeaf(read, control, va);
      if (leaf.kind !== 'leaf') return undefined;
      return leaf.napot ? 0x10000n : leaf.pageSize;
    },
  };
}

/** What an access to a page gets, by the manuals' tables of rights: SMEP, SMAP, PAN, WXN and SUM are 0, CR0.WP is 1. */
export function mayAccess(
  format: SpaceFormat,
  { rights, user = false }: Pick<PageOptions, 'rights' | 'user'>,
  access: (typeof JUDGED)[number],
): boolean {
  const letter = { read: 'r', write: 'w', fetch: 'x' }[access.kind];
  const has = rights.includes(letter);
  if (format.startsWith('sv')) return has && access.user === user;
  if (access.user && !user) return false;
  if (format === 'aarch64-4k' && access.kind === 'fetch') return has && access.user === user;
  return has;
}
