import type { SpaceInfo } from '../protocol.ts';
import type { Look } from './painter.ts';

/** What the colours of the map mean. */
export function looksOf([user, supervisor]: SpaceInfo['privileges']): readonly (readonly [Look, string])[] {
  return [
    ['user-r', `${user} r--`],
    ['user-rw', `${user} rw-`],
    ['user-rx', `${user} r-x`],
    ['kernel-r', `${supervisor} r--`],
    ['kernel-rw', `${supervisor} rw-`],
    ['kernel-rx', `${supervisor} r-x`],
    ['wx', 'W+X: one privilege may write and execute'],
    ['none', 'present, nobody may'],
    ['table', 'entry that leads to a table'],
    ['hole', 'not mapped'],
    ['missing', 'not in image'],
    ['faulty', 'reserved bit set'],
    ['gap', 'no canonical address'],
  ];
}

/** The legend of the map. */
export function Legend({ spaces }: { readonly spaces: readonly SpaceInfo[] }) {
  return (
    <details class="legend" open={matchMedia('(min-width: 601px)').matches}>
      <summary>Legend</summary>
      <ul>
        {looksOf(spaces[0].privileges).map(([look, text]) => (
          <li key={look}>
            <span class={`swatch ${look}`} aria-hidden="true" />
            {text}
            {look === 'wx' && '; the rail at the top shows it at any zoom'}
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
