import { addressOf, hex64 } from '../bits/index.ts';
import { rightsText } from '../format/index.ts';
import type { Explanation, LinuxEntry } from '../inspect/index.ts';
import type { Session } from '../session/index.ts';
import { type Json, sessionJson } from './json.ts';

/** Every step of one translation, as `docs/json.md` describes it. */
export function explanationJson(session: Session, it: Explanation): { readonly [key: string]: Json } {
  return {
    va: hex64(it.address),
    ...sessionJson(session),
    outcome: it.end,
    levels: it.levels.map((level) => ({
      depth: level.depth,
      table: level.table,
      entry: level.entry,
      index: level.index,
      address: hex64(level.address),
      value: hex64(level.value),
      leads: level.leads,
      target: level.target === undefined ? null : hex64(level.target),
      removes: level.removes,
      recursive: level.recursive,
      source: level.source,
      fields: level.fields.map((field) => ({
        name: field.name,
        high: field.high,
        low: field.low,
        value: `0x${field.value.toString(16)}`,
        role: field.role,
        text: field.text,
      })),
    })),
    pa: it.physical === undefined ? null : hex64(it.physical),
    pageSize: it.pageBytes === undefined ? null : Number(it.pageBytes), // at most 2^48
    groupSize: it.groupBytes === undefined ? null : Number(it.groupBytes), // at most 2^34
    memoryType: it.memoryType?.name ?? null,
    memoryTypeFrom: it.memoryType?.from ?? null,
    patEntry: it.memoryType?.from.startsWith('PAT') ? it.memoryType.index : null,
    global: it.global ?? null,
    user: it.rights === undefined ? null : rightsText(it.rights, true),
    supervisor: it.rights === undefined ? null : rightsText(it.rights, false),
    accesses: it.accesses.map(({ access, result }) => ({
      access: `${access.user ? 'user' : 'supervisor'} ${access.kind}`,
      result: result.kind,
      ...(result.kind === 'fault'
        ? {
            exception: result.exception,
            errorCode: result.errorCode,
            errorBits: result.errorBits,
            because: result.because,
          }
        : {}),
    })),
    missingTable: it.missingTable === undefined ? null : hex64(it.missingTable),
    linux: it.linux === undefined ? null : linuxJson(it.linux),
  };
}

function linuxJson(entry: LinuxEntry): Json {
  if (entry.kind === 'prot-none') return { kind: entry.kind, pa: hex64(addressOf(entry.frame)) };
  return { kind: entry.kind, type: entry.type, offset: `0x${entry.offset.toString(16)}` };
}
