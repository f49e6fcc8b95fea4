import { expect, test } from 'vitest';
import {
  addressOf,
  hex,
  hex64,
  hexPage,
  joinHalves,
  offsetOf,
  PageTableError,
  pageOf,
} from '../../src/bits/index.ts';

// Expected values by hand: a page is 4096 bytes, an address has 64 bits.

test('a page number is the address without its lowest 12 bits, exact for all 64-bit addresses', () => {
  expect([0n, 0xfffn, 0x1000n, 0x1fffn].map(pageOf)).toEqual([0, 0, 1, 1]);
  expect(pageOf(0xffff_ffff_ffff_ffffn)).toBe(2 ** 52 - 1);
  expect(pageOf(0x8000_0000_0000_1000n)).toBe(2 ** 51 + 1);
  expect(pageOf(0xffff_ffff_ffff_e000n)).toBe(2 ** 52 - 2);
});

test.each([-1n, -4096n, 1n << 64n, 1n << 70n])(
  'an address that is not of 64 bits is out of range: %d',
  (address) => {
    expect(() => pageOf(address)).toThrow(PageTableError);
    expect(() => pageOf(address)).toThrow(
      expect.objectContaining({ code: 'OUT_OF_RANGE', detail: { address } }),
    );
    expect(() => pageOf(address)).toThrow(hex(address));
  },
);

test('an offset is the lowest 12 bits', () => {
  expect([0n, 0xfffn, 0x1000n, 0xffff_ffff_ffff_fabcn].map(offsetOf)).toEqual([0, 0xfff, 0, 0xabc]);
});

test('page and offset make the address again', () => {
  for (const address of [
    0n,
    0xfffn,
    0x1234_5678_9abc_def0n,
    0x000f_ffff_ffff_ffffn,
    0xffff_ffff_ffff_ffffn,
  ]) {
    expect(addressOf(pageOf(address), offsetOf(address))).toBe(address);
  }
  expect(addressOf(2 ** 52 - 1)).toBe(0xffff_ffff_ffff_f000n);
  expect(addressOf(1, 2 ** 40)).toBe(0x100_0000_1000n);
});

test('halves join to one entry whether they are signed or not', () => {
  expect(joinHalves(0x8000_0001, 0x8000_0000)).toBe(0x8000_0000_8000_0001n);
  expect(joinHalves(0x8000_0001 | 0, 0x8000_0000 | 0)).toBe(0x8000_0000_8000_0001n);
  expect(joinHalves(-1, -1)).toBe(0xffff_ffff_ffff_ffffn);
  expect(joinHalves(0x27, 0)).toBe(0x27n);
});

test('hexadecimal digits: as many as needed, 16 of an address, 16 of a page', () => {
  expect([hex(0), hex(0x1000n), hex(-255), hex(-255n)]).toEqual(['0x0', '0x1000', '-0xff', '-0xff']);
  expect(hex64(0x1000n)).toBe('0x0000000000001000');
  expect(hex64(0xffff_ffff_ffff_ffffn)).toBe('0xffffffffffffffff');
  expect([hexPage(0), hexPage(1), hexPage(2 ** 52 - 1)]).toEqual([
    '0000000000000000',
    '0000000000001000',
    'fffffffffffff000',
  ]);
});

test('an error says its code and what was found, and keeps its cause', () => {
  const cause = new Error('below');
  const error = new PageTableError('READ_FAILED', 'read: 4 bytes at 0x10: gone', { offset: 16 }, { cause });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ name: 'PageTableError', code: 'READ_FAILED', detail: { offset: 16 }, cause });
  expect(new PageTableError('OVERLAP', 'two').detail).toEqual({});
});
