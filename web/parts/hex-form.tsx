import { useEffect, useState } from 'preact/hooks';

interface HexFormProps {
  readonly id: string;
  readonly label: string;
  /** What the button says. */
  readonly action: string;
  readonly example: string;
  /** Written until the reader writes something else. */
  readonly value: string;
  /** When this is another, what was refused before is forgotten. */
  readonly at?: unknown;
  submit(value: bigint): void;
}

/** A field for an address, as programs print it: with `0x` or not, with `_` or `` ` `` between digits or not. */
export function HexForm({ id, label, action, example, value, at, submit }: HexFormProps) {
  const [text, setText] = useState('');
  const [wrong, setWrong] = useState('');
  const reset = () => {
    setText(value);
    setWrong('');
  };
  useEffect(reset, [value, at]);
  const send = (event: Event) => {
    event.preventDefault();
    const digits = text.trim().replace(/^0x/i, '').replaceAll(/[_`]/g, '');
    if (!/^[0-9a-f]{1,16}$/i.test(digits)) {
      const expected = '1 to 16 hexadecimal digits';
      setWrong(
        text.trim() === ''
          ? `Type an address: ${expected}.`
          : `'${text}' is no address; expected ${expected}.`,
      );
      return;
    }
    reset();
    submit(BigInt(`0x${digits}`));
  };
  return (
    <form class="address" onSubmit={send}>
      <label for={id}>{label}</label>
      <input
        id={id}
        type="text"
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setWrong('');
        }}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          reset();
          event.currentTarget.blur();
        }}
        placeholder={example}
        spellcheck={false}
        autocomplete="off"
        aria-invalid={wrong !== ''}
        aria-describedby={`${id}-wrong`}
      />
      <button type="submit">{action}</button>
      <span id={`${id}-wrong`} class="wrong" role="alert">
        {wrong}
      </span>
    </form>
  );
}
