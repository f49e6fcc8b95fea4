import { joinHalves } from '../bits/index.ts';
import { type CompiledFormat, leadsToTable } from './compile.ts';
import { type EntryFact, exists, type Field, fieldsOf } from './format.ts';
import { fieldMask } from './masks.ts';

/** The kind of a present entry, and its fields, highest bits first. */
export function describeEntry(
  { fact, facts, state }: CompiledFormat,
  { depth, low }: { readonly depth: number; readonly low: number },
): { readonly entry: EntryFact; readonly fields: readonly Field[] } {
  const leads = leadsToTable(facts, depth, low) ? 'table' : 'page';
  const kinds = fact.levels[depth].entries.filter((entry) => exists(entry, state));
  const entry = kinds.find((kind) => kind.leads === leads) ?? kinds[0];
  return { entry, fields: fieldsOf(entry, state) };
}

/** What makes a present entry reserved, in words; none if nothing does. */
export function reservedTexts(
  format: CompiledFormat,
  bits: { readonly depth: number; readonly low: number; readonly high: number },
): string[] {
  const { entry, fields } = describeEntry(format, bits);
  const value = joinHalves(bits.low, bits.high);
  const holds = (high: number, low: number) => (value & fieldMask(high, low)) >> BigInt(low);
  const codes = (entry.reserved ?? []).filter(
    ({ set, needs }) =>
      set.every((bit) => holds(bit, bit) === 1n) &&
      !(needs !== undefined && holds(needs.high, needs.low) === BigInt(needs.value)),
  );
  const set = fields.filter(({ role, high, low }) => role === 'reserved' && holds(high, low) !== 0n);
  return [
    ...(entry.invalid === undefined ? [] : [entry.invalid]),
    // What no entry may hold says more than the bits that follow from taking it for one of its kind.
    ...codes.map(({ text }) => text),
    ...set.map(({ name, high, low }) => {
      const where = high === low ? `bit ${low}` : `bits ${high}:${low}`;
      return name === 'reserved' ? `reserved ${where} not 0` : `${name} (${where}) not 0`;
    }),
  ];
}
