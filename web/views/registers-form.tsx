import { useEffect, useRef, useState } from 'preact/hooks';
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
  /** Gives what is wrong with the text, if anything is. */
  submitRegisters(text: string): Promise<unknown>;
}

type Name = Extract<keyof TableOptions, string>;

/** The registers that decide, by architecture: name of the option, the field's name, and what it holds. */
const FIELDS: Readonly<Record<string, readonly (readonly [Name, string, string])[]>> = {
  x86: [
    ['cr3', 'CR3', 'root table'],
    ['cr0', 'CR0', 'PG, WP'],
    ['cr4', 'CR4', 'PAE, LA57, SMEP, SMAP'],
    ['efer', 'EFER', 'LMA, NXE'],
    ['pat', 'PAT', 'memory types'],
    ['root', 'root', 'the root table’s address, instead of CR3'],
    ['mode', 'mode', '32-bit, PAE, 4-level or 5-level, instead of CR4 and EFER'],
    ['physBits', 'phys-bits', 'width of physical addresses, decimal'],
  ],
  aarch64: [
    ['ttbr0', 'TTBR0_EL1', 'root of the lower half'],
    ['ttbr1', 'TTBR1_EL1', 'root of the upper half'],
    ['tcr', 'TCR_EL1', 'sizes, granules'],
    ['mair', 'MAIR_EL1', 'memory types'],
    ['sctlr', 'SCTLR_EL1', 'WXN'],
    ['pstate', 'PSTATE', 'PAN'],
    ['physBits', 'phys-bits', 'width of physical addresses, decimal'],
  ],
  riscv: [
    ['satp', 'satp', 'root table and mode'],
    ['sstatus', 'sstatus', 'SUM, MXR'],
    ['menvcfg', 'menvcfg', 'PBMTE, ADUE'],
    ['root', 'root', 'the root table’s address, instead of satp'],
    ['mode', 'mode', 'sv32, sv39, sv48 or sv57, with root'],
    ['physBits', 'phys-bits', 'width of physical addresses, decimal'],
  ],
};

/** The processor whose registers count, where there are several. */
const CPU = ['cpu', 'CPU', 'number of the one whose registers count'] as const;

const ARCHITECTURES = ['x86', 'aarch64', 'riscv'] as const;

interface RegisterFieldsProps {
  /** Without an architecture, it is asked for. */
  readonly image: Image;
  /** Why the tables cannot be read with what was given. */
  readonly why: WorkerError | undefined;
  readonly options: TableOptions;
  submit(options: TableOptions): void;
}

/** The registers and the like with which tables are read, each a field. */
export function RegisterFields({ image, why, options, submit }: RegisterFieldsProps) {
  const [architecture, setArchitecture] = useState<string>(image.architecture ?? 'x86');
  const [given, setGiven] = useState<Readonly<Record<string, string>>>(() =>
    Object.fromEntries(
      Object.entries(options).filter((one): one is [string, string] => typeof one[1] === 'string'),
    ),
  );
  /** What the last answer is about. */
  const sent = useRef(given);
  const fields = image.cpus.length > 1 ? [CPU, ...FIELDS[architecture]] : FIELDS[architecture];
  const told = useRef<HTMLDivElement>(null);
  const first = useRef(why);
  // The first option that is named and given is the one that is refused.
  const named = [...(why?.message ?? '').matchAll(/--([a-z0-9-]+)/g)].map(([, name]) => name);
  const wrong = fields.find(([name, label]) => {
    const isNamed = named.includes(name) || named.includes(label);
    return isNamed && (given[name] ?? '').trim() !== '' && given[name] === sent.current[name];
  })?.[0];
  useEffect(() => {
    if (why === first.current) return;
    const field = wrong === undefined ? null : document.getElementById(`register-${wrong}`);
    (field ?? told.current)?.focus();
    told.current?.scrollIntoView({ block: 'nearest' });
  }, [why]);
  const send = (event: Event) => {
    event.preventDefault();
    const names = fields.map(([name]) => name);
    sent.current = given;
    const kept = Object.entries(given).filter(
      ([name, value]) => names.some((one) => one === name) && value.trim() !== '',
    );
    submit(Object.fromEntries(kept.map(([name, value]) => [name, value.trim()])));
  };
  return (
    <>
      <div ref={told} tabIndex={-1} id="registers-wrong">
        <ErrorText error={why} />
      </div>
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
            {fields.map(([name, label, about]) => (
              <div key={name}>
                <label for={`register-${name}`}>
                  <strong>{label}</strong>: {about}
                </label>
                <input
                  id={`register-${name}`}
                  type="text"
                  name={name}
                  value={given[name] ?? ''}
                  onInput={(event) => setGiven({ ...given, [name]: event.currentTarget.value })}
                  spellcheck={false}
                  autocomplete="off"
                  aria-invalid={name === wrong}
                  aria-describedby={name === wrong ? 'registers-wrong' : undefined}
                />
              </div>
            ))}
          </div>
          <p>
            <button type="submit" class="primary">
              Read the tables
            </button>{' '}
            <span class="small">
              Registers and addresses in hexadecimal; what is left empty is assumed, and said in the panel
              Image.
            </span>
          </p>
        </fieldset>
      </form>
    </>
  );
}

/** Asks for what an image does not hold. */
export function RegistersForm({ image, why, options, submit, submitRegisters }: RegistersFormProps) {
  const [text, setText] = useState('');
  const [textWrong, setTextWrong] = useState<unknown>();
  return (
    <div class="registers">
      <h2>{image.name}: which tables?</h2>
      <dl class="facts">
        {image.rows.map(([label, value], i) => (
          <div key={`${i} ${label}`} class="fact">
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <RegisterFields image={image} why={why} options={options} submit={submit} />
      <form
        onSubmit={(event) => {
          event.preventDefault();
          setTextWrong(undefined);
          void submitRegisters(text).then(setTextWrong);
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
          <ErrorText error={textWrong} />
          <button type="submit" disabled={text.trim() === ''}>
            Use these
          </button>
        </fieldset>
      </form>
    </div>
  );
}
