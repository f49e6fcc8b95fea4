import { useEffect, useRef } from 'preact/hooks';

const KEYS: readonly (readonly [string, string])[] = [
  ['/', 'to the address field; Enter walks, Esc leaves it'],
  ['m', 'to the map'],
  ['t', 'to the tabs; ← → choose one'],
  ['← →', 'on the map: the piece beside'],
  ['Enter, ↓', 'on the map: open the piece: zoom into a table, walk to a page'],
  ['Esc, ↑', 'on the map: up one table'],
  ['+ −', 'on the map: zoom'],
  ['Home', 'on the map: the whole space'],
  ['Alt+← Alt+→', 'back and forth through what was looked at'],
  ['?', 'this list'],
];

/** What keys do. */
export function Help({ close }: { close(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="help-title">
      <h2 id="help-title">Keys</h2>
      <dl class="keys">
        {KEYS.map(([key, text]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <p>The wheel zooms the map, dragging moves it, a click opens what is under the pointer.</p>
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </dialog>
  );
}
