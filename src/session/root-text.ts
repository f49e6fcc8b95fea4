import type { Cpu, NamedRoot } from '../machine/index.ts';

/**
 * Where a root comes from, in words: the option that gave it, else the register that holds it, else the image that names it.
 *
 * @param option - as the command has it, where it was given
 * @param register - the manual's name, where it is known
 */
export function rootText(
  option: string | undefined,
  register: string | undefined,
  cpu: Cpu | undefined,
  named: NamedRoot | undefined,
): string {
  if (option !== undefined) return `--${option}`;
  return register === undefined
    ? `${named?.name} (${named?.source})`
    : `${register} of CPU ${cpu?.index ?? 0}`;
}

/** The first of some options that was given. */
export function firstGiven<T extends object, N extends keyof T & string>(
  options: T,
  names: readonly N[],
): N | undefined {
  return names.find((name) => options[name] !== undefined);
}
