import { PageTableError } from '../bits/index.ts';
import {
  AARCH64_FLAGS,
  aarch64Paging,
  GRANULES,
  type Half,
  halfControl,
  type KnownAarch64Control,
  knownAarch64Control,
  PSTATE_PAN,
  resolveAarch64Control,
} from '../format/index.ts';
import type { Cpu, Machine, NamedRoot } from '../machine/index.ts';
import type { Choice, Space, TableOptions } from './choice.ts';
import { controlFlags } from './flags.ts';
import { parseCount, parseHex } from './parse.ts';
import { firstGiven, rootText } from './root-text.ts';

/** Options that only AArch64 machines have. */
export const AARCH64_OPTIONS = ['ttbr0', 'ttbr1', 'tcr', 'mair', 'sctlr', 'pstate'] as const;

const HALVES = [
  { half: 'lower', register: 'TTBR0_EL1', option: 'ttbr0' },
  { half: 'upper', register: 'TTBR1_EL1', option: 'ttbr1' },
] as const;

/**
 * Chooses the page tables of both halves of an AArch64 machine's EL1&0 regime.
 *
 * @throws {@link PageTableError} `NO_ROOT`, `BAD_ARGUMENT`, `PAGING_DISABLED`
 */
export function chooseAarch64(machine: Machine, cpu: Cpu | undefined, options: TableOptions): Choice {
  const held = cpu === undefined ? {} : knownAarch64Control(cpu.registers);
  const given = givenControl(options);
  const named: NamedRoot | undefined = machine.roots[0];
  const known: KnownAarch64Control = {
    ...held,
    ttbr1: held.ttbr1 ?? named?.address,
    tcr: held.tcr ?? tcrOf(named),
    ...given,
  };
  const { control, assumed } = resolveAarch64Control(known);
  const spaces: Space[] = [];
  const unread: string[] = [];
  for (const { half, register, option } of HALVES) {
    const paging = aarch64Paging(control, half);
    if (paging !== undefined)
      spaces.push({
        paging,
        rootFrom: rootText(
          firstGiven(given, [option]),
          held[option] === undefined ? undefined : register,
          cpu,
          named,
        ),
        half,
      });
    else unread.push(`${half} half: ${whyNot(control.tcr, half, register, option)}`);
  }
  if (spaces.length === 0) {
    throw new PageTableError(
      'NO_ROOT',
      `${machine.kind} has no root table to read (${unread.join('; ')}); give registers with --registers FILE, or --ttbr0 and --ttbr1`,
    );
  }
  const halves = spaces.map(({ half }) => half);
  const facts = AARCH64_FLAGS.filter(({ half }) => half === undefined || halves.includes(half));
  const flags = controlFlags(facts, spaces[0].paging.format.fact, {
    SCTLR_EL1: ['sctlr', control.sctlr],
    TCR_EL1: ['tcr', control.tcr],
    PSTATE: ['pstate', control.pan ? PSTATE_PAN : 0n],
  });
  return { spaces, unread, assumed, flags };
}

function whyNot(tcr: bigint, half: Half, register: string, option: string): string {
  return halfControl(tcr, half).walksDisabled
    ? `TCR_EL1.EPD${half === 'lower' ? 0 : 1} = 1, no walks are made`
    : `${register} is not known (--${option})`;
}

/** TCR_EL1 as far as a kernel's own description of its half tells; both halves are taken to be alike. */
function tcrOf(named: NamedRoot | undefined): bigint | undefined {
  if (named?.vaBits === undefined) return undefined;
  const granule = GRANULES.find(({ shift }) => 2 ** shift === (named.pageBytes ?? 4096));
  if (granule === undefined) return undefined;
  const size = BigInt(64 - named.vaBits);
  const ips = 5n;
  return size | (size << 16n) | (BigInt(granule.tg0) << 14n) | (BigInt(granule.tg1) << 30n) | (ips << 32n);
}

function givenControl(options: TableOptions): KnownAarch64Control {
  const value = (name: (typeof AARCH64_OPTIONS)[number]) => {
    const text = options[name];
    return text === undefined ? undefined : parseHex(`--${name}`, text);
  };
  const pstate = value('pstate');
  const all = {
    ttbr0: value('ttbr0'),
    ttbr1: value('ttbr1'),
    tcr: value('tcr'),
    mair: value('mair'),
    sctlr: value('sctlr'),
    pan: pstate === undefined ? undefined : (pstate & PSTATE_PAN) !== 0n,
    physBits:
      options.physBits === undefined ? undefined : parseCount('--phys-bits', options.physBits, 32, 48),
  };
  return Object.fromEntries(Object.entries(all).filter(([, one]) => one !== undefined));
}
