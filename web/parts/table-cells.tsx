import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { cellLook } from '../map/cell-look.ts';
import { CanvasPainter, type Painter } from '../map/painter.ts';
import { usePalette, useWidth } from '../map/use-canvas.ts';
import { cellAfterKey, columnsFor } from './cell-grid.ts';

interface StripProps {
  /** What each entry is, as `cellLook` reads it; `undefined` while it is not known. */
  readonly cells: Uint8Array | undefined;
  readonly taken: number;
  /** What opening does, in words. */
  readonly label: string;
  readonly open: () => void;
}

/** Height of a strip, and of the mark above it, in CSS pixels. */
const STRIP = 20;
const MARK = 7;

/** Entries that lead to a table have a foot, so that they are told from empty ones without colour. */
const FOOT = 4;

/** All entries of a table in one line, with the taken one marked. */
export function TableStrip({ cells, taken, label, open }: StripProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(canvas);
  const palette = usePalette(canvas);
  useDrawing(canvas, width, STRIP + MARK, palette, [cells, taken], (painter) => {
    painter.rect(0, MARK, width, STRIP, 'hole');
    if (cells === undefined) return;
    const step = width / cells.length;
    cells.forEach((cell, i) => {
      const look = cellLook(cell);
      if (look === 'hole') return;
      painter.rect(i * step, MARK, Math.max(1, step), STRIP, look);
      if (step > 3) painter.rect(i * step, MARK, 1, STRIP, 'table-edge');
      if (look === 'table') painter.rect(i * step, MARK + STRIP - FOOT, Math.max(1, step), FOOT, 'faint');
    });
    const middle = (taken + 0.5) * step;
    const wide = Math.max(4, step);
    painter.rect(middle - wide / 2, 0, wide, MARK - 2, 'mark');
    painter.rect(middle - wide / 2, MARK, 1, STRIP, 'mark');
    painter.rect(middle + wide / 2 - 1, MARK, 1, STRIP, 'mark');
  });
  return (
    <button type="button" class="table-strip" aria-label={label} title={label} onClick={open}>
      <canvas ref={canvas} style={{ height: `${STRIP + MARK}px` }} />
    </button>
  );
}

/** Width of a cell of the grid at most, in CSS pixels. */
const CELL = 40;

interface GridProps {
  readonly cells: Uint8Array;
  readonly current: number | undefined;
  readonly label: string;
  /** An entry in words. */
  readonly textOf: (index: number) => string;
  /** An entry is looked at. */
  readonly choose: (index: number) => void;
  /** Enter or a double click: what the entry leads to is looked at. */
  readonly open: (index: number) => void;
}

/** All entries of a table as a grid of cells. */
export function TableGrid({ cells, current, label, textOf, choose, open }: GridProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(canvas);
  const palette = usePalette(canvas);
  const [hover, setHover] = useState<number>();
  const count = cells.length;
  const columns = columnsFor(count);
  const step = Math.min(width / columns, CELL);
  const height = Math.ceil(step * Math.ceil(count / columns));
  useDrawing(canvas, width, height, palette, [cells, current], (painter) => {
    const gap = step > 7 ? 1 : 0.5;
    cells.forEach((cell, i) => {
      const x = (i % columns) * step;
      const y = Math.floor(i / columns) * step;
      const look = cellLook(cell);
      painter.rect(x, y, step - gap, step - gap, look);
      if (look === 'table') {
        const foot = Math.max(1.5, Math.min(FOOT, step / 4));
        painter.rect(x, y + step - gap - foot, step - gap, foot, 'faint');
      }
    });
    if (current === undefined || current >= count) return;
    const x = (current % columns) * step - 1;
    const y = Math.floor(current / columns) * step - 1;
    const side = step + 1;
    for (const [inset, look] of [
      [-1, 'paper'],
      [0, 'mark'],
      [1, 'mark'],
    ] as const) {
      const length = side - 2 * inset;
      painter.rect(x + inset, y + inset, length, 1, look);
      painter.rect(x + inset, y + side - inset - 1, length, 1, look);
      painter.rect(x + inset, y + inset, 1, length, look);
      painter.rect(x + side - inset - 1, y + inset, 1, length, look);
    }
  });
  const cellAt = (event: MouseEvent) => {
    const column = Math.floor(event.offsetX / step);
    const index = Math.floor(event.offsetY / step) * columns + column;
    return column < columns && index >= 0 && index < count ? index : undefined;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = cellAfterKey(count, current, event.key);
    if (next !== undefined) choose(next);
    else if (event.key === 'Enter' && current !== undefined) open(current);
    else return;
    event.preventDefault();
  };
  const told = hover ?? current;
  return (
    <div class="table-grid">
      <div
        role="slider"
        tabIndex={0}
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={count - 1}
        aria-valuenow={current ?? 0}
        aria-valuetext={current === undefined ? 'none chosen' : textOf(current)}
        onKeyDown={onKeyDown}
      >
        <canvas
          ref={canvas}
          style={{ height: `${height}px`, maxWidth: `${columns * CELL}px` }}
          onClick={(event) => {
            const index = cellAt(event);
            if (index !== undefined) choose(index);
          }}
          onDblClick={(event) => {
            const index = cellAt(event);
            if (index !== undefined) open(index);
          }}
          onPointerMove={(event) => setHover(cellAt(event))}
          onPointerLeave={() => setHover(undefined)}
        />
      </div>
      <p class="told" aria-hidden="true">
        {told === undefined
          ? 'Arrow keys or a click choose an entry, Enter opens what it leads to.'
          : textOf(told)}
      </p>
    </div>
  );
}

/** Draws when something that is drawn, or the size, or the theme is another. */
function useDrawing(
  canvas: { readonly current: HTMLCanvasElement | null },
  width: number,
  height: number,
  palette: ReturnType<typeof usePalette>,
  drawn: readonly unknown[],
  draw: (painter: Painter) => void,
): void {
  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext('2d') ?? null;
    if (element === null || context === null || width === 0 || height === 0) return;
    const density = devicePixelRatio;
    element.width = Math.round(width * density);
    element.height = Math.round(height * density);
    draw(new CanvasPainter(context, palette, density));
  }, [width, height, palette, ...drawn]);
}
