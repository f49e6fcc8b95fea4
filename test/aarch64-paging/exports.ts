// What the tests use, from where users have it.
export * from '../../src/aarch64-paging/index.ts';
export { PageTableError } from '../../src/bits/index.ts';
