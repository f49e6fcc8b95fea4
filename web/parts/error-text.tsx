import { WorkerError } from '../client.ts';

/** What went wrong, in the words of the library: as text, whatever a file put into them. */
export function ErrorText({ error }: { readonly error: unknown }) {
  if (error === undefined) return null;
  const code = error instanceof WorkerError ? error.code : undefined;
  const message = error instanceof Error ? error.message : String(error);
  return (
    <div class="error" role="alert">
      {code !== undefined && <strong>{code} </strong>}
      {inWords(message)}
    </div>
  );
}

/** The command's options are fields of a form here. */
export function inWords(message: string): string {
  return message.replace(/--([a-z][a-z0-9-]*)/g, '“$1”');
}
