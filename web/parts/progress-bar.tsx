import type { Progress } from '../protocol.ts';

/** How far long work is, and the button that ends it. */
export function ProgressBar({ progress, stop }: { readonly progress: Progress; stop(): void }) {
  const { what, done, total } = progress;
  return (
    <div class="progress" role="status">
      <label>
        <span>
          {what}: {done.toLocaleString('en-US')}
          {total > 0 ? ` of ${total.toLocaleString('en-US')}` : ''}
        </span>
        <progress {...(total > 0 ? { value: done, max: total } : {})} />
      </label>
      <button type="button" onClick={stop}>
        Stop
      </button>
    </div>
  );
}
