import { hex, PageTableError } from '../bits/index.ts';
import {
  FORMAT_5_LEVEL,
  FORMAT_PAE,
  type FormatFact,
  knownX86Control,
  resolveX86Control,
  X86_FLAGS,
  X86_FORMATS,
  type X86Control,
  x86Paging,
} from '../format/index.ts';
import type { Cpu, Machine } from '../machine/index.ts';
import { tableAddress } from '../walk/index.ts';
import type { Choice, TableOptions } from './choice.ts';
import { controlFlags } from './flags.ts';
import { parseCount, parseHex } from './parse.ts';
import { firstGiven, rootText } from './root-text.ts';

/** Options that only x86 machines have. */
export const X86_OPTIONS = [
  'root',
  'mode',
  'cr0',
  'cr3',
  'cr4',
  'efer',
  'pat',
  'pkru',
  'pkrs',
  'page1gb',
  'pse36',
  'amd',
] as const;

/**
 * Chooses page tables of an x86 machine.
 *
 * @throws {@link PageTableError} `NO_ROOT`, `BAD_ARGUMENT`, `PAGING_DISABLED`
 */
export function chooseX86(machine: Machine, cpu: Cpu | undefined, options: TableOptions): Choice {
  const known = { ...(cpu === undefined ? {} : knownX86Control(cpu.registers)), ...givenControl(options) };
  const named = machine.roots[0];
  const root = rootOption(options) ?? known.cr3 ?? named?.address;
  if (root === undefined) {
    throw new PageTableError(
      'NO_ROOT',
      `${machine.kind} holds no CR3 and names no root table; give its physical address with --root, as in --root 0x1000`,
    );
  }
  // An image that says how many levels its kernel uses says it of every process.
  const levels = known.cr4 === undefined && named?.levels === 5 ? FORMAT_5_LEVEL : undefined;
  const { control, assumed } = resolveX86Control(
    { ...known, cr3: root },
    machine.longMode,
    modeOption(options) ?? levels,
  );
  const paging = x86Paging(control);
  if (options.root !== undefined && tableAddress(paging, 0, paging.root.frame) !== root) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `--root ${hex(root)}; expected the address of a root table of ${paging.format.fact.title}: a multiple of ` +
        `${paging.format.fact === FORMAT_PAE ? 32 : 4096}${paging.format.fact.vaBits === 32 ? ', below 4 GiB' : ''}. Give a value of CR3 with --cr3`,
      { root },
    );
  }
  return {
    spaces: [
      {
        paging,
        rootFrom: rootText(
          firstGiven(options, ['root', 'cr3']),
          known.cr3 === undefined ? undefined : 'CR3',
          cpu,
          named,
        ),
      },
    ],
    unread: [],
    assumed,
    flags: controlFlags(X86_FLAGS, paging.format.fact, {
      CR0: ['cr0', control.cr0],
      CR4: ['cr4', control.cr4],
      EFER: ['efer', control.efer],
    }),
  };
}

function givenControl(options: TableOptions): Partial<X86Control> {
  const given: Record<string, bigint | number | boolean> = {};
  for (const name of ['cr0', 'cr3', 'cr4', 'efer', 'pat', 'pkru', 'pkrs'] as const) {
    const text = options[name];
    if (text !== undefined) given[name] = parseHex(`--${name}`, text);
  }
  if (options.physBits !== undefined) given['physBits'] = parseCount('--phys-bits', options.physBits, 32, 52);
  if (options.page1gb === false) given['page1GB'] = false;
  if (options.pse36 === false) given['pse36'] = false;
  if (options.amd === true) given['amd'] = true;
  return given;
}

function rootOption(options: TableOptions): bigint | undefined {
  return options.root === undefined ? undefined : parseHex('--root', options.root);
}

function modeOption(options: TableOptions): FormatFact | undefined {
  const { mode } = options;
  if (mode === undefined) return undefined;
  const fact = X86_FORMATS.find((one) => one.name.toLowerCase() === mode.toLowerCase());
  if (fact !== undefined) return fact;
  const names = X86_FORMATS.map((one) => one.name).join(', ');
  throw new PageTableError('BAD_ARGUMENT', `--mode is '${mode}'; expected one of ${names}`, { mode });
}
