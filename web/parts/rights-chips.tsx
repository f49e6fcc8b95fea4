import { rightsText } from 'tablewalk/format';

interface ChipsProps {
  /** Effective rights, as in `tablewalk/format`. */
  readonly rights: number;
  /** Names: of the user's privilege, then of the kernel's. */
  readonly privileges: readonly [user: string, supervisor: string];
  /** Rights before something was taken away: what is missing since then stands out. */
  readonly before?: number;
}

const NAMES = { r: 'read', w: 'write', x: 'execute' } as const;

/** Rights of both privileges, one chip a right. */
export function RightsChips({ rights, privileges, before = rights }: ChipsProps) {
  return (
    <span class="chips">
      {privileges.map((name, i) => {
        const isUser = i === 0;
        const held = rightsText(rights, isUser);
        const had = rightsText(before, isUser);
        return (
          <span key={name} class="who">
            <span aria-hidden="true">{name}</span>
            {(['r', 'w', 'x'] as const).map((letter, k) => {
              const isHeld = held[k] === letter;
              const isTaken = !isHeld && had[k] === letter;
              const state = isHeld ? 'held' : isTaken ? 'taken' : 'gone';
              return (
                <span
                  key={letter}
                  class={`right ${state}`}
                  aria-hidden="true"
                  title={`${name} ${NAMES[letter]}: ${isHeld ? 'possible' : isTaken ? 'taken away here' : 'not possible'}`}
                >
                  {isHeld || isTaken ? letter : '-'}
                </span>
              );
            })}
            <span class="hidden">
              {name} {held}
              {held === had ? '' : `, was ${had}`}
            </span>
          </span>
        );
      })}
    </span>
  );
}
