import { PageTableError } from '../bits/index.ts';
import type { TableReadOps } from '../memory/index.ts';
import type { Architecture } from './architecture.ts';
import { isPlainMemory, MemoryPath } from './memory-path.ts';
import { OperationPath, type TablePath } from './table-path.ts';

const METHODS = ['entryAddr', 'readEntry', 'toPhys', 'fromPhys', 'rootTable'] as const;

/**
 * A path from a root down.
 *
 * @param operation - what was called, for errors
 * @param ops - of the store
 * @param root - a table; the operations' own unless given
 */
export function pathOf<A>(
  operation: string,
  architecture: Architecture,
  ops: TableReadOps<A>,
  root?: { readonly table: A },
): TablePath {
  // Addresses of a memory's operations are physical ones.
  if (isPlainMemory(ops)) return new MemoryPath(architecture, ops, root?.table as bigint | undefined);
  const missing = METHODS.find((name) => typeof ops?.[name] !== 'function');
  if (missing === undefined) return new OperationPath(architecture, ops, root);
  throw new PageTableError(
    'BAD_ARGUMENT',
    `${operation}: operations without ${missing}; expected TableReadOps`,
  );
}
