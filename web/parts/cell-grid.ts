/** Columns for a number of entries: no more rows than columns, or about so. */
export function columnsFor(count: number): number {
  return count <= 32 ? count : count <= 1024 ? 32 : count <= 2048 ? 64 : 128;
}

/** The entry to which a key leads on the grid; `undefined` if to none. */
export function cellAfterKey(count: number, current: number | undefined, key: string): number | undefined {
  const columns = columnsFor(count);
  const steps: Record<string, number> = {
    ArrowRight: 1,
    ArrowLeft: -1,
    ArrowDown: columns,
    ArrowUp: -columns,
    PageDown: columns * 4,
    PageUp: -columns * 4,
  };
  if (key === 'Home') return 0;
  if (key === 'End') return count - 1;
  const step = Object.hasOwn(steps, key) ? steps[key] : undefined;
  if (step === undefined) return undefined;
  return current === undefined ? 0 : Math.min(count - 1, Math.max(0, current + step));
}
