import { join } from 'node:path';
import { run } from '../../dist/cli/program.js';
import { ROOT } from '../checks.mjs';

/** The samples that ship with the page: as its buttons call them, what the page says of their tables, and addresses to try. */
export const SAMPLES = [
  {
    name: 'linux-amd64-la48',
    title: 'x86-64',
    paging: [/^x86-64 4-level paging, root 0x0*2a42000 from CR3 of CPU 0$/],
    // A page of the program, one of the kernel's, a 2-MiB one, nothing, and no address of this machine.
    addresses: ['402000', 'ffffffffc03ad010', '7f75ece01234', '40000000', '800000000000'],
  },
  {
    name: 'linux-arm64-4k-nokaslr',
    title: 'arm64',
    paging: [
      /^AArch64 stage 1, 4K granule, 48-bit lower half, root 0x0*43271000 from TTBR0_EL1 of CPU 0$/,
      /^AArch64 stage 1, 4K granule, 48-bit upper half, root 0x0*41853000 from TTBR1_EL1 of CPU 0$/,
    ],
    addresses: ['400123', 'ffff800008010c80', 'ffff000000200000', '40000000', '1000000000000'],
  },
  {
    name: 'linux-riscv64-sv39',
    title: 'RISC-V',
    paging: [/^RISC-V Sv39, root 0x0*88235000 from satp of CPU 0$/],
    addresses: ['10000', 'ffffffff80a7662c', '3f9ae00000', '40000000'],
  },
];

/** The folder's files of a sample: its core, and the options that name its registers. */
export function sampleFiles({ name }) {
  const folder = join(ROOT, 'samples', name);
  return { core: join(folder, 'core.elf.gz'), options: ['--registers', join(folder, 'registers.json')] };
}

/** Runs the command in this process and returns its output; throws if it refuses its arguments or input. */
export async function command(...args) {
  let out = '';
  let error = '';
  const exit = await run(args, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      error += text;
    },
    colour: false,
  });
  if (exit > 1) throw new Error(`tablewalk ${args.join(' ')}: ${error}`);
  return out;
}

/** What the command says of a sample: `verb` with its own arguments. */
export function ask(sample, verb, ...args) {
  const { core, options } = sampleFiles(sample);
  return command(verb, core, ...args, ...options);
}

/** Fails unless two lists of texts are alike; `what` names them. */
export function same(actual, expected, what) {
  const length = Math.max(actual.length, expected.length);
  for (let i = 0; i < length; i += 1) {
    if (actual[i] === expected[i]) continue;
    throw new Error(
      `${what}, ${i + 1} of ${expected.length}: found ${JSON.stringify(actual[i])}, expected ${JSON.stringify(expected[i])}`,
    );
  }
}
