import { type EntryFact, type Field, type FieldRole, type FormatState, fieldsOf } from './format.ts';

/** The bits of an entry that have one of some roles, as two halves. */
export function mask(fields: readonly Field[], ...roles: FieldRole[]): { low: number; high: number } {
  let bits = 0n;
  for (const field of fields) {
    if (roles.includes(field.role)) bits |= fieldMask(field.high, field.low);
  }
  return halves(bits);
}

/** Bits `high` to `low`. */
export function fieldMask(high: number, low: number): bigint {
  return ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);
}

/** A 64-bit value as two signed halves. */
export function halves(bits: bigint): { low: number; high: number } {
  return { low: Number(BigInt.asIntN(32, bits)), high: Number(BigInt.asIntN(32, bits >> 32n)) };
}

/** How far the addresses of a kind of entry are shifted down to be frame numbers. */
export function addressShift(fields: readonly Field[]): number {
  const field = fields.find(({ role }) => role === 'address');
  return field?.addressLow === undefined ? 12 : 12 - field.addressLow + field.low;
}

/** The bits of a kind of entry that have one of some roles, as two signed halves. */
export function roleMask(
  entry: EntryFact,
  state: FormatState,
  ...roles: FieldRole[]
): { readonly low: number; readonly high: number } {
  return mask(fieldsOf(entry, state), ...roles);
}
