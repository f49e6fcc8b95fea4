import { describe, expect, it } from 'vitest';
import { FORMAT_4_LEVEL, resolveX86Control, x86Paging } from '../../src/format/index.ts';
import { explain } from '../../src/inspect/index.ts';
import { SparseMemory } from '../../src/memory/index.ts';
import {
  accessText,
  fieldTexts,
  fieldWords,
  filterRows,
  layOut,
  sizeText,
  wrap,
} from '../../src/report/index.ts';
import { parseCount, parseHex, parseSize } from '../../src/session/index.ts';

/** A page at 0x1000 with a software bit and PAT entry 1, whose PML4E has a reserved bit where `reserved`. */
function explained(reserved: bigint) {
  const into = new SparseMemory();
  const memory = into.memory;
  const entries = [0x2007n | reserved, 0x3007n, 0x4007n, 0x8000_0000_0001_020fn];
  entries.forEach((value, i) => {
    into.add(i + 1);
    memory.writeEntry(i + 1, i === 3 ? 1 : 0, Number(value & 0xffff_ffffn), Number(value >> 32n));
  });
  const paging = x86Paging(resolveX86Control({ cr3: 0x1000n }, true, FORMAT_4_LEVEL).control);
  return explain(memory, paging, 0x1000n);
}

describe('the words of fields', () => {
  // Intel SDM vol. 3A, table "Format of a Page-Table Entry that Maps a 4-KByte Page".
  it('say name, value and meaning of each, lowest bit first', () => {
    const { fields } = explained(0n).levels[3];
    const words = fieldWords(fields);
    expect(words.map(({ field }) => field.low)).toEqual(fields.map(({ low }) => low).toReversed());
    const named = (name: string) => words.find(({ field }) => field.name === name);
    expect(named('R/W')).toMatchObject({ place: 'bit 1', value: '1', shown: true });
    expect(named('R/W')?.text).toBe(`R/W=1 ${named('R/W')?.meaning}`);
    // What PWT means, only PAT, PCD and PWT together say.
    expect(named('PWT')).toMatchObject({ value: '1', meaning: '', text: 'PWT=1' });
    const address = words.find(({ field }) => field.role === 'address');
    expect(address).toMatchObject({ value: '0x10000', place: 'bits 51:12' });
  });

  it('leave out what is ignored and 0, and put what is ignored and set last', () => {
    const { fields } = explained(0n).levels[3];
    const texts = fieldTexts(fields);
    expect(texts.slice(-2)).toEqual(['bits 10:9=0x1 ignored', 'all other bits 0']);
    expect(texts).toHaveLength(fieldWords(fields).filter(({ shown }) => shown).length + 1);
  });

  it('mark a reserved bit that is set', () => {
    const { levels, accesses } = explained(1n << 7n);
    expect(fieldTexts(levels[0].fields)).toContain('bit 7=1 RESERVED, must be 0');
    // P and RSVD: error code 9.
    expect(accessText(accesses[0].result)).toMatch(/^page fault \(#PF\), error code 0x09 \(/);
  });
});

describe('numbers', () => {
  it.each([
    [0n, '0 B'],
    [4096n, '4 KiB'],
    [0x20_0000n, '2 MiB'],
    [1536n, '1.5 KiB'],
    [2n ** 64n, '16 EiB'],
  ])('%s bytes are %s', (bytes, text) => expect(sizeText(bytes)).toBe(text));

  it('are read as users write them', () => {
    expect(parseHex('address', 'ffff_8000_0000_0000')).toBe(0xffff_8000_0000_0000n);
    expect(parseSize('length', '2MiB')).toBe(0x20_0000n);
    expect(parseCount('--cpu', '0x10', 0, 16)).toBe(16);
    expect(() => parseHex('--root', 'g')).toThrow(/--root is 'g'; expected 1 to 16 hexadecimal digits/);
    expect(() => parseSize('length', '4Q')).toThrow(/length is '4Q'; expected a size/);
    expect(() => parseCount('--cpu', '17', 0, 16)).toThrow(/expected a whole number in \[0, 16\]/);
  });
});

describe('layout', () => {
  it('gives columns their widest cell, and none to a remark', () => {
    const rows = [
      ['A', 'B', 'C'],
      ['long', '1', 'x'],
      ['s', 'a remark that is wide'],
    ];
    expect(layOut(rows, new Set([1]))).toEqual(['A     B  C', 'long  1  x', 's     a remark that is wide']);
  });

  it('breaks lines between pieces', () => {
    expect(wrap(['aa', 'bb', 'cc'], ' ', 8)).toEqual([' aa, bb,', ' cc']);
  });

  it('a filter by a page size that the format does not have is refused', () => {
    expect(filterRows([], { rights: 'w', size: '2M' }, FORMAT_4_LEVEL)).toEqual([]);
    expect(() => filterRows([], { size: '3M' }, FORMAT_4_LEVEL)).toThrow(
      /expected a page size of .*: 4K, 2M, 1G/,
    );
  });
});
