import { hex64 } from '../bits/index.ts';
import { rootAddress, type Session } from '../session/index.ts';

/** A value as JSON shows it: 64-bit numbers are strings of `0x` and 16 digits. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** What every result says of the tables that it comes from. */
export function sessionJson(session: Session): { readonly [key: string]: Json } {
  const spaces = session.spaces.map(({ paging, rootFrom, half }) => ({
    mode: paging.format.fact.name,
    vaBits: paging.format.fact.vaBits,
    half: half ?? null,
    root: hex64(rootAddress(paging)),
    rootFrom,
  }));
  const only = spaces.length === 1 ? spaces[0] : undefined;
  return {
    mode: spaces[0].mode,
    root: only?.root ?? null,
    rootFrom: only?.rootFrom ?? null,
    spaces,
    unread: session.unread,
    assumed: session.assumed.map((one) => one.text),
  };
}
