import type { PAddr, VAddr } from './addr.ts';
import type { Page } from './page.ts';

/** A mapping, and what its entry allows now. */
export interface KnownMapping {
  readonly virt: Page<VAddr>;
  readonly phys: Page<PAddr>;
  writable: boolean;
  executable: boolean;
  present: boolean;
}

/** Mappings by linear page, and by what they have in common with a physical page of whatever size. */
export class PhysicalIndex {
  private readonly byVirt = new Map<string, KnownMapping>();
  /** By bytes of a page, then by its first physical address. */
  private readonly byPhys = new Map<bigint, Map<bigint, Set<KnownMapping>>>();

  /** The mapping of a linear page. */
  get(virt: Page<VAddr>): KnownMapping | undefined {
    return this.byVirt.get(String(virt));
  }

  /** Adds a mapping, in place of one of the same linear page. */
  add(mapping: KnownMapping): void {
    this.delete(mapping.virt);
    this.byVirt.set(String(mapping.virt), mapping);
    const bytes = mapping.phys.size().asUsize();
    const bases = this.byPhys.get(bytes) ?? new Map<bigint, Set<KnownMapping>>();
    const base = mapping.phys.baseAddr().asUsize();
    this.byPhys.set(bytes, bases.set(base, (bases.get(base) ?? new Set()).add(mapping)));
  }

  /** Removes the mapping of a linear page, if there is one. */
  delete(virt: Page<VAddr>): void {
    const mapping = this.get(virt);
    if (mapping === undefined) return;
    this.byVirt.delete(String(virt));
    const bases = this.byPhys.get(mapping.phys.size().asUsize());
    const base = mapping.phys.baseAddr().asUsize();
    const sharing = bases?.get(base);
    sharing?.delete(mapping);
    if (sharing?.size === 0) bases?.delete(base);
  }

  /** The mappings whose physical pages share memory with a physical page. */
  *overlapping(phys: Page<PAddr>): Generator<KnownMapping, void, undefined> {
    const first = phys.baseAddr().asUsize();
    const length = phys.size().asUsize();
    for (const [bytes, bases] of this.byPhys) {
      const start = first & ~(bytes - 1n);
      if (bytes >= length) {
        yield* bases.get(start) ?? [];
      } else if (length / bytes <= BigInt(bases.size)) {
        for (let base = first; base < first + length; base += bytes) yield* bases.get(base) ?? [];
      } else {
        for (const [base, sharing] of bases) if (base >= first && base < first + length) yield* sharing;
      }
    }
  }
}
