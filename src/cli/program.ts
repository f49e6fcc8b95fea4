import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { type ErrorCode, PageTableError } from '../bits/index.ts';
import type { Machine } from '../machine/index.ts';
import { choosePaging, type Session } from '../session/index.ts';
import type { Output } from './output.ts';
import { openSource, type SourceOptions } from './session.ts';
import { explain } from './verbs/explain.ts';
import { type ExploreOptions, explore } from './verbs/explore.ts';
import { info } from './verbs/info.ts';
import { type MapsOptions, maps } from './verbs/maps.ts';
import { read } from './verbs/read.ts';
import { translate } from './verbs/translate.ts';

/** Where a command reads its surroundings and writes. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Hands over what was written so far, where something is kept back. */
  flush?(): void;
  /** Whether results go to a terminal that shows colour. */
  readonly colour: boolean;
}

type CommonOptions = SourceOptions & { readonly json?: true; readonly ndjson?: true };

/** Exit codes; the verbs themselves return 0, or 1 for what does not translate or is not there. */
const EXIT = { fine: 0, usage: 2, input: 3 } as const;

/** Errors that other arguments would mend. */
const USAGE_CODES: ReadonlySet<ErrorCode> = new Set([
  'BAD_ARGUMENT',
  'MISALIGNED',
  'NO_CPU',
  'NO_ROOT',
  'OUT_OF_RANGE',
]);

/**
 * Runs the command.
 *
 * @param args - arguments, without the program's name
 * @returns the exit code
 */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  let exit: number = EXIT.fine;
  const program = new Command('tablewalk')
    .description('Looks into the page tables of a machine: in a memory image, packed with gzip or not.')
    .version(version())
    .showHelpAfterError('(tablewalk --help tells more)')
    .exitOverride()
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err });

  const verb = (name: string, about: string) =>
    program
      .command(name)
      .description(about)
      .argument('<source>', 'memory image: ELF core or raw, packed with gzip or not');
  const onMachine = async (
    source: string,
    options: CommonOptions,
    work: (machine: Machine, output: Output) => Promise<number>,
  ): Promise<void> => {
    const machine = await openSource(source, options);
    try {
      exit = await work(machine, outputOf(options, terminal));
    } finally {
      await machine.close();
    }
  };
  const onTables = (
    source: string,
    options: CommonOptions,
    work: (session: Session, output: Output) => Promise<number>,
  ) => onMachine(source, options, (machine, output) => work(choosePaging(machine, options), output));

  verb('info', 'what the image holds, and what its page tables consist of').action(
    (source: string, options: CommonOptions) =>
      onMachine(source, options, (machine, output) => info(machine, options, output)),
  );

  verb('maps', 'what is mapped where, with which rights')
    .option(
      '--range <range>',
      'only pages that these linear addresses touch: FIRST-END (0: the end of the space) or FIRST+LENGTH, as in 7f0000000000+2M',
    )
    .option(
      '--rights <rights>',
      'only rows with these rights: some of rwx, for either privilege; or user:…, super:…',
    )
    .option('--size <size>', 'only rows that use this page size: 4K, 2M, 4M, 1G')
    .option('--min-size <size>', 'only rows of at least this size (one copy of a repeated row)')
    .option('--merge <rule>', 'what makes a row: rights, physical (default), size, attributes, none')
    .option('--gap <size>', 'overview: join rows that lie at most this far apart, as in 64M')
    .option('--all', 'every row by itself: repetition is not folded, shared tables are listed each time')
    .option('--limit <rows>', 'rows at most; more are an error (1000000)')
    .option('--format <format>', 'table (default), or as the QEMU monitor prints: qemu-tlb, qemu-mem')
    .action((source: string, options: CommonOptions & MapsOptions) =>
      onTables(source, options, (session, output) => maps(session, options, output)),
    );

  verb('translate', 'physical addresses of linear addresses')
    .argument('<address...>', 'linear addresses, hexadecimal')
    .action((source: string, addresses: string[], options: CommonOptions) =>
      onTables(source, options, (session, output) => translate(session, addresses, output)),
    );

  verb('explain', 'every step of one translation: entries, rights, faults')
    .argument('<address>', 'linear address, hexadecimal')
    .action((source: string, address: string, options: CommonOptions) =>
      onTables(source, options, (session, output) => explain(session, address, output)),
    );

  verb('read', 'bytes of linear memory')
    .argument('<address>', 'linear address, hexadecimal')
    .argument('<length>', 'bytes, as in 64, 0x40 or 4K')
    .action((source: string, address: string, length: string, options: CommonOptions) =>
      onTables(source, options, (session, output) => read(session, address, length, output)),
    );

  verb('explore', 'serves the explorer with the image, a page for the browsers of this machine, until Ctrl-C')
    .option('--port <number>', 'port at 127.0.0.1 (0: any that is free)')
    .action(async (source: string, options: CommonOptions & ExploreOptions, command: Command) => {
      exit = await explore(source, options, givenOptions(command), outputOf(options, terminal));
    });

  // After a verb's own options, which are what a reader of its help looks for.
  for (const command of program.commands) withSourceOptions(command);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exit;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.fine : EXIT.usage;
    if (error instanceof PageTableError) {
      terminal.err(`tablewalk: ${error.message}\n`);
      return USAGE_CODES.has(error.code) ? EXIT.usage : EXIT.input;
    }
    throw error;
  }
}

function withSourceOptions(command: Command): void {
  command
    .optionsGroup('Output:')
    .option('--json', 'one JSON object')
    .option('--ndjson', 'one JSON line per record')
    .optionsGroup('The image:')
    .option('--raw', 'the file is raw memory')
    .option('--base <address>', 'physical address of its first byte (0)')
    .option('--max-unpacked <size>', 'how much a file packed with gzip may unpack to (2G)')
    .optionsGroup('The machine (what the image does not tell; in brackets: what is assumed):')
    .option(
      '--registers <file>',
      'registers of the CPUs: what QEMU or gdb prints for info registers, or JSON',
    )
    .option('--cpu <number>', 'CPU whose registers count (0)')
    .option(
      '--phys-bits <bits>',
      'physical-address width (what registers say; else 52, 40 in 32-bit mode, 48 on AArch64, 56 on RISC-V, 34 in Sv32)',
    )
    .optionsGroup('An x86 or RISC-V machine:')
    .option(
      '--root <address>',
      'physical address of the root table (CR3 or satp, else the root that the image names)',
    )
    .option(
      '--mode <mode>',
      '32-bit, PAE, 4-level or 5-level (what CR0, CR4 and EFER say); sv32, sv39, sv48 or sv57 (what satp says)',
    )
    .optionsGroup('An x86 machine:')
    .option('--cr0 <value>', 'paging, write protection (PG, WP)')
    .option('--cr3 <value>', 'root table, with its low bits')
    .option('--cr4 <value>', 'page sizes, SMEP, SMAP, keys (PSE, PAE, PGE)')
    .option('--efer <value>', 'long mode, execute-disable (NXE; LMA unless the image says otherwise)')
    .option('--pat <value>', 'memory types (the value after reset)')
    .option('--pkru <value>', 'protection keys of user pages (0)')
    .option('--pkrs <value>', 'protection keys of supervisor pages (0)')
    .option('--no-page1gb', 'the processor has no 1-GiB pages: PS is reserved in a PDPTE')
    .option('--no-pse36', 'the processor has no 40-bit addresses in 4-MiB pages')
    .option('--amd', 'the processor is AMD: bit 8 of PML4E and PML5E is reserved')
    .optionsGroup('An AArch64 machine (stage 1 of EL1&0):')
    .option('--ttbr0 <value>', 'TTBR0_EL1: root table of the lower half')
    .option('--ttbr1 <value>', 'TTBR1_EL1: root table of the upper half (the root that the image names)')
    .option('--tcr <value>', 'TCR_EL1: sizes, granules (what the image says; else 48 bits, 4K)')
    .option('--mair <value>', 'MAIR_EL1: memory types (not known: their indices are shown)')
    .option('--sctlr <value>', 'SCTLR_EL1 (M = 1, WXN = 0)')
    .option('--pstate <value>', 'PSTATE, or CPSR: PAN (PAN = 0)')
    .optionsGroup('A RISC-V machine:')
    .option('--satp <value>', 'root table and mode (the root that the image names)')
    .option('--sstatus <value>', 'SUM, MXR; mstatus has the same bits (0)')
    .option('--menvcfg <value>', 'PBMTE, ADUE; 64 bits (both 1)')
    .option('--no-svnapot', 'the processor has no groups of 64 KiB: N is reserved')
    .option('--no-svpbmt', 'PBMT is reserved');
}

/** The options by which an image is read, those that were given: an option that denies has a value otherwise, too. */
function givenOptions(command: Command): SourceOptions {
  const { port, json, ndjson, ...options } = command.opts();
  return Object.fromEntries(
    Object.entries(options).filter(([name]) => command.getOptionValueSource(name) === 'cli'),
  );
}

function outputOf(options: CommonOptions, terminal: Terminal): Output {
  if (options.json && options.ndjson) {
    throw new PageTableError('BAD_ARGUMENT', 'both --json and --ndjson are given; expected one of them');
  }
  return {
    mode: options.json ? 'json' : options.ndjson ? 'ndjson' : 'text',
    colour: terminal.colour,
    line: (text) => terminal.out(`${text}\n`),
    note: (text) => terminal.err(`${text}\n`),
    flush: () => terminal.flush?.(),
  };
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const parsed: unknown = JSON.parse(text);
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed ? String(parsed.version) : '0';
}
