import { hex64 } from '../bits/index.ts';

/**
 * Bytes as `hexdump -C` lays them out: lines that repeat the one before are one `*`.
 *
 * @param address - of the first byte
 * @param present - as many bytes: 0 where a byte is not there, which shows as `..`
 */
export function* dumpLines(address: bigint, bytes: Uint8Array, present: Uint8Array): Generator<string> {
  let before = '';
  let starred = false;
  for (let at = 0; at < bytes.length; at += 16) {
    const line = dumpLine(address, bytes, present, at);
    const content = line.slice(16);
    if (content !== before || at + 16 >= bytes.length) {
      yield line;
      starred = false;
    } else if (!starred) {
      yield '*';
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
