/**
 * A mapper that is a plain dictionary, as the one under the provided methods of the recorded sequences: keyed by the first address of
 * the linear page; a new mapping is present, read-only, executable, and not committed.
 */
import { PageTableError } from '../../src/bits/index.ts';
import {
  type Alloc,
  Handle,
  Map,
  type PAddr,
  type Page,
  type PageFlags,
  type Size,
  type VAddr,
} from '../../src/hal-core/index.ts';
import { REENTRY } from '../../src/hal-core/reentry.ts';

/** What the dictionary holds for a page. */
export class Mapping implements PageFlags {
  readonly phys: Page<PAddr>;
  present = true;
  writable = false;
  executable = true;
  commits = 0;
  private readonly log: string[];

  constructor(phys: Page<PAddr>, log: string[]) {
    this.phys = phys;
    this.log = log;
  }

  setPresent(present: boolean): void {
    this.present = present;
  }

  setWritable(writable: boolean): void {
    this.writable = writable;
  }

  setExecutable(executable: boolean): void {
    this.executable = executable;
  }

  isPresent(): boolean {
    return this.present;
  }

  isWritable(): boolean {
    return this.writable;
  }

  isExecutable(): boolean {
    return this.executable;
  }

  commit(page: Page<VAddr>): void {
    this.commits += 1;
    this.log.push(`commit ${at(page)}`);
  }
}

/** The first address of a page, for texts. */
export const at = (page: Page): string => page.baseAddr().asUsize().toString(16);

export class DictionaryMapper<S extends Size = Size> extends Map<S, Alloc<S>, Mapping> {
  readonly mappings = new globalThis.Map<bigint, Mapping>();
  /** What was called, in order. */
  readonly log: string[] = [];

  mapPage(virt: Page<VAddr, S>, phys: Page<PAddr, S>, _frameAlloc: Alloc<S>): Handle<S, Mapping> {
    this[REENTRY].refuse('mapPage');
    if (this.mappings.has(key(virt)))
      throw new PageTableError('ALREADY_MAPPED', `mapPage: ${virt} is mapped`);
    const mapping = new Mapping(phys, this.log);
    this.mappings.set(key(virt), mapping);
    this.log.push(`map ${at(virt)} ${at(phys)}`);
    return new Handle(virt, mapping);
  }

  flagsMut(virt: Page<VAddr, S>): Handle<S, Mapping> {
    return new Handle(virt, this.find('flagsMut', virt));
  }

  unmap(virt: Page<VAddr, S>): Page<PAddr, S> {
    const { phys } = this.find('unmap', virt);
    this.mappings.delete(key(virt));
    this.log.push(`unmap ${at(virt)}`);
    return phys as Page<PAddr, S>;
  }

  private find(operation: string, virt: Page<VAddr, S>): Mapping {
    this[REENTRY].refuse(operation);
    const mapping = this.mappings.get(key(virt));
    if (mapping !== undefined) return mapping;
    throw new PageTableError('NOT_MAPPED', `${operation}: ${virt} is not mapped`);
  }
}

export const key = (page: Page): bigint => page.baseAddr().asUsize();
