import type { ComponentChildren } from 'preact';
import { type Go, type Place, toFragment } from '../state.ts';

interface PlaceLinkProps {
  readonly place: Place;
  readonly go: Go;
  /** What is other there. */
  readonly to: Partial<Place>;
  readonly class?: string;
  /** For those who listen, where the text alone does not say it. */
  readonly label?: string;
  readonly tabIndex?: number;
  readonly children: ComponentChildren;
}

/** A link to another place: it can be copied, and opened beside this one. */
export function PlaceLink({ place, go, to, label, children, ...rest }: PlaceLinkProps) {
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a href={`#${toFragment({ ...place, ...to })}`} onClick={follow} aria-label={label} {...rest}>
      {children}
    </a>
  );
}
