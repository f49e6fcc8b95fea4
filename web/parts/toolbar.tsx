import { useEffect, useRef, useState } from 'preact/hooks';
import { hex64 } from 'tablewalk/bits';
import type { Go, Place } from '../state.ts';
import { focusOutcome } from './focus-outcome.ts';
import { Help } from './help.tsx';
import { HexForm } from './hex-form.tsx';
import { ThemeButton } from './theme-button.tsx';

interface ToolbarProps {
  readonly title: string | undefined;
  /** What tables are read, a line for each root. */
  readonly about: readonly string[];
  readonly place: Place;
  readonly go: Go;
  readonly close: (() => void) | undefined;
}

/** The head of the page: what is open, the address that is looked at, history. */
export function Toolbar({ title, about, place, go, close }: ToolbarProps) {
  const [help, setHelp] = useState(false);
  useShortcuts(() => setHelp(true));
  return (
    <header class="bar">
      <h1>
        tablewalk <span>explorer</span>
      </h1>
      {title !== undefined && (
        <div class="what">
          <strong title={title}>{title}</strong>
          {about.map((line) => (
            <span key={line}>{line}</span>
          ))}
        </div>
      )}
      {title !== undefined && (
        <HexForm
          id="address"
          label="Address"
          action="Walk"
          example="0xffffffff81000000"
          value={place.address === undefined ? '' : hex64(place.address)}
          at={place}
          submit={(address) => {
            go({ address, panel: 'walk' });
            focusOutcome(place.address === address && place.panel === 'walk');
          }}
        />
      )}
      <div class="buttons">
        <button type="button" onClick={() => history.back()} aria-label="Back" title="Back (Alt+←)">
          ←
        </button>
        <button type="button" onClick={() => history.forward()} aria-label="Forward" title="Forward (Alt+→)">
          →
        </button>
        {close !== undefined && (
          <button type="button" onClick={close}>
            Open another
          </button>
        )}
        <ThemeButton />
        <button type="button" onClick={() => setHelp(true)} aria-label="Help" title="Help (?)">
          ?
        </button>
      </div>
      {help && <Help close={() => setHelp(false)} />}
    </header>
  );
}

/** `/` goes to the address, `?` shows help, `m` goes to the map. */
function useShortcuts(showHelp: () => void): void {
  const latest = useRef(showHelp);
  latest.current = showHelp;
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (takesKeys(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
      const focus = (selector: string) => {
        const element = document.querySelector(selector);
        if (element instanceof HTMLElement) element.focus();
        // What is typed now is another address, not more digits.
        if (element instanceof HTMLInputElement) element.select();
      };
      if (event.key === '/') focus('#address');
      else if (event.key === 'm') focus('.map .surface');
      else if (event.key === 't') focus('[role=tab][aria-selected=true]');
      else if (event.key === '?') latest.current();
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', listen);
    return () => removeEventListener('keydown', listen);
  }, []);
}

/** Whether keys are for an element itself: it is typed into, or chooses by letters. */
function takesKeys(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement
    ? !['checkbox', 'radio', 'file'].includes(target.type)
    : target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
