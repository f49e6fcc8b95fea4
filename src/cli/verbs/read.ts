import { hex64, PageTableError } from '../../bits/index.ts';
import { MAX_LINEAR_READ, readLinear } from '../../capture/index.ts';
import { dumpLines, sessionJson } from '../../report/index.ts';
import { parseHex, parseSize, type Session, spaceAt } from '../../session/index.ts';
import type { Output } from '../output.ts';
import { noteSession } from '../session.ts';

/** `read`: bytes of linear memory. Exit 1 if some are not there. */
export async function read(
  session: Session,
  addressText: string,
  lengthText: string,
  output: Output,
): Promise<number> {
  const address = parseHex('address', addressText);
  const length = parseSize('length', lengthText);
  if (length < 1n || length > MAX_LINEAR_READ) {
    throw new PageTableError('BAD_ARGUMENT', `length is ${lengthText}; expected 1 byte to 64 MiB`, {
      length,
    });
  }
  // At most 2^26.
  const { bytes, holes } = await readLinear(
    session.machine,
    spaceAt(session, address).paging,
    address,
    Number(length),
  );
  const present = new Uint8Array(bytes.length).fill(1);
  for (const hole of holes) present.fill(0, Number(hole.first - address), Number(hole.end - address));
  if (output.mode === 'text') {
    for (const line of dumpLines(address, bytes, present)) output.line(line);
  } else {
    const text = Array.from(bytes, (byte, i) =>
      present[i] ? byte.toString(16).padStart(2, '0') : '..',
    ).join('');
    const record = {
      ...sessionJson(session),
      va: hex64(address),
      length: bytes.length,
      bytes: text,
      holes: holes.map((hole) => ({ first: hex64(hole.first), end: hex64(hole.end), reason: hole.reason })),
    };
    output.line(JSON.stringify(record));
  }
  noteSession(session, output);
  for (const hole of holes) {
    output.note(`${hex64(hole.first)}-${hex64(hole.end)}: ${hole.reason.replaceAll('-', ' ')}`);
  }
  return holes.length === 0 ? 0 : 1;
}
