import { run } from '../../src/cli/program.ts';

/** What a run of the command printed and returned. */
export interface CommandResult {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command in this process. */
export async function command(...args: readonly string[]): Promise<CommandResult> {
  let out = '';
  let err = '';
  const exit = await run(args, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    colour: false,
  });
  return { exit, out, err };
}
