import { addressOf, hex64 } from 'tablewalk/bits';
import { rightsText } from 'tablewalk/format';
import type { PageMeaning } from 'tablewalk/inspect';

/** What a range of addresses means, in words: `0x…, user r--, supervisor rw-, WB, global`. */
export function meaningText(
  meaning: PageMeaning | undefined,
  [user, supervisor]: readonly [string, string],
): string {
  if (meaning === undefined) return 'not mapped';
  switch (meaning.kind) {
    case 'mapped': {
      const { frame, rights, memoryType, global } = meaning;
      const who = `${user} ${rightsText(rights, true)}, ${supervisor} ${rightsText(rights, false)}`;
      return `${hex64(addressOf(frame))}, ${who}, ${memoryType}${global ? ', global' : ''}`;
    }
    case 'missing':
      return `not in image: the table at ${hex64(addressOf(meaning.frame))}`;
    case 'faulty':
      return 'reserved bits: every access faults';
  }
}
