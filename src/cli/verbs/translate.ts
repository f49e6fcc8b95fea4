import { addressOf, hex64, offsetOf, pageOf } from '../../bits/index.ts';
import { capturePath } from '../../capture/index.ts';
import type { Paging } from '../../format/index.ts';
import { SparseMemory } from '../../memory/index.ts';
import { type Path, tableAddress, Walker } from '../../walk/index.ts';
import { type Output, writeRecords } from '../output.ts';
import { noteSession, type Session, spaceAt } from '../session.ts';
import { layOut, parseHex, sizeText } from '../text.ts';
import { reasonText } from './reason.ts';

/** `translate`: physical addresses of linear ones. Exit 1 if one does not translate. */
export async function translate(
  session: Session,
  addresses: readonly string[],
  output: Output,
): Promise<number> {
  const into = new SparseMemory();
  const answers: Answer[] = [];
  for (const text of addresses) {
    const va = parseHex('address', text);
    const { paging } = spaceAt(session, va);
    await capturePath(session.machine, paging, pageOf(va), into);
    answers.push({ va, paging, path: new Walker(into.memory, paging).path(pageOf(va)) });
  }
  if (output.mode === 'text') {
    const rows = answers.map(({ va, paging, path }) => {
      const pa = physical(va, path);
      return pa === undefined
        ? [hex64(va), '-', reasonOf(paging, path)]
        : [hex64(va), hex64(pa), `${sizeText(pageBytes(path))} page`];
    });
    for (const line of layOut(rows)) output.line(line);
  } else {
    const records = answers.map(({ va, paging, path }) => {
      const pa = physical(va, path);
      return {
        va: hex64(va),
        pa: pa === undefined ? null : hex64(pa),
        pageSize: pa === undefined ? null : Number(pageBytes(path)), // at most 2^48
        reason: pa === undefined ? reasonOf(paging, path) : null,
      };
    });
    writeRecords(output, 'translations', records);
  }
  noteSession(session, output);
  return answers.every(({ path }) => path.end === 'mapped') ? 0 : 1;
}

/** An address, the tables that translate it, and what they make of it. */
interface Answer {
  readonly va: bigint;
  readonly paging: Paging;
  readonly path: Path;
}

function reasonOf(paging: Paging, path: Path): string {
  const { end, steps, frame } = path;
  const missing = frame === undefined ? undefined : tableAddress(paging, steps.length, frame);
  return reasonText(paging, end, steps, missing);
}

function physical(va: bigint, path: Path): bigint | undefined {
  return path.end === 'mapped' && path.frame !== undefined ? addressOf(path.frame, offsetOf(va)) : undefined;
}

function pageBytes(path: Path): bigint {
  return 1n << BigInt(path.pageShift ?? 0);
}
