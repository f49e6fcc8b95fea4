import { useEffect } from 'preact/hooks';

/**
 * Moves the focus out of a field into the panel, where keys are shortcuts again. An outcome that is still to come takes
 * it from there by {@link useOutcomeFocus}; where nothing else was asked, the outcome that is seen has it at once.
 */
export function focusOutcome(isThere: boolean): void {
  const [outcome, panel] = ['outcome', 'panel'].map((id) => document.getElementById(id));
  if (isThere && outcome !== null) outcome.focus();
  // Where the outcome will be is where to scroll to.
  else panel?.focus({ preventScroll: true });
}

/** The heading of an outcome takes the focus from the panel, each time that there is another. */
export function useOutcomeFocus(heading: { readonly current: HTMLElement | null }, outcome: unknown): void {
  useEffect(() => {
    if (document.activeElement?.id === 'panel') heading.current?.focus();
  }, [outcome]);
}
