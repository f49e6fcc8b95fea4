// The main job on the sample that ships in the repository: npm start
import { spawnSync } from 'node:child_process';
import { ROOT, SAMPLE } from './checks.mjs';

const ADDRESS = 'ffffffffb6000123';
const COMMANDS = [
  ['info', SAMPLE],
  ['maps', SAMPLE, '--gap', '64M'],
  ['explain', SAMPLE, ADDRESS],
];

for (const [i, args] of COMMANDS.entries()) {
  console.log(`${i > 0 ? '\n' : ''}$ tablewalk ${args.join(' ')}`);
  const { stdout, stderr, status } = spawnSync(process.execPath, ['dist/cli/main.js', ...args], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (status !== 0) {
    process.stderr.write(stderr);
    process.exit(status ?? 1);
  }
  process.stdout.write(stdout);
}
