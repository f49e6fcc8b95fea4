import { hex64, PageTableError } from '../../bits/index.ts';
import { MAX_LINEAR_READ, readLinear } from '../../capture/index.ts';
import type { Output } from '../output.ts';
import { noteSession, type Session, sessionJson, spaceAt } from '../session.ts';
import { parseHex, parseSize } from '../text.ts';

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
    printDump(address, bytes, present, output);
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

/** Prints as `hexdump -C` does: lines that repeat the one before are one `*`. */
function printDump(address: bigint, bytes: Uint8Array, present: Uint8Array, output: Output): void {
  let before = '';
  let starred = false;
  for (let at = 0; at < bytes.length; at += 16) {
    const line = dumpLine(address, bytes, present, at);
    const content = line.slice(16);
    if (content !== before || at + 16 >= bytes.length) {
      output.line(line);
      starred = false;
    } else if (!starred) {
      output.line('*');
      starred = true;
    }
    before = content;
  }
}

/** Sixteen bytes as `hexdump -C` lays them out; `..` where a byte is not there. */
function dumpLine(address: bigint, bytes: Uint8Array, present: Uint8Array, at: number): string {
  let hexText = '';
  let text = '';
  for (let i = at; i < at + 16; i += 1) {
    if (i === at + 8) hexText += ' ';
    if (i >= bytes.length) hexText += '   ';
    else hexText += present[i] ? `${bytes[i].toString(16).padStart(2, '0')} ` : '.. ';
    if (i < bytes.length) {
      text +=
        present[i] === 0 ? ' ' : bytes[i] >= 0x20 && bytes[i] < 0x7f ? String.fromCharCode(bytes[i]) : '.';
    }
  }
  return `${hex64(address + BigInt(at)).slice(2)}  ${hexText} |${text}|`;
}
