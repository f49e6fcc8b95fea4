import { hex64 } from '../bits/index.ts';
import type { Access } from '../format/index.ts';

/** An entry that changed behind a processor's back, or in front of its eyes. */
export interface EntryChange {
  /** The manual's name of the entry: `PTE`. */
  readonly entry: string;
  /** Physical byte address of the entry. */
  readonly address: bigint;
  /** What it was when the processor read it. */
  readonly before: bigint;
  /** What it is now. */
  readonly after: bigint;
  /** The write that changed it; `undefined` if it did not go through the processor. */
  readonly write: EntryWrite | undefined;
}

/** A write to an entry through the processor. */
export interface EntryWrite {
  /** Counts writes to tables and invalidations, from 1. */
  readonly order: number;
  /** The linear byte address that was written to. */
  readonly address: bigint;
  /** Where in the program, if traces are kept: the lines of a stack trace, innermost first. */
  readonly trace: readonly string[];
}

/** An instruction that invalidated something, though not what it should have. */
export interface Invalidation {
  /** Counts writes to tables and invalidations, from 1. */
  readonly order: number;
  /** The instruction: `INVLPG 0x400000`. */
  readonly instruction: string;
  /** Why it left the translation. */
  readonly left: string;
}

/** What the processor remembers and what the tables say now. */
export interface Stale {
  /** Linear byte address of the page, or of the first page that a table maps. */
  readonly address: bigint;
  /** `log2` of the bytes of the page, or of what the table maps. */
  readonly shift: number;
  /** Whether it is a translation (TLB) or an entry that leads to a table (paging-structure caches). */
  readonly remembered: 'translation' | 'table';
  /** The PCID or ASID that it belongs to; `undefined` for a global translation. */
  readonly space: number | undefined;
  /** What is different; `dirty` is a dirty bit that was cleared, if that was asked for. */
  readonly difference: 'not mapped' | 'frame' | 'rights' | 'memory type' | 'dirty';
  /** Physical byte address that the processor uses: of the page, or of the table. */
  readonly used: bigint;
  /** The same by the tables; `undefined` if they map nothing. */
  readonly current: bigint | undefined;
  /** The entry that changed; `undefined` if it was the root, or a control register. */
  readonly change: EntryChange | undefined;
  /** What would have removed it. */
  readonly due: string;
  /** What was done since the change. */
  readonly done: readonly Invalidation[];
}

/** Something that software must not do, or has forgotten. */
export type Report =
  /** An access used a translation that the tables no longer give. */
  | ({
      readonly kind: 'stale-translation';
      readonly access: Access;
      /** Linear byte address of the access. */
      readonly accessed: bigint;
      readonly message: string;
    } & Stale)
  /** A table was freed, but a walk still goes through it. */
  | {
      readonly kind: 'freed-table-used';
      readonly access: Access;
      /** Linear byte address of the access. */
      readonly address: bigint;
      /** Physical byte address of the table. */
      readonly table: bigint;
      /** What still leads to it: CR3, an entry in memory, or one that the processor remembers. */
      readonly by: 'root' | 'entry' | 'remembered';
      readonly message: string;
    }
  /** A frame that was freed is used anew, while the processor still finds it, or walks through it. */
  | {
      readonly kind: 'freed-frame-reused';
      /** Physical byte address of the frame. */
      readonly frame: bigint;
      /** First linear byte address of what the processor still finds through it. */
      readonly address: bigint;
      readonly message: string;
    }
  /** A change that must go through a state that is not present, with an invalidation, did not. */
  | {
      readonly kind: 'unsafe-change';
      /** First linear byte address that the entry maps. */
      readonly address: bigint;
      readonly change: EntryChange;
      /** What changed together with the page size. */
      readonly what: string;
      readonly message: string;
    };

/** Invalidations that a message shows. */
const MOST_LINES = 8;

/** The message of a stale translation in use. */
export function staleMessage(access: Access, address: bigint, stale: Stale): string {
  return [
    `${whose(access)} of ${hex64(address)} used a translation that is out of date`,
    ...staleLines(stale),
  ].join('\n');
}

/** The message of a table that was used after it was freed. */
export function freedMessage(
  access: Access,
  address: bigint,
  table: bigint,
  by: 'root' | 'entry' | 'remembered',
): string {
  const advice = {
    root: 'it is the root in CR3: load another one before the table is freed',
    entry: 'an entry above still points to it: clear it before the table is freed',
    remembered:
      'the processor still remembers it: invalidate it (MOV to CR3, or INVLPG for each page below) before it is freed',
  }[by];
  return `${whose(access)} of ${hex64(address)} went through the table at ${hex64(table)}, which was freed\n  ${advice}`;
}

/** The message of a frame that is used anew too early. */
export function reusedMessage(frame: bigint, stale: Stale): string {
  return [
    `the frame at ${hex64(frame)} was freed and is used anew, but the processor still finds it`,
    ...staleLines(stale),
  ].join('\n');
}

/** The message of an entry that changed in one step what takes three. */
export function unsafeMessage(change: EntryChange, what: Stale['difference']): string {
  return [
    `a page of another size, and ${what === 'frame' ? 'another frame' : what === 'rights' ? 'fewer rights' : what}, in one step`,
    ...changeLines(change),
    '  was due      P = 0 in the entry, an invalidation, and only then the new entry',
  ].join('\n');
}

/** What the processor remembers, what the tables say, who changed it, and what should have been done: a line each. */
export function staleLines(stale: Stale): string[] {
  const { change, due, done } = stale;
  const indent = ' '.repeat(15);
  const last = done.slice(-MOST_LINES).map(({ instruction, left }) => `${instruction}: ${left}`);
  if (done.length > MOST_LINES) last.unshift(`${done.length - MOST_LINES} more, and then`);
  const list = last.join(`\n${indent}`);
  return [
    `  remembered   ${rememberedText(stale)}`,
    `  the tables   ${tablesText(stale)}`,
    ...(change === undefined ? [] : changeLines(change)),
    `  was due      ${due}`,
    `  done since   ${list || 'nothing'}`,
  ];
}

/** An entry before and after, and what wrote it. */
function changeLines({ entry, address, before, after, write }: EntryChange): string[] {
  return [
    `  changed      ${entry} at ${hex64(address)}, from ${hex64(before)} to ${hex64(after)}`,
    write === undefined
      ? '  by           a write that did not go through the processor'
      : `  by           a write to ${hex64(write.address)}`,
    ...(write?.trace ?? []).map((line) => `${' '.repeat(15)}${line}`),
  ];
}

function whose({ kind, user }: Access): string {
  return `${user ? 'user' : 'supervisor'} ${kind}`;
}

function rememberedText({ remembered, address, shift, used }: Stale): string {
  const end = address + (1n << BigInt(shift)) - 1n;
  const range = `${hex64(address)} to ${hex64(end)}`;
  return remembered === 'table'
    ? `${range} through the table at ${hex64(used)}`
    : `${range} at ${hex64(used)}`;
}

function tablesText({ difference, current }: Stale): string {
  if (current === undefined) return 'map nothing there';
  if (difference === 'frame') return `lead to ${hex64(current)}`;
  if (difference === 'dirty') return 'have the page as not written to, and stay so';
  return difference === 'rights' ? 'allow less' : 'give another memory type';
}
