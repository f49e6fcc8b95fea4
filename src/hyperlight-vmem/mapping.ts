/** A page with rights of its own. `readable` is not kept: what is mapped can be read. */
export interface BasicMapping {
  readonly kind: 'Basic';
  readonly readable: boolean;
  readonly writable: boolean;
  readonly executable: boolean;
}

/** A page to be copied before it is written to: until then writes fault. */
export interface CowMapping {
  readonly kind: 'Cow';
  readonly readable: boolean;
  readonly executable: boolean;
}

/** No page. */
export interface UnmappedMapping {
  readonly kind: 'Unmapped';
}

/** What a page is mapped as. */
export type MappingKind = UnmappedMapping | BasicMapping | CowMapping;

/** A range of virtual addresses and the physical ones that it leads to. */
export interface Mapping {
  /** First physical byte address, 64 bits. */
  readonly physBase: bigint;
  /** First virtual byte address, 64 bits; those above bit 47 do not count. */
  readonly virtBase: bigint;
  /** Bytes. */
  readonly len: bigint;
  readonly kind: MappingKind;
}

/** An address space, by the physical byte address of its root. */
export type SpaceId = bigint;

/** Where an address space uses a table that another one, or itself at another place, uses as well. */
export interface SpaceReferenceMapping {
  /** Which tables those are: 0 the roots, 3 the last. */
  readonly depth: number;
  /** Who came to the table first. */
  readonly space: SpaceId;
  /** Virtual byte address at which this space entered the table. */
  readonly ourVa: bigint;
  /** Virtual byte address at which the other one did. */
  readonly theirVa: bigint;
}

/** A mapping of a space of its own, or a table that it shares. */
export type SpaceAwareMapping =
  | { readonly kind: 'ThisSpace'; readonly mapping: Mapping }
  | { readonly kind: 'AnotherSpace'; readonly reference: SpaceReferenceMapping };

/**
 * Joins mappings that go on where the one before ends, virtually and physically, and are of the same kind.
 *
 * @param mappings - ascending, as `virtToPhys` gives them
 */
export function* mergedMappings(mappings: Iterable<Mapping>): Generator<Mapping, void, undefined> {
  let last: Mapping | undefined;
  for (const next of mappings) {
    if (last !== undefined && continues(last, next)) {
      last = { ...last, len: last.len + next.len };
    } else {
      if (last !== undefined) yield last;
      last = { physBase: next.physBase, virtBase: next.virtBase, len: next.len, kind: next.kind };
    }
  }
  if (last !== undefined) yield last;
}

function continues(last: Mapping, next: Mapping): boolean {
  return (
    last.virtBase + last.len === next.virtBase &&
    last.physBase + last.len === next.physBase &&
    isSameKind(last.kind, next.kind)
  );
}

/** Whether two kinds are equal. */
export function isSameKind(a: MappingKind, b: MappingKind): boolean {
  if (a.kind === 'Unmapped' || b.kind === 'Unmapped') return a.kind === b.kind;
  return (
    a.kind === b.kind &&
    a.readable === b.readable &&
    a.executable === b.executable &&
    (a.kind === 'Cow' || b.kind === 'Cow' || a.writable === b.writable)
  );
}
