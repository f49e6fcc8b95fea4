import { useState } from 'preact/hooks';
import type { TableOptions } from 'tablewalk/session';
import type { WorkerError } from '../client.ts';
import { ErrorText } from '../parts/error-text.tsx';
import type { Image } from '../protocol.ts';

interface RegistersFormProps {
  readonly image: Image;
  /** Why the tables cannot be read yet. */
  readonly why: WorkerError;
  readonly options: TableOptions;
  submit(options: TableOptions): void;
  submitRegisters(text: string): void;
}

type Name = Extract<keyof TableOptions, string>;

/** The registers that decide, by architecture: name of the option, and what it is. */
const FIELDS: Readonly<Record<string, readonly (readonly [Name, string])[]>> = {
  x86: [
    ['cr3', 'CR3: root table'],
    ['cr0', 'CR0: PG, WP'],
    ['cr4', 'CR4: PAE, SMEP, SMAP'],
    ['efer', 'EFER: LMA, NXE'],
    ['pat', 'PAT: memory types'],
    ['root', 'or the root table’s address'],
    ['mode', '32-bit, PAE, 4-level, 5-level'],
    ['physBits', 'physical-address bits'],
  ],
  aarch64: [
    ['ttbr0', 'TTBR0_EL1: lower half'],
    ['ttbr1', 'TTBR1_EL1: upper half'],
    ['tcr', 'TCR_EL1: sizes, granules'],
    ['mair', 'MAIR_EL1: memory types'],
    ['sctlr', 'SCTLR_EL1: WXN'],
    ['pstate', 'PSTATE: PAN'],
    ['physBits', 'physical-address bits'],
  ],
  riscv: [
    ['satp', 'satp: root table and mode'],
    ['sstatus', 'sstatus: SUM, MXR'],
    ['menvcfg', 'menvcfg: PBMTE, ADUE'],
    ['root', 'or the root table’s address'],
    ['mode', 'sv32, sv39, sv48, sv57'],
    ['physBits', 'physical-address bits'],
  ],
};

const ARCHITECTURES = ['x86', 'aarch64', 'riscv'] as const;

/** Asks for what an image does not hold. */
export function RegistersForm({ image, why, options, submit, submitRegisters }: RegistersFormProps) {
  const [architecture, setArchitecture] = useState<string>(image.architecture ?? 'x86');
  const [given, setGiven] = useState<Readonly<Record<string, string>>>(() =>
    Object.fromEntries(
      Object.entries(options).filter((one): one is [string, string] => typeof one[1] === 'string'),
    ),
  );
  const [text, setText] = useState('');
  const send = (event: Event) => {
    event.preventDefault();
    const names = FIELDS[architecture].map(([name]) => name);
    const kept = Object.entries(given).filter(
      ([name, value]) => names.some((one) => one === name) && value.trim() !== '',
    );
    submit(Object.fromEntries(kept.map(([name, value]) => [name, value.trim()])));
  };
  return (
    <div class="registers">
      <h2>{image.name}: which tables?</h2>
      <ErrorText error={why} />
      <dl class="facts">
        {image.rows.map(([label, value], i) => (
          <div key={`${i} ${label}`} class="fact">
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <form onSubmit={send}>
        <fieldset>
          <legend>Registers</legend>
          {image.architecture === undefined && (
            <p>
              <label>
                Machine{' '}
                <select value={architecture} onChange={(event) => setArchitecture(event.currentTarget.value)}>
                  {ARCHITECTURES.map((one) => (
                    <option key={one} value={one}>
                      {one}
                    </option>
                  ))}
                </select>
              </label>
            </p>
          )}
          <div class="fields">
            {FIELDS[architecture].map(([name, about]) => (
              <label key={name}>
                {about}
                <input
                  type="text"
                  name={name}
                  value={given[name] ?? ''}
                  onInput={(event) => setGiven({ ...given, [name]: event.currentTarget.value })}
                  spellcheck={false}
                  autocomplete="off"
                />
              </label>
            ))}
          </div>
          <p>
            <button type="submit" class="primary">
              Read the tables
            </button>{' '}
            <span class="small">Hexadecimal; what is left empty is assumed, and said.</span>
          </p>
        </fieldset>
      </form>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          submitRegisters(text);
        }}
      >
        <fieldset>
          <legend>Or all at once</legend>
          <label for="registers-text">What QEMU or gdb prints for “info registers”, or JSON</label>
          <textarea
            id="registers-text"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
            spellcheck={false}
          />
          <button type="submit" disabled={text.trim() === ''}>
            Use these
          </button>
        </fieldset>
      </form>
    </div>
  );
}
