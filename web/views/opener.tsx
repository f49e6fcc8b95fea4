import { useState } from 'preact/hooks';
import type { ImageSource } from '../protocol.ts';
import { SAMPLES } from '../samples.ts';

interface OpenerProps {
  take(file: File, more?: Partial<ImageSource>): void;
  takeSample(name: string): void;
  /** What the last attempt ended with. */
  readonly failed: unknown;
}

/** Where a reader begins: a file of their own, or a sample. */
export function Opener({ take, takeSample, failed }: OpenerProps) {
  const [file, setFile] = useState<File | undefined>();
  const [isRaw, setIsRaw] = useState(false);
  const [base, setBase] = useState('0x0');
  const choose = (chosen: File | undefined) => {
    setFile(chosen);
    if (chosen !== undefined && !isRaw) take(chosen);
  };
  return (
    <div class="opener">
      <h2>Look into real page tables</h2>
      <p>
        What is mapped where, with which rights, and why: of x86, AArch64 and RISC-V machines, from a memory
        image. The file stays on your machine: nothing is uploaded, and there is nowhere to upload it to.
      </p>
      <div class="drop">
        <label for="file">
          <strong>Drop a memory image here, or choose one</strong>
        </label>
        <input id="file" type="file" onChange={(event) => choose(event.currentTarget.files?.[0])} />
        <span class="small">
          ELF cores (QEMU’s <code>dump-guest-memory</code>, Linux’s kdump) or raw memory, packed with gzip or
          not. Larger than your memory is fine, unless packed.
        </span>
        <label>
          <input
            type="checkbox"
            checked={isRaw}
            onChange={(event) => setIsRaw(event.currentTarget.checked)}
          />{' '}
          it is raw memory
        </label>
        {isRaw && (
          <form
            class="raw"
            onSubmit={(event) => {
              event.preventDefault();
              if (file !== undefined) take(file, { base });
            }}
          >
            <label for="base">that begins at physical address</label>{' '}
            <input
              id="base"
              type="text"
              value={base}
              onInput={(event) => setBase(event.currentTarget.value)}
              spellcheck={false}
            />{' '}
            <button type="submit" class="primary" disabled={file === undefined}>
              Open
            </button>
          </form>
        )}
      </div>
      <h3>Or a sample that ships</h3>
      <div class="samples">
        {SAMPLES.map(({ name, title, about }) => (
          <button type="button" key={name} onClick={() => takeSample(name)}>
            <strong>{title}</strong>
            <span>{about}</span>
          </button>
        ))}
      </div>
      {failed === undefined && (
        <p class="small">
          Press <kbd>?</kbd> for keys. All that you look at stands in the address bar, so a link or a bookmark
          brings you back.
        </p>
      )}
    </div>
  );
}
