import { aarch64Paging, type Paging } from '../../src/format/index.ts';

/**
 * The lower half with a 64-KiB granule (DDI 0487, "TCR_EL1": TG0 = 1, TG1 = 3 is 64K, 2 is 4K; IPS = 5, 48 bits). Its tables have 8,192
 * entries in sixteen frames.
 *
 * @param t0sz - 64 less the bits of an address: 22 makes two levels, 35 one
 */
export function granule64K(t0sz: bigint): Paging {
  const paging = aarch64Paging(
    {
      ttbr0: 0x1_0000n,
      ttbr1: 0n,
      tcr: t0sz | (1n << 14n) | (16n << 16n) | (2n << 30n) | (5n << 32n),
      mair: 0xffn,
      sctlr: 1n,
      pan: false,
      physBits: 48,
    },
    'lower',
  );
  if (paging === undefined) throw new Error('no walks');
  return paging;
}
