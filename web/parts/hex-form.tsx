import { useEffect, useState } from 'preact/hooks';

interface HexFormProps {
  readonly id: string;
  readonly label: string;
  /** What the button says. */
  readonly action: string;
  readonly example: string;
  /** Written until the reader writes something else. */
  readonly value: string;
  submit(value: bigint): void;
}

/** A field for an address. */
export function HexForm({ id, label, action, example, value, submit }: HexFormProps) {
  const [text, setText] = useState('');
  const [wrong, setWrong] = useState('');
  useEffect(() => {
    setText(value);
    setWrong('');
  }, [value]);
  const send = (event: Event) => {
    event.preventDefault();
    const digits = text.trim().replace(/^0x/i, '').replaceAll('_', '');
    if (!/^[0-9a-f]{1,16}$/i.test(digits)) {
      setWrong(`'${text}' is no address; expected 1 to 16 hexadecimal digits`);
      return;
    }
    setWrong('');
    submit(BigInt(`0x${digits}`));
  };
  return (
    <form class="address" onSubmit={send}>
      <label for={id}>{label}</label>
      <input
        id={id}
        type="text"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
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
