import { useEffect, useRef, useState } from 'preact/hooks';
import type { Go, Place } from '../state.ts';
import { address as addressText } from '../words.ts';
import { Help } from './help.tsx';
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
          <strong>{title}</strong>
          {about.map((line) => (
            <span key={line} title={line}>
              {line}
            </span>
          ))}
        </div>
      )}
      {title !== undefined && <AddressForm place={place} go={go} />}
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

function AddressForm({ place, go }: { readonly place: Place; readonly go: Go }) {
  const [text, setText] = useState('');
  const [wrong, setWrong] = useState('');
  const shown = place.address === undefined ? '' : addressText(place.address);
  useEffect(() => {
    setText(shown);
    setWrong('');
  }, [shown]);
  const submit = (event: Event) => {
    event.preventDefault();
    const digits = text.trim().replace(/^0x/i, '').replaceAll('_', '');
    if (!/^[0-9a-f]{1,16}$/i.test(digits)) {
      setWrong(`'${text}' is no address; expected 1 to 16 hexadecimal digits`);
      return;
    }
    setWrong('');
    go({ address: BigInt(`0x${digits}`), panel: 'walk' });
  };
  return (
    <form class="address" onSubmit={submit}>
      <label for="address">Address</label>
      <input
        id="address"
        type="text"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        placeholder="0xffffffff81000000"
        spellcheck={false}
        autocomplete="off"
        aria-invalid={wrong !== ''}
        aria-describedby="address-wrong"
      />
      <button type="submit">Walk</button>
      <span id="address-wrong" class="wrong" role="alert">
        {wrong}
      </span>
    </form>
  );
}

/** `/` goes to the address, `?` shows help, `m` goes to the map. */
function useShortcuts(showHelp: () => void): void {
  const latest = useRef(showHelp);
  latest.current = showHelp;
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      const { target } = event;
      const types =
        target instanceof HTMLInputElement ||
        target instanceof HTMLTextAreaElement ||
        target instanceof HTMLSelectElement;
      if (types || event.ctrlKey || event.metaKey || event.altKey) return;
      const focus = (selector: string) => {
        const element = document.querySelector(selector);
        if (element instanceof HTMLElement) element.focus();
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
