import { useEffect, useState } from 'preact/hooks';
import { AARCH64_OPTIONS, RISCV_OPTIONS, type TableOptions, X86_OPTIONS } from 'tablewalk/session';
import { MAX_CHANGES } from './changes.ts';
import type { Change, RegionFilter, TableAt } from './protocol.ts';

/** The panels below the map. */
export const PANELS = ['walk', 'table', 'regions', 'find', 'try', 'image'] as const;

/** One of {@link PANELS}. */
export type Panel = (typeof PANELS)[number];

/** Where the reader is: all of it stands in the URL's fragment, so that it can be passed on and gone back to. */
export interface Place {
  /** A sample that ships; with any other file, the reader opens it again. */
  readonly sample: string | undefined;
  readonly panel: Panel;
  /** Linear byte address that is looked at. */
  readonly address: bigint | undefined;
  /** Linear pages that the map shows; all if not given. */
  readonly zoom: { readonly first: number; readonly last: number } | undefined;
  readonly table: TableAt | undefined;
  readonly entry: number | undefined;
  readonly filter: RegionFilter;
  /** Physical byte address that is looked for. */
  readonly physical: bigint | undefined;
  readonly changes: readonly Change[];
  /** Registers and the like that the reader gave. */
  readonly options: TableOptions;
}

/** The filter that lists everything. */
export const NO_FILTER: RegionFilter = { range: '', rights: '', size: '', minSize: '', merge: '' };

/** Where a reader begins. */
export const START: Place = {
  sample: undefined,
  panel: 'walk',
  address: undefined,
  zoom: undefined,
  table: undefined,
  entry: undefined,
  filter: NO_FILTER,
  physical: undefined,
  changes: [],
  options: {},
};

/** Options that a fragment may hold: those of the command's that are about page tables. */
const OPTIONS = [...new Set([...X86_OPTIONS, ...AARCH64_OPTIONS, ...RISCV_OPTIONS, 'cpu', 'physBits'])];
/** Of those, the ones that are no texts, and their only value. */
const FLAGS: Readonly<Record<string, boolean>> = {
  amd: true,
  page1gb: false,
  pse36: false,
  svnapot: false,
  svpbmt: false,
};

/** A place as a fragment, without `#`. */
export function toFragment(place: Place): string {
  const parts = new URLSearchParams();
  const add = (name: string, value: string | undefined) => {
    if (value !== undefined && value !== '') parts.set(name, value);
  };
  add('sample', place.sample);
  add('panel', place.panel);
  add('va', place.address?.toString(16));
  add('zoom', place.zoom && `${place.zoom.first.toString(16)}-${place.zoom.last.toString(16)}`);
  add('table', place.table && tableText(place.table));
  add('entry', place.entry?.toString());
  for (const [name, value] of Object.entries(place.filter)) add(name, value);
  add('pa', place.physical?.toString(16));
  add('try', place.changes.map(changeText).join('*'));
  for (const [name, value] of Object.entries(place.options)) {
    add(`o.${name}`, typeof value === 'boolean' ? 'set' : value);
  }
  return parts.toString();
}

/** The place that a fragment names. What is not understood is passed over: anybody can make one. */
export function fromFragment(fragment: string): Place {
  const parts = new URLSearchParams(fragment.replace(/^#/, ''));
  const hex = (name: string) => {
    const text = parts.get(name) ?? '';
    return /^[0-9a-f]{1,16}$/i.test(text) ? BigInt(`0x${text}`) : undefined;
  };
  const zoom = /^([0-9a-f]{1,13})-([0-9a-f]{1,13})$/i.exec(parts.get('zoom') ?? '');
  const options: Record<string, string | boolean> = {};
  for (const name of OPTIONS) {
    const text = parts.get(`o.${name}`);
    if (text !== null) options[name] = FLAGS[name] ?? text.slice(0, 64);
  }
  const sample = parts.get('sample') ?? undefined;
  return {
    sample: sample !== undefined && /^[a-z0-9-]{1,64}$/.test(sample) ? sample : undefined,
    panel: PANELS.find((one) => one === parts.get('panel')) ?? 'walk',
    address: hex('va'),
    zoom:
      zoom === null ? undefined : { first: Number.parseInt(zoom[1], 16), last: Number.parseInt(zoom[2], 16) },
    table: parseTable(parts.get('table') ?? ''),
    entry: parseIndex(parts.get('entry') ?? ''),
    filter: {
      range: (parts.get('range') ?? '').slice(0, 64),
      rights: (parts.get('rights') ?? '').slice(0, 16),
      size: (parts.get('size') ?? '').slice(0, 16),
      minSize: (parts.get('minSize') ?? '').slice(0, 32),
      merge: (parts.get('merge') ?? '').slice(0, 16),
    },
    physical: hex('pa'),
    changes: (parts.get('try') ?? '')
      .split('*')
      .slice(0, MAX_CHANGES)
      .flatMap((text) => parseChange(text) ?? []),
    options,
  };
}

/** The place, and a way to go to another. `replace` makes no step in the browser's history. */
export function usePlace(): [Place, Go] {
  const [place, setPlace] = useState(() => fromFragment(location.hash));
  useEffect(() => {
    const listen = () => setPlace(fromFragment(location.hash));
    addEventListener('popstate', listen);
    addEventListener('hashchange', listen);
    return () => {
      removeEventListener('popstate', listen);
      removeEventListener('hashchange', listen);
    };
  }, []);
  const [go] = useState(() => (to: Partial<Place>, replace = false) => {
    const next = { ...fromFragment(location.hash), ...to };
    const fragment = `#${toFragment(next)}`;
    if (fragment === location.hash) return;
    history[replace ? 'replaceState' : 'pushState'](null, '', fragment);
    setPlace(next);
  });
  return [place, go];
}

/** Goes to another place: what is not given stays. */
export type Go = (to: Partial<Place>, replace?: boolean) => void;

function tableText({ space, depth, frame }: TableAt): string {
  return `${space}.${depth}.${frame.toString(16)}`;
}

function parseTable(text: string): TableAt | undefined {
  const match = /^([01])\.([0-4])\.([0-9a-f]{1,13})$/i.exec(text);
  return match === null
    ? undefined
    : { space: Number(match[1]), depth: Number(match[2]), frame: Number.parseInt(match[3], 16) };
}

function parseIndex(text: string): number | undefined {
  return /^[0-9]{1,5}$/.test(text) ? Number(text) : undefined;
}

function changeText(change: Change): string {
  return change.kind === 'flag'
    ? `${change.register}.${change.name}`
    : `${tableText(change.at)}.${change.index}.${change.bit}`;
}

function parseChange(text: string): Change | undefined {
  const entry = /^(.*)\.([0-9]{1,5})\.([0-9]{1,2})$/.exec(text);
  const at = entry === null ? undefined : parseTable(entry[1]);
  if (entry !== null && at !== undefined && Number(entry[3]) < 64) {
    return { kind: 'entry', at, index: Number(entry[2]), bit: Number(entry[3]) };
  }
  const flag = /^([A-Za-z0-9_]{1,16})\.([A-Za-z0-9_]{1,16})$/.exec(text);
  return flag === null ? undefined : { kind: 'flag', register: flag[1], name: flag[2] };
}
