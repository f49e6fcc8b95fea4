import type { TableOptions } from 'tablewalk/session';
import { START } from '../state.ts';
import type { PanelProps } from './panel.ts';
import { RegisterFields } from './registers-form.tsx';

/** What the image says of itself, what its tables consist of, and what had to be assumed: as `info`; and the way to other tables. */
export function ImageView({ image, tables, place, go }: PanelProps) {
  const rows = [...image.rows, ...tables.rows];
  // Nothing that was looked at in these tables is in the others.
  const read = (options: TableOptions) => go({ ...START, sample: place.sample, panel: 'image', options });
  return (
    <div class="registers">
      <dl class="facts">
        {rows.map(([label, text], i) => (
          // Labels repeat; the list never changes its order.
          <div key={`${i} ${label}`} class="fact">
            <dt>{label}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <details>
        <summary>Other tables of this image</summary>
        {image.cpus.length > 1 && (
          <p class="cpus">
            What a processor uses:{' '}
            {image.cpus.map(({ index }) => (
              <button
                type="button"
                key={index}
                onClick={() => read({ ...place.options, cpu: String(index) })}
              >
                CPU {index}
              </button>
            ))}
          </p>
        )}
        <RegisterFields image={image} why={undefined} options={place.options} submit={read} />
      </details>
    </div>
  );
}
