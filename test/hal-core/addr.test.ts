// Expected values: notes on mycelium, A1 to A16 and the tests of the original.
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { InvalidAddress, PAddr, VAddr } from '../../src/hal-core/index.ts';
import { refused } from './thrown.ts';

const virt = (address: bigint) => VAddr.fromUsize(address);
const phys = (address: bigint) => PAddr.fromUsize(address);
const LAST = 0xffff_ffff_ffff_ffffn;

const KINDS = { VAddr, PAddr };

describe('which addresses there are', () => {
  test.each([
    ['A1', 'VAddr', 0x7fff_ffff_ffffn],
    ['A4', 'VAddr', 0xffff_8000_0000_0000n],
    ['A5', 'PAddr', 0x000f_ffff_ffff_ffffn],
    ['the original’s test', 'VAddr', (0x1ffffn << 47n) | 123n],
    ['the original’s test', 'VAddr', 123n],
    ['the original’s test', 'PAddr', 123n],
    ['the last one', 'VAddr', LAST],
  ] as const)('%s: a %s, %s', (_, kind, address) => {
    for (const made of [
      KINDS[kind].fromUsize(address),
      KINDS[kind].fromU64(address),
      KINDS[kind].fromUsizeChecked(address),
    ]) {
      expect(made.asUsize()).toBe(address);
    }
  });

  test.each([
    ['A2', 'VAddr', 0x8000_0000_0000n, 'not canonical'],
    ['A3', 'VAddr', 0xffff_7fff_ffff_ffffn, 'not canonical'],
    ['A6', 'PAddr', 0x0010_0000_0000_0000n, 'top 12 bits'],
    ['the original’s test', 'VAddr', 123n | (1n << 47n), 'not canonical'],
    ['the original’s test', 'VAddr', (0x10101n << 47n) | 123n, 'not canonical'],
    ['the original’s test', 'PAddr', 0xfff0_0000_0000_0000n | 123n, 'top 12 bits'],
    ['the original’s test', 'PAddr', (1n << 60n) | 123n, 'top 12 bits'],
    ['the original’s test', 'PAddr', (1n << 52n) | 123n, 'top 12 bits'],
    ['65 bits', 'VAddr', 1n << 64n, 'more than 64 bits'],
    ['65 bits', 'PAddr', 1n << 64n, 'more than 64 bits'],
    ['a negative one', 'PAddr', -1n, 'is negative'],
    ['a negative one', 'VAddr', -1n, 'is negative'],
  ] as const)('%s: no %s, %s', (_, kind, address, msg) => {
    for (const make of ['fromUsize', 'fromU64', 'fromUsizeChecked'] as const) {
      const error = refused(() => KINDS[kind][make](address), 'OUT_OF_RANGE', msg);
      expect(error).toBeInstanceOf(InvalidAddress);
      expect(error).toMatchObject({
        addr: address,
        msg: expect.stringContaining(msg),
        detail: { addr: address },
      });
    }
  });

  test('unchecked, 64 bits are an address, and no more', () => {
    expect(VAddr.fromUsizeUnchecked(0x8000_0000_0000n).asUsize()).toBe(0x8000_0000_0000n);
    refused(() => VAddr.fromUsizeUnchecked(1n << 64n), 'OUT_OF_RANGE', 'more than 64 bits');
    refused(() => VAddr.fromUsizeUnchecked(-1n), 'OUT_OF_RANGE', 'is negative');
    expect([VAddr.zero().asUsize(), PAddr.zero().asUsize()]).toEqual([0n, 0n]);
  });
});

describe('alignment', () => {
  test('A7: alignUp goes to the next multiple, or stays', () => {
    expect(virt(0x1001n).alignUp(4096n).asUsize()).toBe(0x2000n);
    expect(virt(0x1001n).alignDown(4096n).asUsize()).toBe(0x1000n);
    expect([2n, 123n].map((address) => phys(address).alignUp(2n).asUsize())).toEqual([2n, 124n]);
    expect(phys(0x5555n).alignUp(16n).asUsize()).toBe(0x5560n);
    for (const address of [0n, 0xdead_facen, 0x000f_ffff_ffff_ffffn]) {
      expect(phys(address).alignUp(1n).asUsize()).toBe(address);
    }
  });

  test('A8: alignUp into the hole is refused', () => {
    refused(() => virt(0x7fff_ffff_f001n).alignUp(4096n), 'OUT_OF_RANGE', 'not canonical');
  });

  test('alignUp past 64 bits is refused', () => {
    refused(
      () => virt(LAST).alignUp(4096n),
      'OUT_OF_RANGE',
      '0x10000000000000000; expected a result of 64 bits',
    );
  });

  test('A9, A10: an alignment that is no power of two is refused', () => {
    for (const align of [0n, 3n, -4096n, 1n << 64n]) {
      refused(() => virt(0x1000n).alignUp(align), 'MISALIGNED', 'power of two');
      refused(() => virt(0x1000n).alignDown(align), 'MISALIGNED', 'power of two');
      refused(() => virt(0x1000n).isAligned(align), 'MISALIGNED', 'power of two');
    }
    expect([virt(0x1000n).isAligned(4096n), virt(0x1800n).isAligned(4096n)]).toEqual([true, false]);
  });
});

describe('arithmetic', () => {
  test('A11: offset does not saturate', () => {
    refused(() => virt(0x1000n).offset(-0x2000n), 'OUT_OF_RANGE');
    expect(virt(0x1000n).offset(-0x1000n).asUsize()).toBe(0n);
    expect(virt(0x1000n).offset(0n).asUsize()).toBe(0x1000n);
    expect(virt(0x1000n).offset(5n).asUsize()).toBe(0x1005n);
    for (const bytes of [-(1n << 63n), 1n << 64n]) refused(() => virt(LAST).offset(bytes), 'OUT_OF_RANGE');
  });

  test('A12: difference is how far the other lies above', () => {
    const [low, high] = [virt(0x1000n), virt(0x3000n)];
    expect([low.difference(high), high.difference(low), low.difference(low)]).toEqual([8192n, -8192n, 0n]);
  });

  test('A13: across the hole, difference has the wrong sign', () => {
    const [low, high] = [virt(0n), virt(0xffff_8000_0000_0000n)];
    expect([low.difference(high), high.difference(low)]).toEqual([-0x8000_0000_0000n, 0x8000_0000_0000n]);
  });

  test('difference of addresses that are not canonical: of at most 64 bits', () => {
    const [one, minimum] = [virt(1n), VAddr.fromUsizeUnchecked(1n << 63n)];
    refused(() => minimum.difference(one), 'OUT_OF_RANGE', 'expected a result of 64 bits');
    refused(() => minimum.difference(VAddr.zero()), 'OUT_OF_RANGE');
    expect(one.difference(minimum)).toBe((1n << 63n) - 1n);
  });

  test('A14: a sum in the hole is refused', () => {
    refused(() => virt(0x7fff_ffff_f000n).add(0x1000n), 'OUT_OF_RANGE', 'not canonical');
    refused(() => phys(0x000f_ffff_ffff_f000n).add(0x1000n), 'OUT_OF_RANGE', 'top 12 bits');
    refused(() => virt(0xffff_8000_0000_0000n).sub(1n), 'OUT_OF_RANGE', 'not canonical');
  });

  test('A15: += and -= do not look whether the result is valid, but at its 64 bits', () => {
    expect(virt(0x7fff_ffff_f000n).addUnchecked(0x1000n).asUsize()).toBe(0x8000_0000_0000n);
    expect(phys(0x000f_ffff_ffff_f000n).addUnchecked(0x1000n).asUsize()).toBe(1n << 52n);
    expect(virt(0xffff_8000_0000_0000n).subUnchecked(virt(1n)).asUsize()).toBe(0xffff_7fff_ffff_ffffn);
    refused(() => virt(LAST).addUnchecked(1n), 'OUT_OF_RANGE', 'expected a result of 64 bits');
    refused(() => virt(0n).subUnchecked(1n), 'OUT_OF_RANGE', '-0x1; expected a result of 64 bits');
  });

  test('sums and differences of two addresses are addresses', () => {
    expect(virt(0x3000n).add(virt(0x1000n)).asUsize()).toBe(0x4000n);
    expect(virt(0x3000n).sub(virt(0x1000n)).equals(virt(0x2000n))).toBe(true);
    refused(() => virt(0x1000n).sub(virt(0x3000n)), 'OUT_OF_RANGE', '-0x2000');
    refused(
      () => virt(0x1000n).add(-1n),
      'OUT_OF_RANGE',
      'VAddr(0x1000) + -0x1: expected an unsigned 64-bit number of bytes',
    );
    refused(() => virt(0n).sub(-1n), 'OUT_OF_RANGE');
  });
});

describe('comparing and text', () => {
  test('addresses compare by their unsigned value', () => {
    const [low, high] = [virt(0x1000n), virt(0xffff_8000_0000_0000n)];
    expect([low.compare(high), high.compare(low), low.compare(virt(0x1000n))]).toEqual([-1, 1, 0]);
    expect([low < high, low.equals(high), low.equals(virt(0x1000n))]).toEqual([true, false, true]);
  });

  test('A16: the debug text has small digits, and zeros up to a width', () => {
    expect(virt(0x1000n).toString(16)).toBe('VAddr(0x00000000001000)');
    expect(String(virt(0x1000n))).toBe('VAddr(0x1000)');
    expect(String(phys(0xb8000n))).toBe('PAddr(0xb8000)');
    expect(inspect(virt(0xffff_8000_0000_0000n))).toBe('VAddr(0xffff800000000000)');
  });

  test.each([
    ['a number', () => VAddr.fromUsize(4096 as never), 'the number 4096; expected a bigint: 4096n'],
    ['nothing', () => PAddr.fromUsize(undefined as never), 'undefined; expected a bigint'],
    ['a number to add', () => virt(0n).add(1 as never), 'the number 1; expected a bigint: 1n'],
    ['nothing to add', () => virt(0n).add(undefined as never), 'undefined; expected a bigint'],
    [
      'an address of the other kind to add',
      () => virt(0n).add(phys(1n) as never),
      'PAddr(0x1); expected a VAddr',
    ],
    ['one to subtract', () => phys(1n).sub(virt(1n) as never), 'VAddr(0x1); expected a PAddr'],
    ['one to compare with', () => phys(1n).compare(virt(1n) as never), 'VAddr(0x1); expected a PAddr'],
    ['one to equal', () => phys(1n).equals(virt(1n) as never), 'VAddr(0x1); expected a PAddr'],
    ['one for difference', () => virt(1n).difference(undefined as never), 'undefined; expected a VAddr'],
    ['a number as alignment', () => virt(1n).alignUp(4096 as never), 'expected a bigint: 4096n'],
    ['a number as offset', () => virt(1n).offset(-1 as never), 'expected a bigint: -1n'],
    ['a positive one', () => virt(1n).offset(1 as never), 'the number 1; expected a bigint: 1n'],
  ])('%s is refused', (_, call, says) => {
    expect(refused(call, 'BAD_ARGUMENT').message).toContain(says);
  });
});
