import { useEffect, useRef } from 'preact/hooks';

/** Listens to the wheel so that the page does not scroll with it. `at` is where the pointer is, in [0, 1]. */
export function useWheel(
  element: { readonly current: HTMLElement | null },
  turn: (event: WheelEvent, at: number) => void,
): void {
  const latest = useRef(turn);
  latest.current = turn;
  useEffect(() => {
    const target = element.current;
    if (target === null) return;
    const listen = (event: WheelEvent) => {
      event.preventDefault();
      latest.current(event, event.offsetX / Math.max(1, target.clientWidth));
    };
    target.addEventListener('wheel', listen, { passive: false });
    return () => target.removeEventListener('wheel', listen);
  }, []);
}

/** Pixels that a pointer may move and still click. */
const STILL = 4;

interface PointerUse {
  pan(by: number): void;
  zoom(factor: number, at: number): void;
  hover(x: number | undefined, y: number): void;
  click(x: number, y: number): void;
}

/** Dragging pans, two fingers zoom, the rest hovers and clicks. */
export function usePointers(width: number, use: PointerUse) {
  const down = useRef(new Map<number, { x: number; moved: number }>());
  return {
    onPointerDown(event: PointerEvent) {
      if (event.button !== 0) return;
      down.current.set(event.pointerId, { x: event.offsetX, moved: 0 });
      if (event.currentTarget instanceof HTMLElement) event.currentTarget.setPointerCapture(event.pointerId);
    },
    onPointerMove(event: PointerEvent) {
      const held = down.current.get(event.pointerId);
      if (held === undefined) {
        use.hover(event.offsetX, event.offsetY);
        return;
      }
      const others = [...down.current.entries()].filter(([id]) => id !== event.pointerId);
      const by = event.offsetX - held.x;
      held.moved += Math.abs(by);
      if (others.length > 0) {
        const other = others[0][1].x;
        const before = Math.max(8, Math.abs(held.x - other));
        const after = Math.max(8, Math.abs(event.offsetX - other));
        use.zoom(before / after, other / width);
      } else if (held.moved > STILL) {
        use.hover(undefined, 0);
        use.pan(-by / width);
      }
      held.x = event.offsetX;
    },
    onPointerUp(event: PointerEvent) {
      const held = down.current.get(event.pointerId);
      down.current.delete(event.pointerId);
      if (held !== undefined && held.moved <= STILL) use.click(event.offsetX, event.offsetY);
    },
    onPointerCancel(event: PointerEvent) {
      down.current.delete(event.pointerId);
    },
    onPointerLeave() {
      use.hover(undefined, 0);
    },
  };
}
