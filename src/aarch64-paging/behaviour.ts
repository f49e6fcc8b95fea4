import { wrongKind } from '../bits/wrong-kind.ts';

/** What version 0.12.1 does otherwise than 0.5.0. */
const CHANGED = [
  'accessed-only-if-given',
  'invalid-leaves-have-no-address',
  'clean-split-of-empty-entries',
  'unknown-bits-survive-a-split',
  'no-level-0-blocks',
  'identical-blocks-stay',
  'unmapped-tables-are-freed',
  'violation-names-the-region',
  'errors-stay-themselves-while-active',
  'live-changes-by-masks',
  'live-changes-are-invalidated',
] as const;

/** What both versions do otherwise than they should. */
const FIXED = [
  'no-live-split',
  'no-live-change-of-address',
  'no-break-and-make-in-one-callback',
  'unnamed-bits-count',
  'leaves-stay-leaves',
  'top-of-the-upper-range',
  'no-underflow-of-addresses',
  'whole-linear-range-is-checked',
  'res1-is-set',
  'freed-tables-are-invalidated',
  'stores-before-invalidation',
  'invalidation-in-44-bits',
] as const;

/** One thing that the versions of the original do differently, or that is put right here: `docs/differences.md` has them all. */
export type BehaviourName = (typeof CHANGED)[number] | (typeof FIXED)[number];

/** What a map does, switch by switch. */
export type Behaviour = Readonly<Record<BehaviourName, boolean>>;

function row(...names: readonly (readonly BehaviourName[])[]): Behaviour {
  const on = new Set(names.flat());
  const all: readonly BehaviourName[] = [...CHANGED, ...FIXED];
  return Object.freeze(Object.fromEntries(all.map((name) => [name, on.has(name)])) as Behaviour & object);
}

/** The two versions of the original, byte for byte. */
export const BEHAVIOURS: { readonly '0.5.0': Behaviour; readonly '0.12.1': Behaviour } = {
  '0.5.0': row(),
  '0.12.1': row(CHANGED),
};

/** Version 0.5.0 as it should be: what maps made in its way do unless told otherwise. */
export const SEED: Behaviour = behaviourWith(row(CHANGED, FIXED), {
  'accessed-only-if-given': false,
  'invalid-leaves-have-no-address': false,
});

/** Version 0.12.1 as it should be: what maps made for a regime do unless told otherwise. */
export const MODERN: Behaviour = row(CHANGED, FIXED);

/**
 * A behaviour with some switches set otherwise.
 *
 * @param base - one of {@link BEHAVIOURS}, {@link SEED}, {@link MODERN}, or another one made like this
 * @param changes - by name
 * @throws {@link PageTableError} `BAD_ARGUMENT` for a name that there is not
 */
export function behaviourWith(base: Behaviour, changes: Partial<Behaviour>): Behaviour {
  for (const name of Object.keys(changes)) {
    if (!Object.hasOwn(BEHAVIOURS['0.5.0'], name))
      throw wrongKind('behaviourWith', name, 'the name of a behaviour');
  }
  return Object.freeze({ ...base, ...changes });
}
