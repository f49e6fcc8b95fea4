import { PageTableError } from '../bits/index.ts';

/** Text of a value in a message, at most. */
const MOST_TEXT = 60;
const NUMBER = /^0x[0-9a-f]{1,16}$/;

/** Reads fields of parsed JSON that may hold anything; every refusal names the place, what was expected and what was found. */
export class JsonReader {
  /** What is read, for messages: `space JSON`. */
  private readonly what: string;

  constructor(what: string) {
    this.what = what;
  }

  /** @throws {@link PageTableError} `BAD_ARGUMENT`, always */
  refuse(place: string, expected: string, found: unknown): never {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `${this.what}: ${place}: expected ${expected}, found ${textOf(found)}`,
    );
  }

  /** An object that has no other fields than those named. */
  object<N extends string>(
    place: string,
    value: unknown,
    names?: readonly N[],
  ): Readonly<Record<N, unknown>> {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return this.refuse(place, 'an object', value);
    }
    const other = names && Object.keys(value).find((name) => !names.some((one) => one === name));
    if (other !== undefined) this.refuse(place, `no field but ${names?.join(', ')}`, other);
    // Any object has fields by name; what they are is checked when they are read.
    return value as Readonly<Record<N, unknown>>;
  }

  list(place: string, value: unknown, most: number): readonly unknown[] {
    if (!Array.isArray(value)) return this.refuse(place, 'an array', value);
    // Holes become elements that are refused.
    if (value.length <= most) return Array.from(value);
    throw new PageTableError(
      'LIMIT_EXCEEDED',
      `${this.what}: ${place}: expected at most ${most} elements, found ${value.length}`,
      { most, found: value.length },
    );
  }

  text<T extends string>(place: string, value: unknown, of?: readonly T[]): T {
    const isKnown =
      typeof value === 'string' && value.length <= 200 && (!of || of.some((one) => one === value));
    // Checked: a string, and one of the list where there is one.
    return isKnown
      ? (value as T)
      : this.refuse(place, of ? `one of ${of.join(', ')}` : 'a short text', value);
  }

  boolean(place: string, value: unknown): boolean {
    return typeof value === 'boolean' ? value : this.refuse(place, 'true or false', value);
  }

  /** A whole number in `[0, end)`. */
  count(place: string, value: unknown, end: number): number {
    const isFit = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < end;
    return isFit ? value : this.refuse(place, `a whole number in [0, ${end})`, value);
  }

  /** An unsigned 64-bit number, as `0x` and hexadecimal digits. */
  wide(place: string, value: unknown): bigint {
    const isFit = typeof value === 'string' && NUMBER.test(value);
    return isFit ? BigInt(value) : this.refuse(place, '0x and at most 16 hexadecimal digits', value);
  }
}

function textOf(value: unknown): string {
  const text = typeof value === 'object' && value !== null ? 'an object or array' : String(value);
  const short = text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text;
  return typeof value === 'string' ? `'${short}'` : short;
}
