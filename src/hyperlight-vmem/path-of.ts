import { hex, PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import type { TableOps, TableReadOps } from '../memory/index.ts';
import type { Architecture } from './architecture.ts';
import { MemoryPath, plainMemory } from './memory-path.ts';
import { OperationPath, WritableOperationPath } from './operation-path.ts';
import type { TablePath, WritablePath } from './table-path.ts';

const READ_METHODS = ['entryAddr', 'readEntry', 'toPhys', 'fromPhys', 'rootTable'] as const;
const WRITE_METHODS = [...READ_METHODS, 'allocTable', 'writeEntry'] as const;

/** A path from the operations' own root down. */
export function pathOf<A>(operation: string, architecture: Architecture, ops: TableReadOps<A>): TablePath {
  const memory = plainMemory(ops);
  if (memory !== undefined) return new MemoryPath(architecture, memory, memory.rootTable());
  expectMethods(operation, ops, READ_METHODS, 'TableReadOps');
  return new OperationPath(architecture, ops, ops.rootTable());
}

/**
 * A path from another root down.
 *
 * @param root - a table whose address is a multiple of 4096
 */
export function pathFrom<A>(
  operation: string,
  architecture: Architecture,
  ops: TableReadOps<A>,
  root: A,
): TablePath {
  const memory = plainMemory(ops);
  if (memory === undefined) expectMethods(operation, ops, READ_METHODS, 'TableReadOps');
  if (root === undefined || root === null) throw wrongKind(operation, root, 'a root');
  const phys = ops.toPhys(root);
  if (typeof phys !== 'bigint') throw wrongKind(`${operation}: toPhys returned`, phys, 'a bigint');
  if ((phys & 0xfffn) !== 0n) {
    throw new PageTableError(
      'MISALIGNED',
      `${operation}: root at ${hex(phys)}; expected a multiple of 4096`,
      {
        root: phys,
      },
    );
  }
  return memory === undefined
    ? new OperationPath(architecture, ops, root)
    : new MemoryPath(architecture, memory, phys);
}

/** A path from the operations' own root down, to write. */
export function writablePathOf<A>(
  operation: string,
  architecture: Architecture,
  ops: TableOps<A>,
): WritablePath {
  const memory = plainMemory(ops);
  if (memory !== undefined) return new MemoryPath(architecture, memory, memory.rootTable());
  expectMethods(operation, ops, WRITE_METHODS, 'TableOps');
  const { tableMovability } = ops;
  if (tableMovability === 'MayMoveTable') expectMethods(operation, ops, ['updateRoot'], 'MovableTableOps');
  else if (tableMovability !== 'MayNotMoveTable') {
    throw wrongKind(
      `${operation}: tableMovability of the operations`,
      tableMovability,
      'MayMoveTable or MayNotMoveTable',
    );
  }
  return new WritableOperationPath(architecture, ops, ops.rootTable());
}

/** Refuses operations that lack a method. */
function expectMethods<T extends object>(
  operation: string,
  ops: T,
  names: readonly (keyof T & string)[],
  expected: string,
): void {
  const missing = names.find((name) => typeof ops?.[name] !== 'function');
  if (missing === undefined) return;
  throw new PageTableError(
    'BAD_ARGUMENT',
    `${operation}: operations without ${missing}; expected ${expected}`,
  );
}
