import { useEffect, useId, useState } from 'preact/hooks';
import { MERGE_RULES } from 'tablewalk/inspect';
import { pageSizeText } from 'tablewalk/report';
import { parseRightsWord, type RightsChoice, rangeWord, rightsWord } from '../filter-words.ts';
import type { RegionFilter, SpaceInfo } from '../protocol.ts';
import { NO_FILTER } from '../state.ts';
import type { PanelProps } from './panel.ts';

/** What writable and executable pages are asked for with. */
const W_X = 'wx';

/** The filter in the words of `maps`. What is chosen counts at once, what is written when the field is left. */
export function RegionFilterForm({ tables, place, go }: PanelProps) {
  const { filter, zoom } = place;
  const set = (more: Partial<RegionFilter>) => go({ filter: { ...filter, ...more } });
  const merge = filter.merge === '' ? 'physical' : filter.merge;
  const isAll = Object.values(filter).every((text) => text === '');
  return (
    <form class="filter" aria-label="Filter" onSubmit={(event) => event.preventDefault()}>
      <TextField
        label="Range"
        example="FIRST-END or FIRST+2M"
        width={38}
        value={filter.range}
        set={(range) => set({ range })}
      />
      <TextField
        label="Minimal size"
        example="2M"
        width={9}
        value={filter.minSize}
        set={(minSize) => set({ minSize })}
      />
      <Choice
        label="Page size"
        value={filter.size}
        options={[['', 'any'], ...pageSizes(tables.spaces).map((size) => [size, size] as const)]}
        set={(size) => set({ size })}
      />
      <Choice
        label="One row for"
        value={merge}
        options={MERGE_RULES.map((rule) => [rule, MERGE_NAMES[rule]] as const)}
        set={(rule) => set({ merge: rule === 'physical' ? '' : rule })}
      />
      <RightsField
        word={filter.rights}
        privileges={tables.spaces[0].privileges}
        set={(rights) => set({ rights })}
      />
      <div class="buttons">
        <button
          type="button"
          aria-pressed={filter.rights === W_X}
          onClick={() => set({ rights: filter.rights === W_X ? '' : W_X })}
        >
          Only W+X
        </button>
        <button
          type="button"
          disabled={zoom === undefined || filter.range === rangeWord(zoom)}
          title="The range that the map shows"
          onClick={() => zoom !== undefined && set({ range: rangeWord(zoom) })}
        >
          In view of the map
        </button>
        <button type="button" disabled={isAll} onClick={() => go({ filter: NO_FILTER })}>
          No filter
        </button>
      </div>
    </form>
  );
}

/** What each rule of `--merge` keeps apart, in short; what it says in full stands above the list. */
const MERGE_NAMES: Readonly<Record<(typeof MERGE_RULES)[number], string>> = {
  rights: 'rights alone',
  physical: 'physical: and frames, type',
  size: 'size: and page size',
  attributes: 'attributes: and accessed, dirty',
  none: 'none: each page',
};

/** The page sizes that every space has, as `maps` takes them. */
function pageSizes(spaces: readonly SpaceInfo[]): string[] {
  return spaces[0].pageShifts
    .filter((shift) => spaces.every(({ pageShifts }) => pageShifts.includes(shift)))
    .map(pageSizeText);
}

interface TextFieldProps {
  readonly label: string;
  readonly example: string;
  /** In characters. */
  readonly width: number;
  readonly value: string;
  set(value: string): void;
}

function TextField({ label, example, width, value, set }: TextFieldProps) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return (
    <label>
      <span>{label}</span>
      <input
        type="text"
        value={text}
        style={{ width: `${width}ch` }}
        placeholder={example}
        spellcheck={false}
        autocomplete="off"
        onInput={(event) => setText(event.currentTarget.value)}
        onChange={(event) => set(event.currentTarget.value.trim())}
      />
    </label>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  /** What is chosen, and what is shown. */
  readonly options: readonly (readonly [value: string, text: string])[];
  set(value: string): void;
}

function Choice({ label, value, options, set }: ChoiceProps) {
  // A place may name something else; the worker says then what is expected.
  const all = options.some(([one]) => one === value) ? options : [...options, [value, value] as const];
  return (
    <label>
      <span>{label}</span>
      <select value={value} onChange={(event) => set(event.currentTarget.value)}>
        {all.map(([one, text]) => (
          <option key={one} value={one}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

interface RightsFieldProps {
  /** As `maps` takes it. */
  readonly word: string;
  readonly privileges: readonly [user: string, supervisor: string];
  set(word: string): void;
}

/** Rights that a row must have, of one privilege or of either. */
function RightsField({ word, privileges: [user, supervisor], set }: RightsFieldProps) {
  const id = useId();
  const [who, setWho] = useState(() => parseRightsWord(word).who);
  useEffect(() => {
    if (word !== '') setWho(parseRightsWord(word).who);
  }, [word]);
  const choice: RightsChoice = { ...parseRightsWord(word), who };
  const kinds = ['read', 'write', 'execute'] as const;
  return (
    <fieldset class="rights" aria-labelledby={id}>
      <span id={id}>Rights of</span>
      <div>
        <select
          aria-label="Whose rights"
          value={who}
          onChange={(event) => {
            const next = parseRightsWord(`${event.currentTarget.value}:`).who;
            setWho(next);
            set(rightsWord({ ...choice, who: next }));
          }}
        >
          <option value="">either</option>
          <option value="user">{user}</option>
          <option value="super">{supervisor}</option>
        </select>
        {kinds.map((kind) => (
          <label key={kind}>
            <input
              type="checkbox"
              checked={choice[kind]}
              aria-label={kind}
              onChange={(event) => set(rightsWord({ ...choice, [kind]: event.currentTarget.checked }))}
            />
            <span class="mono" aria-hidden="true">
              {kind === 'execute' ? 'x' : kind[0]}
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
