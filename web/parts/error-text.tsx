import type { ComponentChildren } from 'preact';
import { WorkerError } from '../client.ts';

interface ErrorTextProps {
  readonly error: unknown;
  /** What did not come about, as a sentence. */
  readonly title?: string | undefined;
  /** What can be done about it: buttons. */
  readonly children?: ComponentChildren;
}

/** What went wrong, in the words of the library: as text, whatever a file put into them. */
export function ErrorText({ error, title, children }: ErrorTextProps) {
  if (error === undefined) return null;
  const code = error instanceof WorkerError ? error.code : undefined;
  const message = error instanceof Error ? error.message : String(error);
  return (
    <div class="error">
      <div role="alert">
        {title !== undefined && <strong>{title} </strong>}
        {sentence(inWords(message))}
        {code !== undefined && <code class="code"> {code}</code>}
      </div>
      {children}
    </div>
  );
}

/** The command's options are fields of a form here. */
function inWords(message: string): string {
  return message.replaceAll(' with --registers FILE', '').replace(/--([a-z][a-z0-9-]*)/g, '“$1”');
}

/** Begins with a capital where it begins with a word; names of code (`readFrames:`) stay. */
function sentence(text: string): string {
  return /^[a-z]+[ :]/.test(text) ? `${text[0].toUpperCase()}${text.slice(1)}` : text;
}
