import type { PanelProps } from './panel.ts';

/** What the image says of itself, what its tables consist of, and what had to be assumed: as `info`. */
export function ImageView({ image, tables }: PanelProps) {
  const rows = [...image.rows, ...tables.rows];
  return (
    <dl class="facts">
      {rows.map(([label, text], i) => (
        // Labels repeat; the list never changes its order.
        <div key={`${i} ${label}`} class="fact">
          <dt>{label}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  );
}
