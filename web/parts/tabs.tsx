import type { ComponentChildren } from 'preact';

interface TabsProps<T extends string> {
  readonly label: string;
  readonly tabs: readonly { readonly id: T; readonly name: string }[];
  readonly chosen: T;
  choose(id: T): void;
  readonly children: ComponentChildren;
}

/** Panels of which one is seen. Arrow keys move between the tabs. */
export function Tabs<T extends string>({ label, tabs, chosen, choose, children }: TabsProps<T>) {
  const keys = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const i = tabs.findIndex(({ id }) => id === chosen);
    const next =
      event.key === 'Home' ? 0 : event.key === 'End' ? tabs.length - 1 : step === undefined ? -1 : i + step;
    if (next < 0 || next >= tabs.length) return;
    event.preventDefault();
    choose(tabs[next].id);
    document.getElementById(`tab-${tabs[next].id}`)?.focus();
  };
  return (
    <section class="tabs">
      <div role="tablist" aria-label={label} onKeyDown={keys}>
        {tabs.map(({ id, name }) => (
          <button
            type="button"
            role="tab"
            key={id}
            id={`tab-${id}`}
            aria-selected={id === chosen}
            aria-controls="panel"
            tabIndex={id === chosen ? 0 : -1}
            onClick={() => choose(id)}
          >
            {name}
          </button>
        ))}
      </div>
      <div role="tabpanel" id="panel" tabIndex={-1} aria-labelledby={`tab-${chosen}`}>
        {children}
      </div>
    </section>
  );
}
