import { useRef, useState } from 'preact/hooks';
import type { FieldWords } from 'tablewalk/report';
import { MAX_CHANGES } from '../changes.ts';
import { useWidth } from '../map/use-canvas.ts';
import { type BitGroup, bitGroups, bitText, groupsIn, isNamed } from './bit-groups.ts';

/** The least width of a bit in CSS pixels, where there is room. */
const BIT = 21;

interface BitsProps {
  /** Name for those who listen: which entry it is. */
  readonly label: string;
  readonly value: bigint;
  /** Of the entry. */
  readonly bytes: 4 | 8;
  /** Lowest bit first. */
  readonly words: readonly FieldWords[];
  /** Bits that the scratch copy has otherwise. */
  readonly changed: ReadonlySet<number>;
  /** Whether no further bit can be flipped, only one that is flipped already flipped back. */
  readonly isFull: boolean;
  readonly flip: (bit: number) => void;
}

/** An entry bit by bit, highest first, by the manual's fields. Each bit is a button; arrow keys move between them. */
export function EntryBits({ label, value, bytes, words, changed, isFull, flip }: BitsProps) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const bits = bytes * 8;
  const [current, setCurrent] = useState(0);
  const [isRefused, setRefused] = useState(false);
  const columns = Math.min(bits, width === 0 ? 32 : ([64, 32].find((one) => one * BIT <= width) ?? 16));
  const groups = bitGroups(words, bits);
  const onKeyDown = (event: KeyboardEvent) => {
    const targets: Record<string, number> = {
      ArrowLeft: current + 1,
      ArrowRight: current - 1,
      ArrowUp: current + columns,
      ArrowDown: current - columns,
      Home: bits - 1,
      End: 0,
    };
    const next = Object.hasOwn(targets, event.key) ? targets[event.key] : -1;
    if (next < 0 || next >= bits || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    setCurrent(next);
    const button = box.current?.querySelector(`[data-bit="${next}"]`);
    if (button instanceof HTMLElement) button.focus();
  };
  const rows = [];
  for (let high = bits - 1; high > 0; high -= columns) {
    const parts = groupsIn(groups, high, high - columns + 1);
    rows.push(
      <div key={high} class="bit-row" style={{ gridTemplateColumns: `repeat(${columns}, 1fr)` }}>
        {parts.flatMap((group) => bitsOf(group))}
        {parts.map((group) => (
          <span
            key={`name ${group.high}`}
            class={nameClass(group, width / columns)}
            style={{ gridColumn: `span ${group.high - group.low + 1}` }}
            aria-hidden="true"
            title={group.words?.text}
          >
            <span>{nameOf(group)}</span>
          </span>
        ))}
      </div>,
    );
  }
  function bitsOf({ high, low, words: field }: BitGroup) {
    return Array.from({ length: high - low + 1 }, (_, i) => {
      const bit = high - i;
      const isSet = ((value >> BigInt(bit)) & 1n) === 1n;
      const isChanged = changed.has(bit);
      const text = bitText(bit, isSet, field);
      const isLocked = isFull && !isChanged;
      const does = isLocked ? FULL : isChanged ? 'Changed; flip back' : 'Flip in the scratch copy';
      const title = `${text}. ${does}`;
      const marks = [
        isSet && 'set',
        isChanged && 'changed',
        i === 0 && 'first',
        field?.shown !== true && 'rest',
      ];
      return (
        <button
          type="button"
          key={bit}
          class={`bit ${marks.filter(Boolean).join(' ')}`}
          data-bit={bit}
          data-value={isSet ? 1 : 0}
          tabIndex={bit === current ? 0 : -1}
          aria-label={title}
          title={title}
          onFocus={() => setCurrent(bit)}
          aria-disabled={isLocked}
          onClick={() => {
            setRefused(isLocked);
            if (!isLocked) flip(bit);
          }}
        />
      );
    });
  }
  return (
    <div ref={box} class="bits" role="toolbar" aria-label={`Bits of ${label}`} onKeyDown={onKeyDown}>
      {rows}
      {changed.size > 0 && (
        <p class="bits-changed">
          Changed in the scratch copy: {changed.size === 1 ? 'bit' : 'bits'}{' '}
          {[...changed].toSorted((a, b) => b - a).join(', ')}
        </p>
      )}
      {isRefused && isFull && (
        <p class="bits-changed" role="alert">
          Nothing is flipped: {FULL[0].toLowerCase()}
          {FULL.slice(1)}. Undo one first.
        </p>
      )}
    </div>
  );
}

/** Said of a bit that cannot be flipped. */
const FULL = `There can be no more than ${MAX_CHANGES} changes`;

/** Pixels of a letter of a name, and of what surrounds it. */
const LETTER = 6.2;
const EDGES = 3;
/** Pixels at which enough of a name is seen. */
const CUT = 24;

function nameOf({ words }: BitGroup): string {
  return words?.field.name ?? 'not used';
}

/**
 * How a name is written below its bits: turned where it is longer than they are wide. What has no name of its own (`ignored`)
 * is cut instead where there is room for some of it.
 */
function nameClass(group: BitGroup, bit: number): string {
  const room = (group.high - group.low + 1) * bit - EDGES;
  const isCut = bit > 0 && nameOf(group).length * LETTER > room;
  const marks = [
    group.words?.shown !== true && 'rest',
    isCut && (room < CUT || (group.words !== undefined && isNamed(group.words))) && 'turned',
  ];
  return `bit-name ${marks.filter(Boolean).join(' ')}`;
}

/** The fields of an entry with their values and what they mean, in the words of `explain`. */
export function FieldList({
  words,
  value,
}: {
  readonly words: readonly FieldWords[];
  readonly value: bigint;
}) {
  const isAbsent = words.length === 1;
  return (
    <ul class="field-list">
      {words
        .filter(({ shown }) => shown)
        .map((one) => (
          <li key={one.field.low}>
            <span class="where">{one.place}</span>{' '}
            <span>
              {isNamed(one) && <strong>{one.field.name}</strong>} = <span class="mono">{one.value}</span>{' '}
              {one.meaning}
            </span>
          </li>
        ))}
      <li class="where">
        {!isAbsent
          ? 'all other bits 0'
          : value === 0n
            ? 'the entry is 0'
            : 'the processor ignores the other bits'}
      </li>
    </ul>
  );
}
