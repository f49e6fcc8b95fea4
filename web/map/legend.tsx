import type { SpaceInfo } from '../protocol.ts';
import type { ClassName } from './atlas.ts';
import type { Look } from './painter.ts';

/** What the colours of the map mean. */
export function Legend({ spaces }: { readonly spaces: readonly SpaceInfo[] }) {
  const [user, supervisor] = spaces[0].privileges;
  const rows: readonly (readonly [Look & (ClassName | Look), string])[] = [
    ['user-r', `${user} r--`],
    ['user-rw', `${user} rw-`],
    ['user-rx', `${user} r-x`],
    ['kernel-r', `${supervisor} r--`],
    ['kernel-rw', `${supervisor} rw-`],
    ['kernel-rx', `${supervisor} r-x`],
    ['wx', 'W+X: one privilege may write and execute; the rail at the top shows it at any zoom'],
    ['none', 'present, nobody may'],
    ['table', 'entry that leads to a table'],
    ['hole', 'not mapped'],
    ['missing', 'not in image'],
    ['faulty', 'reserved bit set'],
    ['gap', 'no canonical address'],
  ];
  return (
    <details class="legend" open={matchMedia('(min-width: 601px)').matches}>
      <summary>Legend</summary>
      <ul>
        {rows.map(([look, text]) => (
          <li key={look}>
            <span class={`swatch ${look}`} aria-hidden="true" />
            {text}
          </li>
        ))}
      </ul>
      <p>
        Each lane is a level of tables; colour begins in the lane whose entry maps the page, so the higher a
        block stands, the larger its pages. Widths are compressed: order is that of addresses, size is not.
      </p>
    </details>
  );
}
