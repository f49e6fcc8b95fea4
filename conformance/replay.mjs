// Replays recorded operation sequences of the original libraries on this package, and tells every difference.
//
// Usage: npm run replay -- FOLDER [FILE-PATTERN]
//
// Replays every *.jsonl.gz below FOLDER, in the order of their names; with FILE-PATTERN only those whose name (from FOLDER
// on) has it in it, where * stands for anything. If FOLDER has an index.json, a file that it lists must have the digest
// that it gives. A line per file, the first differences of a file below it, and last the sums:
//
//     N operations, N differences, N deliberate
//
// A difference is an operation or a checkpoint of which anything recorded is not found so: its result, the frames it
// took and gave back, the words it changed. A deliberate one is described in docs/differences.md under its name.
//
// Exit code: 0 everything equal, 1 differences, 2 wrong usage or nothing to replay, 3 a file that cannot be read.

import { replayFolder } from './replay/folder.mjs';

process.exitCode = replayFolder(process.argv.slice(2), console);
