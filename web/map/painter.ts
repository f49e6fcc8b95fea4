import type { ClassName } from './atlas.ts';

/** How a piece looks; each stands in the palette. `on` is for texts on colours, `mark` for what is chosen. */
export type Look =
  | ClassName
  | 'table'
  | 'table-edge'
  | 'hole'
  | 'gap'
  | 'missing'
  | 'faulty'
  | 'ink'
  | 'faint'
  | 'paper'
  | 'mark'
  | 'on';

/** Looks that are hatched, so that they are told apart without colour. */
export const HATCHED: readonly Look[] = ['wx', 'missing', 'faulty', 'gap'];

/** Colours by look, and of the hatching of those that have one. */
export type Palette = Readonly<Record<Look, string>> & { readonly hatch: string };

/** Characters of a text that fit: the font's characters are 0.6 em wide. */
export function fitting(text: string, width: number, size: number): string {
  const room = Math.floor(width / (size * 0.6));
  return text.length <= room ? text : room < 2 ? '' : `${text.slice(0, room - 1)}…`;
}

/** Size of texts on the map. */
export const FONT_SIZE = 11;

/** Where a text stands in its room. */
type Align = 'left' | 'center';

/** Where the map is drawn: a canvas, or a drawing that is exported. Lengths are CSS pixels. */
export abstract class Painter {
  abstract rect(x: number, y: number, width: number, height: number, look: Look): void;

  /** Writes a text whole: `x` is its left end or its middle, `y` its middle. */
  protected abstract write(x: number, y: number, text: string, look: Look, align: Align): void;

  /** Text that is cut off where the width ends. `y` is its middle. */
  text(x: number, y: number, width: number, text: string, look: Look, align: Align = 'left'): void {
    const shown = fitting(text, width, FONT_SIZE);
    if (shown !== '') this.write(align === 'center' ? x + width / 2 : x, y, shown, look, align);
  }
}

const HATCH_STEP = 6;

/** Draws on a canvas. Made anew for each size, density and palette. */
export class CanvasPainter extends Painter {
  private readonly context: CanvasRenderingContext2D;
  private readonly fills = new Map<Look, string | CanvasPattern>();

  constructor(context: CanvasRenderingContext2D, palette: Palette, density: number) {
    super();
    this.context = context;
    context.setTransform(density, 0, 0, density, 0, 0);
    context.font = `${FONT_SIZE}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace`;
    context.textBaseline = 'middle';
    for (const look of Object.keys(palette) as (keyof Palette)[]) {
      if (look === 'hatch') continue;
      this.fills.set(look, HATCHED.includes(look) ? hatching(context, palette, look) : palette[look]);
    }
  }

  rect(x: number, y: number, width: number, height: number, look: Look): void {
    this.context.fillStyle = this.fills.get(look) ?? '';
    this.context.fillRect(x, y, width, height);
  }

  protected write(x: number, y: number, text: string, look: Look, align: Align): void {
    this.context.fillStyle = this.fills.get(look) ?? '';
    this.context.textAlign = align;
    this.context.fillText(text, x, y);
  }
}

function hatching(context: CanvasRenderingContext2D, palette: Palette, look: Look): CanvasPattern | string {
  const tile = document.createElement('canvas');
  tile.width = HATCH_STEP;
  tile.height = HATCH_STEP;
  const inner = tile.getContext('2d');
  if (inner === null) return palette[look];
  inner.fillStyle = palette[look];
  inner.fillRect(0, 0, HATCH_STEP, HATCH_STEP);
  inner.strokeStyle = palette.hatch;
  inner.lineWidth = 1.5;
  inner.beginPath();
  for (const from of [-HATCH_STEP, 0, HATCH_STEP]) {
    inner.moveTo(from - 1, HATCH_STEP + 1);
    inner.lineTo(from + HATCH_STEP + 1, -1);
  }
  inner.stroke();
  return context.createPattern(tile, 'repeat') ?? palette[look];
}

/** Makes a drawing of its own. */
export class SvgPainter extends Painter {
  private readonly parts: string[] = [];
  private readonly palette: Palette;

  constructor(palette: Palette) {
    super();
    this.palette = palette;
  }

  rect(x: number, y: number, width: number, height: number, look: Look): void {
    const fill = HATCHED.includes(look) ? `url(#${look})` : this.palette[look];
    this.parts.push(
      `<rect x="${short(x)}" y="${short(y)}" width="${short(width)}" height="${short(height)}" fill="${fill}"/>`,
    );
  }

  protected write(x: number, y: number, text: string, look: Look, align: Align): void {
    const anchor = align === 'center' ? ' text-anchor="middle"' : '';
    this.parts.push(
      `<text x="${short(x)}" y="${short(y + FONT_SIZE * 0.36)}" fill="${this.palette[look]}"${anchor}>${escaped(text)}</text>`,
    );
  }

  /** The whole drawing. */
  finish(width: number, height: number, title: string): string {
    const patterns = HATCHED.map(
      (look) =>
        `<pattern id="${look}" width="${HATCH_STEP}" height="${HATCH_STEP}" patternUnits="userSpaceOnUse"><rect width="${HATCH_STEP}" height="${HATCH_STEP}" fill="${this.palette[look]}"/><path d="M-1 ${HATCH_STEP + 1}L${HATCH_STEP + 1} -1M-1 1L1 -1M${HATCH_STEP - 1} ${HATCH_STEP + 1}L${HATCH_STEP + 1} ${HATCH_STEP - 1}" stroke="${this.palette.hatch}" stroke-width="1.5"/></pattern>`,
    ).join('');
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="monospace" font-size="${FONT_SIZE}">`,
      `<title>${escaped(title)}</title><defs>${patterns}</defs><rect width="100%" height="100%" fill="${this.palette.paper}"/>`,
      ...this.parts,
      '</svg>\n',
    ].join('\n');
  }
}

function short(length: number): string {
  return String(Math.round(length * 100) / 100);
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);
}
