import { addressOf, hex64, offsetOf } from '../bits/index.ts';
import type { Paging } from '../format/index.ts';
import { type Path, tableAddress } from '../walk/index.ts';
import type { Json } from './json.ts';
import { reasonText } from './reason.ts';
import { sizeText } from './text.ts';

/** A linear address, the tables that translate it, and its way through them. */
export interface Translation {
  readonly va: bigint;
  readonly paging: Paging;
  readonly path: Path;
}

/** A line of `translate`: the address, what it translates to, and the size of its page or why it has none. */
export function translationCells(it: Translation): string[] {
  const pa = physical(it);
  return pa === undefined
    ? [hex64(it.va), '-', reasonOf(it)]
    : [hex64(it.va), hex64(pa), `${sizeText(pageBytes(it))} page`];
}

/** The same, as `docs/json.md` describes it. */
export function translationJson(it: Translation): { readonly [key: string]: Json } {
  const pa = physical(it);
  return {
    va: hex64(it.va),
    pa: pa === undefined ? null : hex64(pa),
    pageSize: pa === undefined ? null : Number(pageBytes(it)), // at most 2^48
    reason: pa === undefined ? reasonOf(it) : null,
  };
}

function reasonOf({ paging, path }: Translation): string {
  const { end, steps, frame } = path;
  const missing = frame === undefined ? undefined : tableAddress(paging, steps.length, frame);
  return reasonText(paging, end, steps, missing);
}

function physical({ va, path }: Translation): bigint | undefined {
  return path.end === 'mapped' && path.frame !== undefined ? addressOf(path.frame, offsetOf(va)) : undefined;
}

function pageBytes({ path }: Translation): bigint {
  return 1n << BigInt(path.pageShift ?? 0);
}
