import {
  type AtlasData,
  CLASS_NAMES,
  CLASSES,
  HAS_FAULTY,
  HAS_MISSING,
  HAS_WX,
  HOLE,
  isWx,
  LEAF,
  TABLE,
} from './atlas.ts';
import { cellLook } from './cell-look.ts';
import { FONT_SIZE, fitting, type Look, type Painter } from './painter.ts';
import { GAP, type Piece, type Scale } from './scale.ts';

/** Heights of the map's parts, in CSS pixels. */
const RAIL = 16;
const LANE = 20;
const BAND = 72;
const AXIS = 20;

/** What part of the scale is seen. */
export interface View {
  readonly from: number;
  readonly to: number;
}

/** What is drawn over the map. */
export interface Marks {
  /** Page of the address that is looked at. */
  readonly page: number | undefined;
  /** The piece that the keyboard has chosen. */
  readonly chosen: Piece | undefined;
}

/** Words for pieces, which need what the format is called. */
export interface Names {
  /** `PDE 432`. */
  entry(piece: Piece): string;
  /** `2M ×37 r-x`, `hole 128 TiB`. */
  content(piece: Piece): string;
  /** `0xffffffff81000000`. */
  address(page: number): string;
}

/** Tables narrower than this are one colour. */
const NARROW = 3;
/** In tables wider than this, all is drawn. */
const WIDE = 32;

/** Height of the whole map. */
export function mapHeight(scale: Scale): number {
  return RAIL + scale.levels * LANE + BAND + AXIS;
}

/** Where the lane of a depth begins. */
export function laneTop(depth: number): number {
  return RAIL + depth * LANE;
}

/** Draws the map. Time is bounded by the width, not by the tables. */
export function drawMap(
  scale: Scale,
  view: View,
  width: number,
  painter: Painter,
  names: Names,
  marks: Marks,
): void {
  new Drawing(scale, view, width, painter, names).draw(marks);
}

class Drawing {
  private readonly scale: Scale;
  private readonly view: View;
  private readonly width: number;
  private readonly painter: Painter;
  private readonly names: Names;
  private readonly bottom: number;
  /** By depth: the pixel column that is gathered, and the look of what is in it so far. */
  private readonly columns: Int32Array;
  private readonly looks: Look[];
  /** Right end of the last text on the axis. */
  private axisEnd = -1;
  /** Where something can be written and executed: left and right ends, in order. */
  private readonly risks: { left: number; right: number }[] = [];

  constructor(scale: Scale, view: View, width: number, painter: Painter, names: Names) {
    this.scale = scale;
    this.view = view;
    this.width = width;
    this.painter = painter;
    this.names = names;
    this.bottom = RAIL + scale.levels * LANE + BAND;
    this.columns = new Int32Array(scale.levels).fill(-1);
    this.looks = Array.from({ length: scale.levels }, (): Look => 'hole');
  }

  draw(marks: Marks): void {
    const { painter, width, bottom } = this;
    painter.rect(0, 0, width, bottom + AXIS, 'paper');
    painter.rect(0, RAIL, width, bottom - RAIL, 'hole');
    this.scale.top(this.view.from, this.view.to, this.visit);
    for (let depth = 0; depth < this.scale.levels; depth += 1) this.flush(depth);
    this.scale.top(this.view.from, this.view.to, this.label);
    this.drawRail();
    if (marks.chosen !== undefined) this.frame(marks.chosen);
    if (marks.page !== undefined) this.mark(marks.page);
  }

  private x(position: number): number {
    return ((position - this.view.from) / (this.view.to - this.view.from)) * this.width;
  }

  private readonly visit = (piece: Piece): void => {
    const left = Math.max(0, this.x(piece.left));
    const right = Math.min(this.width, this.x(piece.right));
    if (right <= left) return;
    if (right - left < 1) {
      this.gather(piece, left);
      return;
    }
    const { painter, bottom } = this;
    const top = piece.depth < 0 ? RAIL : laneTop(piece.depth);
    const look = this.lookOf(piece);
    if (piece.cell === TABLE) {
      painter.rect(left, top, right - left, LANE, 'table');
      if (right - left > 4) painter.rect(left, top, 1, LANE, 'table-edge');
      if (this.isShown(piece, right - left)) {
        this.scale.below(piece, this.view.from, this.view.to, this.visit);
        this.flush(piece.depth + 1);
      } else {
        painter.rect(left, top + LANE, right - left, bottom - top - LANE, look);
        this.rail(piece, left, right - left);
      }
      return;
    }
    if (look === 'hole') return;
    painter.rect(left, top, right - left, bottom - top, look);
    if (right - left > 3) painter.rect(left, top, 1, bottom - top, 'table-edge');
    this.rail(piece, left, right - left);
    this.separate(piece, top);
  };

  /** Whether there is room for what a table holds: of many runs that share few pixels, the table's own colour is as good. */
  private isShown({ space, child }: Piece, width: number): boolean {
    if (child < 0) return false;
    return width >= WIDE || (width >= NARROW && this.scale.atlases[space].riches[child] <= width * 8);
  }

  /** Draws where one page of a run ends and the next begins, where there is room. */
  private separate(piece: Piece, top: number): void {
    if (piece.cell < LEAF || piece.count < 2) return;
    const each = (this.x(piece.right) - this.x(piece.left)) / piece.count;
    if (each < 5) return;
    const left = this.x(piece.left);
    const first = Math.max(1, Math.floor(-left / each));
    const last = Math.min(piece.count - 1, Math.ceil((this.width - left) / each));
    for (let i = first; i <= last; i += 1) {
      this.painter.rect(left + i * each, top, 0.5, this.bottom - top, 'table-edge');
    }
  }

  /** Pieces of less than a pixel share one: what strikes most is seen. */
  private gather(piece: Piece, left: number): void {
    const depth = Math.max(0, piece.depth);
    const column = Math.floor(left);
    if (this.columns[depth] !== column) {
      this.flush(depth);
      this.columns[depth] = column;
      this.looks[depth] = 'hole';
    }
    const look = this.lookOf(piece);
    if (PRECEDENCE.indexOf(look) < PRECEDENCE.indexOf(this.looks[depth])) this.looks[depth] = look;
    this.rail(piece, left, 1);
  }

  private flush(depth: number): void {
    if (depth >= this.columns.length) return;
    const column = this.columns[depth];
    this.columns[depth] = -1;
    if (column < 0 || this.looks[depth] === 'hole') return;
    const top = laneTop(depth);
    this.painter.rect(column, top, 1, this.bottom - top, this.looks[depth]);
  }

  private lookOf({ space, cell, child }: Piece): Look {
    if (cell === GAP) return 'gap';
    return cell === TABLE ? overallLook(this.scale.atlases[space], child) : cellLook(cell);
  }

  /** Remembers where something can be written and executed. */
  private rail({ space, cell, child }: Piece, left: number, width: number): void {
    const holds = cell === TABLE && (this.scale.atlases[space].marks[child] & HAS_WX) !== 0;
    if (!holds && !isWx(cell)) return;
    const last = this.risks[this.risks.length - 1];
    if (last !== undefined && left - last.right < 3) last.right = Math.max(last.right, left + width);
    else this.risks.push({ left, right: left + width });
  }

  /** At any scale, the rail says where something can be written and executed. */
  private drawRail(): void {
    this.risks.forEach(({ left, right }, i) => {
      const from = Math.max(0, Math.min(left, this.width - 6));
      const to = Math.max(right, from + 6);
      this.painter.rect(from, 1, to - from, RAIL - 3, 'wx');
      const room = (this.risks[i + 1]?.left ?? this.width) - to - 4;
      if (room > 26) this.painter.text(to + 3, RAIL / 2, room, 'W+X', 'ink');
    });
  }

  /** Texts come last, over the colours. */
  private readonly label = (piece: Piece): void => {
    const left = Math.max(0, this.x(piece.left));
    const right = Math.min(this.width, this.x(piece.right));
    const room = right - left;
    if (room < 6) return;
    this.tick(piece, left);
    const { painter, names } = this;
    if (piece.depth >= 0 && room > 16) {
      const middle = laneTop(piece.depth) + LANE / 2;
      if (piece.cell === TABLE) this.name(piece, left + 4, middle, room - 6);
      else if (room > 40) {
        const isHole = piece.cell === HOLE;
        painter.text(left + 4, middle, room - 6, names.content(piece), isHole ? 'faint' : 'on');
      }
    }
    if (piece.cell === GAP && room > 40) {
      painter.text(left, this.bottom - BAND / 2, room, names.content(piece), 'ink', 'center');
    }
    if (this.isShown(piece, room)) this.scale.below(piece, this.view.from, this.view.to, this.label);
  };

  /** The name of an entry, or its index alone where there is no room for more. */
  private name(piece: Piece, x: number, y: number, room: number): void {
    const name = this.names.entry(piece);
    const short = piece.count === 1 && fitting(name, room, FONT_SIZE) !== name;
    this.painter.text(x, y, room, short ? String(piece.first) : name, 'ink');
  }

  /** An address on the axis, where the last one leaves room. */
  private tick(piece: Piece, left: number): void {
    if (this.x(piece.left) < 0 || piece.cell === HOLE) return;
    const text = this.names.address(this.scale.pagesOf(piece).first);
    const need = text.length * 6.7 + 12;
    if (left < this.axisEnd || left + need > this.width) return;
    this.painter.rect(left, this.bottom, 1, 6, 'faint');
    this.painter.text(left + 3, this.bottom + AXIS / 2 + 2, need, text, 'ink');
    this.axisEnd = left + need;
  }

  private frame(piece: Piece): void {
    const left = Math.max(1, this.x(piece.left));
    const right = Math.min(this.width - 1, Math.max(this.x(piece.right), left + 3));
    const top = piece.depth < 0 ? RAIL : laneTop(piece.depth);
    const { painter, bottom } = this;
    painter.rect(left - 1, top, right - left + 2, 2, 'mark');
    painter.rect(left - 1, bottom - 2, right - left + 2, 2, 'mark');
    painter.rect(left - 1, top, 2, bottom - top, 'mark');
    painter.rect(right - 1, top, 2, bottom - top, 'mark');
  }

  private mark(page: number): void {
    const { left, right } = this.scale.place(page);
    const x = this.x((left + right) / 2);
    if (x < 0 || x > this.width) return;
    this.painter.rect(x - 1, RAIL - 4, 2, this.bottom - RAIL + 8, 'mark');
    this.painter.rect(x - 4, RAIL - 5, 8, 4, 'mark');
  }
}

/** Of several things in one pixel, the first of these is seen. */
const PRECEDENCE: readonly Look[] = [
  'wx',
  'faulty',
  'missing',
  ...CLASS_NAMES.slice(1),
  'table',
  'gap',
  'hole',
];

/** The look of a table of which nothing more can be shown: that of most of its pages. */
function overallLook({ marks, pages }: AtlasData, node: number): Look {
  let most = -1;
  let count = 0;
  for (let i = 0; i < CLASSES; i += 1) {
    if (pages[node * CLASSES + i] > count) {
      most = i;
      count = pages[node * CLASSES + i];
    }
  }
  if (most >= 0) return CLASS_NAMES[most];
  if ((marks[node] & HAS_FAULTY) !== 0) return 'faulty';
  return (marks[node] & HAS_MISSING) !== 0 ? 'missing' : 'table';
}
