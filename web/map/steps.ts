import { HOLE } from './atlas.ts';
import type { View } from './draw.ts';
import type { Piece, Scale } from './scale.ts';

/** All of the map. */
export const WHOLE: View = { from: 0, to: 1 };

/** The tables that fill what is seen, from the root down. */
export function crumbsOf(scale: Scale, view: View): Piece[] {
  const middle = (view.from + view.to) / 2;
  const slack = (view.to - view.from) * 1e-6;
  return scale
    .path(middle)
    .filter(({ left, right, depth }) => depth >= 0 && left <= view.from + slack && right >= view.to - slack)
    .filter(({ cell }) => cell !== HOLE);
}

/** What keys do something to. */
interface KeyContext {
  readonly scale: Scale;
  readonly view: View;
  readonly chosen: Piece | undefined;
  readonly crumbs: readonly Piece[];
  setChosen(piece: Piece | undefined): void;
  show(piece: Piece): void;
  open(piece: Piece, position: number): void;
  move(view: View, isStep?: boolean): void;
  zoomAt(factor: number, at: number): void;
}

/** What a key does on the map; `false` if nothing. */
export function keyStep(event: KeyboardEvent, context: KeyContext): boolean {
  const { scale, view, chosen, crumbs, setChosen, show, open, move, zoomAt } = context;
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const around = () => piecesIn(scale, view, crumbs[crumbs.length - 1]);
  const beside = (by: 1 | -1) => {
    const pieces = around();
    if (pieces.length === 0) return;
    const i = pieces.findIndex((one) => chosen !== undefined && one.left === chosen.left);
    const next = i < 0 ? (by > 0 ? 0 : pieces.length - 1) : Math.min(Math.max(i + by, 0), pieces.length - 1);
    setChosen(pieces[next]);
  };
  const up = () => {
    const above = crumbs[crumbs.length - 2];
    if (above === undefined) move(WHOLE, true);
    else show(above);
  };
  switch (event.key) {
    case 'ArrowRight':
      beside(1);
      return true;
    case 'ArrowLeft':
      beside(-1);
      return true;
    case 'ArrowDown':
    case 'Enter':
      if (chosen === undefined) beside(1);
      else open(chosen, (chosen.left + chosen.right) / 2);
      return true;
    case 'ArrowUp':
    case 'Escape':
    case 'Backspace':
      up();
      return true;
    case '+':
    case '=':
      zoomAt(
        0.5,
        chosen === undefined ? 0.5 : ((chosen.left + chosen.right) / 2 - view.from) / (view.to - view.from),
      );
      return true;
    case '-':
      zoomAt(2, 0.5);
      return true;
    case 'Home':
    case '0':
      move(WHOLE, true);
      return true;
  }
  return false;
}

/** The pieces of the table that is seen, or of the roots, as far as they are in view. */
function piecesIn(scale: Scale, view: View, above: Piece | undefined): Piece[] {
  const pieces: Piece[] = [];
  const take = (piece: Piece) => {
    if (piece.right > view.from && piece.left < view.to) pieces.push(piece);
  };
  if (above === undefined || above.child < 0) scale.top(view.from, view.to, take);
  else scale.below(above, view.from, view.to, take);
  return pieces;
}
