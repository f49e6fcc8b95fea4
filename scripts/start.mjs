// A tour of the faces on one guest RAM, then a real machine from the sample that ships in the repository: npm start
import { spawnSync } from 'node:child_process';
import { ROOT, SAMPLE } from './checks.mjs';

const COMMANDS = [
  ['info', SAMPLE],
  ['maps', SAMPLE, '--gap', '64M'],
];

run('examples/tour.mjs');
for (const args of COMMANDS) {
  console.log(`\n$ tablewalk ${args.join(' ')}`);
  run('dist/cli/main.js', ...args);
}

function run(...args) {
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) {
    process.stderr.write(stderr);
    process.exit(status ?? 1);
  }
  process.stdout.write(stdout);
}
