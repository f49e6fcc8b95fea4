import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { PageTableError } from '../bits/index.ts';
import type { Output } from './output.ts';
import { choosePaging, openSource, type Session, type SourceOptions } from './session.ts';
import { explain } from './verbs/explain.ts';
import { info } from './verbs/info.ts';
import { type MapsOptions, maps } from './verbs/maps.ts';
import { read } from './verbs/read.ts';
import { translate } from './verbs/translate.ts';

/** Where a command reads its surroundings and writes. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Whether results go to a terminal that shows colour. */
  readonly colour: boolean;
}

type CommonOptions = SourceOptions & { readonly json?: true; readonly ndjson?: true };

/** Exit codes: DESIGN's four. */
export const EXIT = { fine: 0, findings: 1, usage: 2, input: 3 } as const;

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
    withSourceOptions(program.command(`${name.split(' ')[0]} <source>`).description(about));
  const withSession =
    (work: (session: Session, output: Output) => Promise<number>) =>
    async (source: string, options: CommonOptions): Promise<void> => {
      const machine = await openSource(source, options);
      try {
        exit = await work(choosePaging(machine, options), outputOf(options, terminal));
      } finally {
        await machine.close();
      }
    };

  verb('info', 'what the image holds, and what its page tables consist of').action(
    async (source: string, options: CommonOptions) => {
      const machine = await openSource(source, options);
      try {
        exit = await info(machine, options, outputOf(options, terminal));
      } finally {
        await machine.close();
      }
    },
  );

  verb('maps', 'what is mapped where, with which rights')
    .option('--range <range>', 'only these linear addresses: FIRST-END or FIRST+LENGTH')
    .option(
      '--rights <rights>',
      'only rows with these rights: some of rwx, for either privilege; or user:…, super:…',
    )
    .option('--size <size>', 'only rows that use this page size: 4K, 2M, 4M, 1G')
    .option('--min-size <size>', 'only rows of at least this size')
    .option('--merge <rule>', 'what makes a row: rights, physical (default), size, attributes, none')
    .option('--gap <size>', 'overview: join rows that lie at most this far apart')
    .option('--all', 'every row by itself: repetition is not folded, shared tables are listed each time')
    .option('--limit <rows>', 'rows at most; more are an error (1000000)')
    .option('--format <format>', 'table (default), or as the QEMU monitor prints: qemu-tlb, qemu-mem')
    .action((source: string, options: CommonOptions & MapsOptions) =>
      withSession((session, output) => maps(session, options, output))(source, options),
    );

  verb('translate', 'physical addresses of linear addresses')
    .argument('<address...>', 'linear addresses, hexadecimal')
    .action((source: string, addresses: string[], options: CommonOptions) =>
      withSession((session, output) => translate(session, addresses, output))(source, options),
    );

  verb('explain', 'every step of one translation: entries, rights, faults')
    .argument('<address>', 'linear address, hexadecimal')
    .action((source: string, address: string, options: CommonOptions) =>
      withSession((session, output) => explain(session, address, output))(source, options),
    );

  verb('read', 'bytes of linear memory')
    .argument('<address>', 'linear address, hexadecimal')
    .argument('<length>', 'bytes, as in 64, 0x40 or 4K')
    .action((source: string, address: string, length: string, options: CommonOptions) =>
      withSession((session, output) => read(session, address, length, output))(source, options),
    );

  try {
    await program.parseAsync([...args], { from: 'user' });
    return exit;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.fine : EXIT.usage;
    if (error instanceof PageTableError) {
      terminal.err(`tablewalk: ${error.message}\n`);
      return error.code === 'BAD_ARGUMENT' || error.code === 'NO_CPU' ? EXIT.usage : EXIT.input;
    }
    throw error;
  }
}

function withSourceOptions(command: Command): Command {
  return command
    .option('--json', 'one JSON object')
    .option('--ndjson', 'one JSON line per record')
    .option('--cpu <number>', 'the CPU whose registers count (0)')
    .option('--root <address>', 'physical address of the root table, instead of CR3')
    .option('--mode <mode>', '32-bit, PAE, 4-level or 5-level, instead of what the registers say')
    .option('--cr0 <value>', 'control register, as are the next ones')
    .option('--cr3 <value>')
    .option('--cr4 <value>')
    .option('--efer <value>', 'IA32_EFER')
    .option('--pat <value>', 'IA32_PAT')
    .option('--pkru <value>', 'protection-key rights for user pages')
    .option('--pkrs <value>', 'protection-key rights for supervisor pages')
    .option('--phys-bits <bits>', 'physical-address width, 32 to 52')
    .option('--no-page1gb', 'the processor has no 1-GiB pages')
    .option('--no-pse36', 'the processor has no 40-bit 4-MiB pages')
    .option('--amd', 'bit 8 of PML4E and PML5E must be 0')
    .option('--raw', 'the file is raw memory')
    .option('--base <address>', 'physical address of the first byte of raw memory (0)');
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
  };
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const parsed: unknown = JSON.parse(text);
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed ? String(parsed.version) : '0';
}
