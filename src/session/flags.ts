import { hex } from '../bits/index.ts';
import { type ControlFlagFact, FORMAT_5_LEVEL, type FormatFact } from '../format/index.ts';
import type { Choice, ControlFlag, FlagOption, TableOptions } from './choice.ts';
import { parseHex } from './parse.ts';

/**
 * The flags that concern a format, as they stand.
 *
 * @param registers - by the manual's name: the option that holds each, and its value in effect
 */
export function controlFlags<R extends string>(
  facts: readonly ControlFlagFact<R>[],
  format: FormatFact,
  registers: Readonly<Record<R, readonly [option: FlagOption, value: bigint]>>,
): ControlFlag[] {
  return facts
    .filter(({ formats }) => formats === undefined || formats.includes(format))
    .map(({ register, name, bit, meaning, source }) => {
      const [option, value] = registers[register];
      const on = ((value >> BigInt(bit)) & 1n) !== 0n;
      return { register, name, option, bit, meaning, source, on, value };
    });
}

/**
 * The options under which `choosePaging` chooses the same tables of the same machine with one bit flipped; all else is as it
 * was in effect. A register that was assumed is given then, as it was assumed. To flip a second flag, flip it in these options.
 *
 * @param options - with which the session was chosen, or what this function made of them
 * @param flag - one of `session.flags`
 */
export function flipFlag(session: Choice, options: TableOptions, flag: ControlFlag): TableOptions {
  const given = options[flag.option];
  const value = given === undefined ? flag.value : parseHex(`--${flag.option}`, given);
  // That an image names five levels counts only while CR4 is not given.
  const five = flag.option === 'cr4' && session.spaces[0].paging.format.fact === FORMAT_5_LEVEL;
  return {
    ...options,
    ...(five && options.mode === undefined ? { mode: FORMAT_5_LEVEL.name } : {}),
    [flag.option]: hex(value ^ (1n << BigInt(flag.bit))),
  };
}
