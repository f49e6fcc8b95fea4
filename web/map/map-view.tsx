import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { addressOf } from 'tablewalk/bits';
import { pagesText } from 'tablewalk/report';
import type { SpaceInfo } from '../protocol.ts';
import { save } from '../save-file.ts';
import { type Go, NO_FILTER, type Place } from '../state.ts';
import { entryName, namesOf, pieceText } from '../words.ts';
import { type AtlasData, LEAF, TABLE, WX_CLASS } from './atlas.ts';
import { drawMap, laneTop, mapHeight, type View } from './draw.ts';
import { Legend } from './legend.tsx';
import { CanvasPainter, SvgPainter } from './painter.ts';
import { usePointers, useWheel } from './pointers.ts';
import { type Piece, Scale } from './scale.ts';
import { crumbsOf, keyStep, WHOLE } from './steps.ts';
import { usePalette, useWidth } from './use-canvas.ts';

/** The narrowest part of the scale that can be seen. */
const NARROWEST = 2 ** -48;

/** Milliseconds of rest after which what is seen is put into the URL. */
const REST = 250;

interface MapProps {
  readonly spaces: readonly SpaceInfo[];
  readonly atlases: readonly AtlasData[];
  readonly place: Place;
  readonly go: Go;
  readonly title: string;
}

/** The whole address space as one strip, and what can be done with it. */
export function MapView({ spaces, atlases, place, go, title }: MapProps) {
  const scale = useMemo(() => new Scale(atlases), [atlases]);
  const names = useMemo(() => namesOf(scale, spaces), [scale, spaces]);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(canvas);
  const [view, setView] = useState<View>(() => viewOf(scale, place.zoom));
  const [hover, setHover] = useState<{ x: number; y: number; piece: Piece } | undefined>();
  const [chosen, setChosen] = useState<Piece | undefined>();
  const palette = usePalette(canvas);
  const shown = useRef({ scale, zoom: place.zoom });
  const settle = useRef<ReturnType<typeof setTimeout>>(undefined);

  // What the URL says counts, unless it came from here. Other tables have another scale, and other pieces.
  const zoomKey = place.zoom && `${place.zoom.first}-${place.zoom.last}`;
  useEffect(() => {
    const before = shown.current;
    if (scale === before.scale && samePages(place.zoom, before.zoom)) return;
    shown.current = { scale, zoom: place.zoom };
    setView(viewOf(scale, place.zoom));
    if (scale === before.scale) return;
    clearTimeout(settle.current);
    setHover(undefined);
    setChosen(undefined);
  }, [zoomKey, scale]);

  const page = place.address === undefined ? undefined : Number(place.address >> 12n);
  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext('2d', { alpha: false });
    if (element === null || context === null || context === undefined || width === 0) return;
    const density = devicePixelRatio;
    const height = mapHeight(scale);
    if (element.width !== Math.round(width * density)) element.width = Math.round(width * density);
    if (element.height !== Math.round(height * density)) element.height = Math.round(height * density);
    drawMap(scale, view, width, new CanvasPainter(context, palette, density), names, { page, chosen });
  }, [scale, view, width, palette, names, page, chosen]);

  // Moves are told to the URL when they rest; a step to another piece makes a step in the history.
  const move = useCallback(
    (next: View, isStep = false) => {
      const view = clamped(next);
      setView(view);
      clearTimeout(settle.current);
      const tell = () => {
        const isWhole = view.from <= 0 && view.to >= 1;
        const zoom = isWhole
          ? undefined
          : { first: scale.pageAt(view.from), last: scale.pageAt(view.to - (view.to - view.from) * 1e-9) };
        shown.current = { scale, zoom };
        go({ zoom }, !isStep);
      };
      if (isStep) tell();
      else settle.current = setTimeout(tell, REST);
    },
    [scale, go],
  );
  useEffect(() => () => clearTimeout(settle.current), []);

  const zoomAt = (factor: number, at: number) => {
    const position = view.from + (view.to - view.from) * at;
    move({ from: position - (position - view.from) * factor, to: position + (view.to - position) * factor });
  };
  const pan = (by: number) => {
    const step = (view.to - view.from) * by;
    const from = Math.min(Math.max(0, view.from + step), 1 - (view.to - view.from));
    move({ from, to: from + view.to - view.from });
  };
  const show = (piece: Piece) => {
    move({ from: piece.left, to: piece.right }, true);
    setChosen(undefined);
  };
  const open = (piece: Piece, position: number) => {
    if (piece.cell === TABLE) {
      show(piece);
      return;
    }
    if (piece.cell < LEAF) {
      // There is nothing in it to zoom to: it is told what it is.
      setChosen(piece);
      return;
    }
    go({ address: addressOf(scale.pageAt(position)), panel: 'walk' });
    // Beside others, a page is too narrow to be looked at.
    if ((piece.right - piece.left) / (view.to - view.from) < 0.2) show(piece);
  };

  useWheel(canvas, (event, at) => {
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey)
      pan((event.deltaX || event.deltaY) / width);
    else zoomAt(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 300))), at);
  });

  const pointer = usePointers(width, {
    pan,
    zoom: zoomAt,
    hover(x, y) {
      const piece = x === undefined ? undefined : pieceAt(scale, view, x / width, y);
      setHover(piece === undefined || x === undefined ? undefined : { x, y, piece });
    },
    click(x, y) {
      const piece = pieceAt(scale, view, x / width, y);
      setHover(undefined);
      if (piece !== undefined) open(piece, view.from + (x / width) * (view.to - view.from));
    },
  });

  const crumbs = crumbsOf(scale, view);
  const risky = atlases.reduce((sum, { pages }) => sum + pages[WX_CLASS], 0);
  const keys = (event: KeyboardEvent) => {
    const done = keyStep(event, { scale, view, chosen, crumbs, setChosen, show, open, move, zoomAt });
    if (done) event.preventDefault();
  };

  const exportSvg = () => {
    const painter = new SvgPainter(palette);
    drawMap(scale, view, width, painter, names, { page, chosen: undefined });
    save(painter.finish(width, mapHeight(scale), title), 'map.svg', 'image/svg+xml');
  };

  return (
    <section class="map" aria-label="Map">
      <nav class="crumbs" aria-label="What the map shows">
        <button
          type="button"
          onClick={() => move(WHOLE, true)}
          aria-current={crumbs.length === 0 ? 'true' : undefined}
        >
          whole space
        </button>
        {crumbs.map((piece, i) => (
          <button
            type="button"
            key={piece.depth}
            onClick={() => show(piece)}
            aria-current={i === crumbs.length - 1 ? 'true' : undefined}
          >
            {entryName(piece, spaces)}
          </button>
        ))}
        <span class="tools">
          {risky > 0 && (
            <button
              type="button"
              class="risk"
              onClick={() => go({ panel: 'regions', filter: { ...NO_FILTER, rights: 'wx' } })}
            >
              W+X: {pagesText(risky)}
            </button>
          )}
          <button type="button" onClick={() => zoomAt(0.5, 0.5)} aria-label="Zoom in" title="Zoom in (+)">
            +
          </button>
          <button type="button" onClick={() => zoomAt(2, 0.5)} aria-label="Zoom out" title="Zoom out (-)">
            −
          </button>
          <button type="button" onClick={exportSvg} title="The map as it is now, as a drawing">
            Save SVG
          </button>
        </span>
      </nav>
      <div class="strip">
        <div
          class="surface"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: it takes keys, as its label says
          tabIndex={0}
          role="application"
          aria-roledescription="map"
          aria-label={`Map of ${title}. Arrow keys choose, Enter opens, Escape goes up, plus and minus zoom.`}
          data-from={view.from}
          data-to={view.to}
          onKeyDown={keys}
          {...pointer}
        >
          <canvas ref={canvas} style={{ height: `${mapHeight(scale)}px` }} />
        </div>
        {hover !== undefined && (
          <div
            class="tip"
            aria-hidden="true"
            style={{
              left: `${Math.min(hover.x + 12, Math.max(0, width - 340))}px`,
              top: `${laneTop(Math.max(0, hover.piece.depth)) + 26}px`,
            }}
          >
            {pieceText(scale, spaces, hover.piece).map((line) => (
              <div key={line}>{line}</div>
            ))}
          </div>
        )}
      </div>
      <p id="map-chosen" class="chosen" aria-live="polite">
        {chosen === undefined ? '' : pieceText(scale, spaces, chosen).join('; ')}
      </p>
      <Legend spaces={spaces} />
    </section>
  );
}

/** The piece under the pointer: that of its lane; below the lanes, the deepest that can be pointed at. */
function pieceAt(scale: Scale, view: View, at: number, y: number): Piece | undefined {
  const path = scale.path(view.from + (view.to - view.from) * at);
  const lane = path.find(({ depth }) => y < laneTop(depth + 1));
  if (lane !== undefined) return lane;
  // In the band below the lanes: what is too narrow to be pointed at is taken with its table.
  const wide = path.findLast((piece) => (piece.right - piece.left) / (view.to - view.from) > 0.004);
  return wide ?? path[0];
}

function viewOf(scale: Scale, zoom: Place['zoom']): View {
  if (zoom === undefined || zoom.last < zoom.first) return WHOLE;
  return clamped({ from: scale.place(zoom.first).left, to: scale.place(zoom.last).right });
}

function clamped({ from, to }: View): View {
  if (!(to - from >= NARROWEST)) {
    const middle = Math.min(Math.max((from + to) / 2, NARROWEST), 1 - NARROWEST);
    return { from: middle - NARROWEST / 2, to: middle + NARROWEST / 2 };
  }
  return { from: Math.max(0, from), to: Math.min(1, to) };
}

function samePages(a: Place['zoom'], b: Place['zoom']): boolean {
  return a?.first === b?.first && a?.last === b?.last;
}
