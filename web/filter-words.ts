/** The word of `maps` for rights, taken apart: `user:rw` is what user may read and write. */
export interface RightsChoice {
  /** Of which privilege; `''` stands for either. */
  readonly who: '' | 'user' | 'super';
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
}

/** What a word asks for. Of a word that `maps` refuses, nothing. */
export function parseRightsWord(word: string): RightsChoice {
  const match = /^(?:(user|super):)?([rwx]*)$/.exec(word);
  const [who, letters] = match === null ? [undefined, ''] : [match[1], match[2]];
  return {
    who: who === 'user' || who === 'super' ? who : '',
    read: letters.includes('r'),
    write: letters.includes('w'),
    execute: letters.includes('x'),
  };
}

/** The word; `''` if no right is asked for, since `maps` knows no such word. */
export function rightsWord({ who, read, write, execute }: RightsChoice): string {
  const letters = `${read ? 'r' : ''}${write ? 'w' : ''}${execute ? 'x' : ''}`;
  return who === '' || letters === '' ? letters : `${who}:${letters}`;
}

/** Pages, the last one included, as `maps` has a range: `0x…-0x…`; an end of 0 is the end of the space. */
export function rangeWord({ first, last }: { readonly first: number; readonly last: number }): string {
  const digits = (page: number) => `0x${(BigInt(page % 2 ** 52) << 12n).toString(16)}`;
  return `${digits(first)}-${digits(last + 1)}`;
}
