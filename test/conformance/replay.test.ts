import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

type Members = Record<string, unknown>;

interface Mismatch {
  readonly member: string;
  readonly expected: unknown;
  readonly found: unknown;
}

interface Replayed {
  readonly operations: number;
  readonly differences: readonly { operation: number; line: number; wrong: readonly Mismatch[] }[];
  readonly deliberate: readonly { operation: number; name: string }[];
  readonly ended?: string;
}

interface Memory {
  readonly memory: { words: Uint32Array };
  write(word: { address: bigint; value: bigint }): boolean;
  soil(address: bigint): void;
  unsoil(address: bigint): void;
  changes(): readonly { address: bigint; value: bigint }[];
}

interface Run {
  readonly memory: Memory;
  perform(operation: Members): Members;
  deliberate?(operation: Members, found: Members): { name: string; ends?: boolean } | undefined;
}

interface System {
  readonly deliberate: readonly string[];
  open(header: Members): Run;
}

interface Replayer {
  readonly SYSTEMS: Readonly<Record<string, System>>;
  readonly DELIBERATE: readonly string[];
  readText(path: string): string;
  parseSequence(text: string): { readonly header: Members };
  replaySequence(sequence: { readonly header: Members }, system: System): Replayed;
  replayFolder(
    args: readonly string[],
    printer: { log(line: string): void; error(line: string): void },
  ): number;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const VECTORS = join(ROOT, 'test/vectors');
const scratch = mkdtempSync(join(tmpdir(), 'tablewalk-replay-'));

const replayer: Replayer = {
  ...(await import(join(ROOT, 'conformance/replay/files.mjs'))),
  ...(await import(join(ROOT, 'conformance/replay/sequence.mjs'))),
  ...(await import(join(ROOT, 'conformance/replay/systems.mjs'))),
  ...(await import(join(ROOT, 'conformance/replay/folder.mjs'))),
};

afterAll(() => rmSync(scratch, { recursive: true }));

/** Does what the command does. */
function run(...args: readonly string[]) {
  const lines: string[] = [];
  let err = '';
  const exit = replayer.replayFolder(args, {
    log: (line) => lines.push(...line.split('\n')),
    error: (line) => {
      err += `${line}\n`;
    },
  });
  return { exit, lines, err };
}

/** Runs the command. */
function runCommand(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'conformance/replay.mjs'), ...args],
    {
      encoding: 'utf8',
    },
  );
  return { exit: status, lines: stdout.trimEnd().split('\n'), err: stderr };
}

/** A folder with these files in it. */
function folderOf(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = mkdtempSync(join(scratch, 'folder-'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

const OFFSET = 'x86_64/offset-mixed-1017.jsonl.gz';
const RECURSIVE = 'x86_64/recursive-hostile-1003.jsonl.gz';
const MAPPED = 'x86_64/mapped-hostile-1003.jsonl.gz';
const PAGE = 'hal/page-1000.jsonl.gz';
const MAP = 'hal/map-1000.jsonl.gz';
const PAGE_CTRL = 'hal/pagectrl-1003.jsonl.gz';
const STATIC = 'hyperlight/amd64-static-1003.jsonl.gz';
const MOVING = 'hyperlight/amd64-moving-1000.jsonl.gz';
const SPACES = 'hyperlight/aarch64-spaces-1000.jsonl.gz';
const EDGE = 'hyperlight/aarch64-edge-1000.jsonl.gz';
const ID_MAP = 'aarch64-paging/v12-id-1000.jsonl.gz';
const LIVE = 'aarch64-paging/v5-mapping-1004.jsonl.gz';

function textOf(name: string): string {
  return replayer.readText(join(VECTORS, name));
}

function replayText(text: string, change: (system: System) => System = (system) => system): Replayed {
  const sequence = replayer.parseSequence(text);
  return replayer.replaySequence(sequence, change(replayer.SYSTEMS[String(sequence.header['system'])]));
}

/** The text with its first line of a kind changed, and that line's number. */
function corrupted(
  text: string,
  isWanted: (line: Members) => boolean,
  change: (line: Members) => Members,
): { text: string; line: number } {
  const lines = text.trimEnd().split('\n');
  const at = lines.findIndex((line) => isWanted(JSON.parse(line)));
  expect(at).toBeGreaterThan(0);
  lines[at] = JSON.stringify(change(JSON.parse(lines[at])));
  return { text: `${lines.join('\n')}\n`, line: at + 1 };
}

/** A text up to the first checkpoint from a line on: what comes later need not be replayed. */
function cutAfter({ text, line }: { text: string; line: number }): string {
  const lines = text.trimEnd().split('\n');
  const at = lines.findIndex((each, i) => i + 1 >= line && each.startsWith('{"checkpoint"'));
  return at < 0 ? text : `${lines.slice(0, at + 1).join('\n')}\n`;
}

/** What a file tells of more than 16 words. */
function digestMember(words: readonly (readonly [string, string])[]): Members {
  const bytes = Buffer.alloc(words.length * 16);
  for (const [i, [address, value]] of words.entries()) {
    bytes.writeBigUInt64LE(BigInt(address), i * 16);
    bytes.writeBigUInt64LE(BigInt(value), i * 16 + 8);
  }
  return { count: words.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

function hasResult(line: Members, member: string): boolean {
  const { result } = line;
  return typeof result === 'object' && result !== null && member in result;
}

describe('recorded sequences', () => {
  let whole: ReturnType<typeof runCommand>;
  let files: string[];
  beforeAll(() => {
    whole = runCommand(VECTORS);
    files = whole.lines.filter((line) => line.includes('.jsonl.gz: '));
  }, 120_000);

  /** What a file's line says. */
  function countsOf(line: string): number[] {
    return [...line.matchAll(/(\d+) (?:operations|differences|deliberate)/g)].map(([, count]) =>
      Number(count),
    );
  }

  test.each([
    { group: 'x86_64/', sequences: 55, operations: 22_000, deliberate: 0 },
    { group: 'aarch64-paging/v12-id-', sequences: 6, operations: 1800, deliberate: 46 },
    { group: 'aarch64-paging/v12-linear-', sequences: 10, operations: 3000, deliberate: 39 },
    { group: 'aarch64-paging/v12-mapping-', sequences: 20, operations: 6000, deliberate: 84 },
    { group: 'aarch64-paging/v12-root-', sequences: 12, operations: 3600, deliberate: 2 },
    { group: 'aarch64-paging/v12-overflow-', sequences: 9, operations: 2700, deliberate: 135 },
    { group: 'aarch64-paging/v5-id-', sequences: 6, operations: 1800, deliberate: 460 },
    { group: 'aarch64-paging/v5-linear-', sequences: 6, operations: 1800, deliberate: 421 },
    { group: 'aarch64-paging/v5-mapping-', sequences: 8, operations: 2400, deliberate: 641 },
    { group: 'aarch64-paging/v5-root-', sequences: 6, operations: 1800, deliberate: 168 },
    { group: 'aarch64-paging/v5-overflow-', sequences: 5, operations: 1500, deliberate: 330 },
    { group: 'hal/page-', sequences: 4, operations: 1600, deliberate: 51 },
    { group: 'hal/map-', sequences: 4, operations: 1200, deliberate: 25 },
    { group: 'hal/pagectrl-', sequences: 10, operations: 3000, deliberate: 87 },
    { group: 'hyperlight/amd64-static-', sequences: 6, operations: 1800, deliberate: 6 },
    { group: 'hyperlight/amd64-moving-', sequences: 6, operations: 1800, deliberate: 15 },
    { group: 'hyperlight/amd64-spaces-', sequences: 8, operations: 2400, deliberate: 11 },
    { group: 'hyperlight/amd64-edge-', sequences: 5, operations: 1500, deliberate: 5 },
    { group: 'hyperlight/aarch64-static-', sequences: 6, operations: 1800, deliberate: 21 },
    { group: 'hyperlight/aarch64-moving-', sequences: 6, operations: 1800, deliberate: 24 },
    { group: 'hyperlight/aarch64-spaces-', sequences: 8, operations: 2400, deliberate: 25 },
    { group: 'hyperlight/aarch64-edge-', sequences: 5, operations: 1500, deliberate: 20 },
  ])('$group replays without a difference that is not meant to be', ({ group, ...expected }) => {
    const counts = files.filter((line) => line.startsWith(group)).map(countsOf);
    const sum = (i: number) => counts.reduce((total, each) => total + each[i], 0);
    expect(counts.filter(([, differences]) => differences > 0)).toEqual([]);
    expect({ sequences: counts.length, operations: sum(0), deliberate: sum(2) }).toEqual(expected);
  });

  test('all together', () => {
    const { exit, lines, err } = whole;
    expect(err).toBe('');
    expect(files).toHaveLength(211);
    expect(lines.at(-1)).toBe('69200 operations, 0 differences, 2616 deliberate');
    expect(exit).toBe(0);
  });

  test('deliberate differences are told by name', () => {
    const counted = new Map<string, number>();
    for (const line of whole.lines.filter((each) => each.startsWith('  '))) {
      const [, name, count] = /^ {2}deliberate: (\S+): (\d+)$/.exec(line) ?? ['', line, '0'];
      counted.set(name, (counted.get(name) ?? 0) + Number(count));
    }
    expect(Object.fromEntries(counted)).toEqual({
      'contains-last-byte': 32,
      'last-page-is-yielded': 19,
      'identity-map-range-works': 25,
      'huge-page-on-the-way': 54,
      'fault-is-undone': 2,
      'unmap-works': 18,
      'flags-mut-works': 13,
      'space-aware-map-works': 123,
      'unmapped-needs-no-address': 4,
      'clean-split-of-empty-entries': 136,
      'unknown-bits-survive-a-split': 25,
      'no-level-0-blocks': 3,
      'identical-blocks-stay': 10,
      'unmapped-tables-are-freed': 397,
      'violation-names-the-region': 712,
      'errors-stay-themselves-while-active': 56,
      'live-changes-by-masks': 505,
      'top-of-the-upper-range': 203,
      'no-underflow-of-addresses': 3,
      'res1-is-set': 15,
      'no-break-and-make-in-one-callback': 25,
      'no-live-change-of-address': 8,
      'unnamed-bits-count': 95,
      'no-live-split': 133,
    });
  });

  test('a pattern chooses files by a part of their name', () => {
    const chosen = run(VECTORS, 'offset-*-1004').lines;
    expect(chosen).toEqual([
      'x86_64/offset-exhaustion-1004.jsonl.gz: 400 operations, 0 differences, 0 deliberate',
      '400 operations, 0 differences, 0 deliberate',
    ]);
  });

  test('every deliberate difference that a replay may pass over is described', () => {
    const text = readFileSync(join(ROOT, 'docs/differences.md'), 'utf8');
    expect(replayer.DELIBERATE.filter((name) => !text.includes(`| \`${name}\` |`))).toEqual([]);
  });
});

describe('a replay finds what is not as recorded', () => {
  const cases: readonly {
    what: string;
    file: string;
    member: string;
    isWanted: (line: Members) => boolean;
    change: (line: Members) => Members;
  }[] = [
    {
      what: 'a payload',
      file: OFFSET,
      member: 'result',
      isWanted: ({ op, result }) => op === 'translate' && JSON.stringify(result).includes('offset'),
      change: (line) => JSON.parse(JSON.stringify(line).replace('"offset":"0x', '"offset":"0x1')),
    },
    {
      what: 'the page to flush',
      file: OFFSET,
      member: 'result',
      isWanted: (line) => hasResult(line, 'ok') && line['op'] === 'map_to',
      change: (line) => ({ ...line, result: { ok: { flush: '0x7000' } } }),
    },
    {
      what: 'the kind of an error',
      file: OFFSET,
      member: 'result',
      isWanted: ({ op, result }) => op === 'unmap' && JSON.stringify(result).includes('PageNotMapped'),
      change: (line) => ({ ...line, result: { err: 'ParentEntryHugePage' } }),
    },
    {
      what: 'the page of a fault',
      file: RECURSIVE,
      member: 'result',
      isWanted: (line) => hasResult(line, 'fault'),
      change: (line) => ({ ...line, result: { fault: '0x7000' } }),
    },
    {
      what: 'what an error carries',
      file: OFFSET,
      member: 'result',
      isWanted: ({ result }) => JSON.stringify(result ?? '').includes('PageAlreadyMapped'),
      change: (line) => ({ ...line, result: { err: 'PageAlreadyMapped', frame: '0x3000' } }),
    },
    {
      what: 'an error instead of a success',
      file: OFFSET,
      member: 'result',
      isWanted: (line) => hasResult(line, 'ok') && line['op'] === 'update_flags',
      change: (line) => ({ ...line, result: { err: 'PageNotMapped' } }),
    },
    {
      what: 'an error instead of a panic',
      file: MAPPED,
      member: 'result',
      isWanted: (line) => hasResult(line, 'panic'),
      change: (line) => ({ ...line, result: { err: 'FrameAllocationFailed' } }),
    },
    {
      what: 'a panic instead of an error',
      file: MAPPED,
      member: 'result',
      isWanted: (line) => hasResult(line, 'err'),
      change: (line) => ({ ...line, result: { panic: true } }),
    },
    {
      what: 'a panic instead of a success',
      file: MAPPED,
      member: 'result',
      isWanted: (line) => hasResult(line, 'ok'),
      change: (line) => ({ ...line, result: { panic: true } }),
    },
    {
      what: 'the value of a changed word',
      file: OFFSET,
      member: 'changed',
      isWanted: ({ changed, result }) => Array.isArray(changed) && JSON.stringify(result).includes('ok'),
      change: (line) => JSON.parse(JSON.stringify(line).replace(/"0x[0-9a-f]*"\]\]/, '"0x5"]]')),
    },
    {
      what: 'a changed word that is not listed',
      file: MAPPED,
      member: 'changed',
      isWanted: ({ changed, result }) => Array.isArray(changed) && JSON.stringify(result).includes('ok'),
      change: ({ changed: _, ...line }) => line,
    },
    {
      what: 'a word that changed only in the file',
      file: MAPPED,
      member: 'changed',
      isWanted: ({ op }) => op === 'translate',
      change: (line) => ({ ...line, changed: [['0x80001008', '0x5']] }),
    },
    {
      what: 'the digest of changed words',
      file: MAPPED,
      member: 'changed',
      isWanted: ({ changed, result }) => Array.isArray(changed) && JSON.stringify(result).includes('ok'),
      change: (line) => ({ ...line, changed: { count: 17, sha256: '00' } }),
    },
    {
      what: 'a frame that was taken',
      file: OFFSET,
      member: 'alloc',
      isWanted: ({ alloc, result }) => Array.isArray(alloc) && JSON.stringify(result).includes('ok'),
      change: (line) => ({ ...line, alloc: ['0x80999000'] }),
    },
    {
      what: 'a frame that was given back',
      file: OFFSET,
      member: 'freed',
      isWanted: ({ freed }) => Array.isArray(freed),
      change: ({ freed: _, ...line }) => line,
    },
    {
      what: 'the digest of a checkpoint',
      file: OFFSET,
      member: 'sha256',
      isWanted: ({ checkpoint }) => checkpoint !== undefined,
      change: (line) => JSON.parse(JSON.stringify(line).replace(/"sha256":"./, '"sha256":"x')),
    },
    {
      what: 'the number of words at a checkpoint',
      file: OFFSET,
      member: 'count',
      isWanted: ({ checkpoint }) => checkpoint !== undefined,
      change: (line) => JSON.parse(JSON.stringify(line).replace('"count":', '"count":1')),
    },
    {
      what: 'the next frame at a checkpoint',
      file: OFFSET,
      member: 'allocatorNext',
      isWanted: ({ checkpoint }) => checkpoint !== undefined,
      change: (line) => JSON.parse(JSON.stringify(line).replace('000"', '111"')),
    },
    {
      what: 'the free frames at a checkpoint',
      file: OFFSET,
      member: 'free',
      isWanted: ({ checkpoint }) => checkpoint !== undefined,
      change: (line) =>
        JSON.parse(JSON.stringify(line).replace('"free":[', '"free":["0x1",').replace(',]', ']')),
    },
    {
      what: 'a word of the last list',
      file: OFFSET,
      member: 'nonZero',
      isWanted: ({ checkpoint }) => JSON.stringify(checkpoint ?? '').includes('nonZero'),
      change: (line) => JSON.parse(JSON.stringify(line).replace(/"0x[0-9a-f]*"\]\]/, '"0x5"]]')),
    },
    {
      what: 'a member of a checkpoint that nothing is known of',
      file: OFFSET,
      member: 'slots',
      isWanted: ({ checkpoint }) => checkpoint !== undefined,
      change: (line) => JSON.parse(JSON.stringify(line).replace('{"op"', '{"slots":3,"op"')),
    },
    {
      what: 'how often entries were read',
      file: STATIC,
      member: 'reads',
      isWanted: ({ reads }) => reads === 3,
      change: (line) => ({ ...line, reads: 4 }),
    },
    {
      what: 'how often entries were written',
      file: STATIC,
      member: 'writes',
      isWanted: ({ writes }) => writes !== undefined,
      change: (line) => ({ ...line, writes: 0 }),
    },
    {
      what: 'where a table moved',
      file: MOVING,
      member: 'moved',
      isWanted: ({ moved }) => moved !== undefined,
      change: (line) => JSON.parse(JSON.stringify(line).replace(/"moved":\[\["0x/, '$&1')),
    },
    {
      what: 'a table that moved, but not in the file',
      file: MOVING,
      member: 'moved',
      isWanted: ({ moved }) => moved !== undefined,
      change: ({ moved: _, ...line }) => line,
    },
    {
      what: 'a root',
      file: MOVING,
      member: 'updateRoot',
      isWanted: ({ updateRoot }) => updateRoot !== undefined,
      change: ({ updateRoot: _, ...line }) => line,
    },
    {
      what: 'the root at a checkpoint',
      file: MOVING,
      member: 'root',
      isWanted: ({ checkpoint }) => checkpoint !== undefined,
      change: (line) => JSON.parse(JSON.stringify(line).replace('"root":"0x', '"root":"0x1')),
    },
    {
      what: 'the frame of an item',
      file: STATIC,
      member: 'result',
      isWanted: (line) => line['op'] === 'virt_to_phys' && JSON.stringify(line).includes('[["0x'),
      change: (line) => JSON.parse(JSON.stringify(line).replace('[["0x', '[["0x1')),
    },
    {
      what: 'the kind of an item',
      file: STATIC,
      member: 'result',
      isWanted: (line) => line['op'] === 'virt_to_phys' && JSON.stringify(line).includes('[["0x'),
      change: (line) => JSON.parse(JSON.stringify(line).replace(/,\d\]/, ',7]')),
    },
    {
      what: 'an item more',
      file: STATIC,
      member: 'result',
      isWanted: (line) => line['op'] === 'virt_to_phys' && JSON.stringify(line).includes('{"ok":[]}'),
      change: (line) => ({ ...line, result: { ok: [['0x1000', '0x1000', 1]] } }),
    },
    {
      what: 'the digest of many items',
      file: EDGE,
      member: 'result',
      isWanted: ({ op, result }) => op === 'virt_to_phys' && JSON.stringify(result).includes('sha256'),
      change: (line) => JSON.parse(JSON.stringify(line).replace(/"sha256":"./, '"sha256":"x')),
    },
    {
      what: 'where a shared table was entered',
      file: SPACES,
      member: 'result',
      isWanted: (line) => JSON.stringify(line).includes('"theirVa"') && line['op'] === 'walk_va_spaces',
      change: (line) => JSON.parse(JSON.stringify(line).replace('"theirVa":"0x', '"theirVa":"0x1')),
    },
    {
      what: 'an address',
      file: PAGE,
      member: 'result',
      isWanted: (line) => line['op'] === 'offset' && hasResult(line, 'ok'),
      change: (line) => ({ ...line, result: { ok: '0x123' } }),
    },
    {
      what: 'the sign of a difference',
      file: PAGE,
      member: 'result',
      isWanted: ({ op, result }) => op === 'difference' && JSON.stringify(result).includes('-'),
      change: (line) => JSON.parse(JSON.stringify(line).replace('"ok":"-', '"ok":"')),
    },
    {
      what: 'the last address of a page',
      file: PAGE,
      member: 'endAddr',
      isWanted: ({ op }) => op === 'page_contains',
      change: (line) => ({ ...line, endAddr: '0x1' }),
    },
    {
      what: 'an address that a page contains',
      file: PAGE,
      member: 'result',
      isWanted: ({ op, result }) => op === 'page_contains' && JSON.stringify(result).includes('true'),
      change: (line) => ({ ...line, result: { ok: false } }),
    },
    {
      what: 'the text of a page',
      file: PAGE,
      member: 'debug',
      isWanted: ({ op }) => op === 'compare',
      change: (line) => ({ ...line, debug: 'Page' }),
    },
    {
      what: 'the order of pages',
      file: PAGE,
      member: 'result',
      isWanted: ({ op, result }) => op === 'compare' && JSON.stringify(result).includes('"cmp":null'),
      change: (line) => ({ ...line, result: { ok: { eq: false, cmp: 1 } } }),
    },
    {
      what: 'a page that a range yields',
      file: PAGE,
      member: 'result',
      isWanted: ({ op, result }) => op === 'range' && JSON.stringify(result).includes('"iter":["0x'),
      change: (line) => JSON.parse(JSON.stringify(line).replace('"iter":["0x', '"iter":["0x1')),
    },
    {
      what: 'why a range stops',
      file: PAGE,
      member: 'result',
      isWanted: ({ op, result }) => op === 'range' && JSON.stringify(result).includes('"stop":"end"'),
      change: (line) => JSON.parse(JSON.stringify(line).replace('"stop":"end"', '"stop":"panic"')),
    },
    {
      what: 'the length of a range',
      file: PAGE,
      member: 'result',
      isWanted: ({ op, result }) => op === 'range' && JSON.stringify(result).includes('"len":"panic"'),
      change: (line) => JSON.parse(JSON.stringify(line).replace('"len":"panic"', '"len":"0x0"')),
    },
    {
      what: 'an order of events',
      file: MAP,
      member: 'events',
      isWanted: ({ events }) => Array.isArray(events) && events.length > 1,
      change: (line) => ({ ...line, events: (line['events'] as unknown[]).toReversed() }),
    },
    {
      what: 'the flags that a callback sees',
      file: MAP,
      member: 'events',
      isWanted: ({ events }) => JSON.stringify(events ?? '').includes('callback'),
      change: (line) => JSON.parse(JSON.stringify(line).replace('true,false,true', 'true,true,true')),
    },
    {
      what: 'who panics',
      file: MAP,
      member: 'result',
      isWanted: ({ result }) => JSON.stringify(result ?? '').includes('"by":"mapper"'),
      change: (line) => ({ ...line, result: { panic: true, by: 'defaults' } }),
    },
    {
      what: 'the events before a panic',
      file: MAP,
      member: 'events',
      isWanted: (line) => hasResult(line, 'panic') && JSON.stringify(line).includes('["commit"'),
      change: (line) => ({ ...line, events: [] }),
    },
    {
      what: 'a flag of a page at a checkpoint',
      file: MAP,
      member: 'mapped',
      isWanted: ({ checkpoint }) => checkpoint !== undefined,
      change: (line) => JSON.parse(JSON.stringify(line).replace(',true,false,', ',true,true,')),
    },
    {
      what: 'a page at a checkpoint',
      file: MAP,
      member: 'mapped',
      isWanted: ({ checkpoint }) => checkpoint !== undefined,
      change: (line) => JSON.parse(JSON.stringify(line).replace('"mapped":[["0x', '"mapped":[["0x1')),
    },
    {
      what: 'an INVLPG',
      file: PAGE_CTRL,
      member: 'events',
      isWanted: ({ events }) => JSON.stringify(events ?? '').includes('invlpg'),
      change: (line) => ({ ...line, events: [['invlpg', '0x1000']] }),
    },
    {
      what: 'an INVLPG that only the file has',
      file: PAGE_CTRL,
      member: 'events',
      isWanted: ({ op }) => op === 'translate_page',
      change: (line) => ({ ...line, events: [['invlpg', '0x1000']] }),
    },
    {
      what: 'a write to CR3',
      file: PAGE_CTRL,
      member: 'events',
      isWanted: ({ op }) => op === 'init_paging',
      change: ({ events: _, ...line }) => line,
    },
    {
      what: 'a flag of a handle',
      file: PAGE_CTRL,
      member: 'result',
      isWanted: ({ result }) => JSON.stringify(result ?? '').includes('handle'),
      change: (line) => ({ ...line, result: { ok: { handle: [true, true, true] } } }),
    },
    {
      what: 'a size that is wrong',
      file: PAGE_CTRL,
      member: 'result',
      isWanted: ({ result }) => JSON.stringify(result ?? '').includes('"1GB"'),
      change: (line) => ({ ...line, result: { err: 'WrongSize', size: '2MB' } }),
    },
    {
      what: 'an entry that a callback sees',
      file: ID_MAP,
      member: 'log',
      isWanted: ({ log }) => Array.isArray(log),
      change: (line) => JSON.parse(JSON.stringify(line).replace(',"0x0"]', ',"0x1"]')),
    },
    {
      what: 'a region that a callback sees',
      file: ID_MAP,
      member: 'log',
      isWanted: ({ log }) => Array.isArray(log),
      change: (line) => JSON.parse(JSON.stringify(line).replace('"log":[["0x8', '"log":[["0x9')),
    },
    {
      what: 'a call of a callback that only the file has',
      file: ID_MAP,
      member: 'log',
      isWanted: ({ log }) => Array.isArray(log),
      change: ({ log, ...line }) => ({ ...line, log: [...(log as unknown[]), (log as unknown[])[0]] }),
    },
    {
      what: 'the digest of many calls',
      file: ID_MAP,
      member: 'log',
      isWanted: ({ op, log }) => op === 'modify_range' && log !== undefined && !Array.isArray(log),
      change: (line) => JSON.parse(JSON.stringify(line).replace(/("log":.*?"sha256":")./, '$1x')),
    },
    {
      what: 'the number of slots',
      file: ID_MAP,
      member: 'slots',
      isWanted: ({ slots }) => slots !== undefined,
      change: (line) => ({ ...line, slots: Number(line['slots']) + 1 }),
    },
    {
      what: 'the number of slots at a checkpoint',
      file: ID_MAP,
      member: 'slots',
      isWanted: ({ checkpoint }) => checkpoint !== undefined,
      change: (line) => JSON.parse(JSON.stringify(line).replace('"slots":', '"slots":1')),
    },
    {
      what: 'how often a map is active',
      file: ID_MAP,
      member: 'active',
      isWanted: ({ checkpoint }) => checkpoint !== undefined,
      change: (line) => JSON.parse(JSON.stringify(line).replace(/"active":./, '"active":7')),
    },
    {
      what: 'the digest of a debug text',
      file: ID_MAP,
      member: 'result',
      isWanted: ({ op }) => op === 'debug',
      change: (line) => JSON.parse(JSON.stringify(line).replace(/"sha256":"./, '"sha256":"x')),
    },
    {
      what: 'the address of an error',
      file: ID_MAP,
      member: 'result',
      isWanted: (line) => JSON.stringify(line).includes('AddressRange'),
      change: (line) => ({ ...line, result: { err: 'AddressRange', addr: '0x1000' } }),
    },
    {
      what: 'the entry of an error',
      file: ID_MAP,
      member: 'result',
      isWanted: (line) => JSON.stringify(line).includes('PteUpdateFault'),
      change: (line) => ({ ...line, result: { err: 'PteUpdateFault', bits: '0x1' } }),
    },
    {
      what: 'the region of an error',
      file: LIVE,
      member: 'result',
      isWanted: (line) => JSON.stringify(line).includes('BreakBeforeMakeViolation'),
      change: (line) => JSON.parse(JSON.stringify(line).replace('Violation","start":"0x', '$&1')),
    },
    {
      what: 'the page of a fault in a table',
      file: 'hal/pagectrl-1001.jsonl.gz',
      member: 'result',
      isWanted: (line) => hasResult(line, 'fault'),
      change: (line) => ({ ...line, result: { fault: '0x7000' } }),
    },
  ];

  test.each(cases)('$what', ({ file, member, isWanted, change }) => {
    const wrong = corrupted(textOf(file), isWanted, change);
    const [first] = replayText(cutAfter(wrong)).differences;
    expect(first?.line).toBe(wrong.line);
    expect(first.wrong.map((each) => each.member)).toContain(member);
  });

  test('a difference makes the exit code 1 and is shown below its file', () => {
    const { text } = corrupted(
      textOf(OFFSET),
      (line) => hasResult(line, 'err'),
      (line) => ({ ...line, result: { err: 'Nothing' } }),
    );
    const { exit, lines } = runCommand(folderOf({ 'one.jsonl.gz': gzipSync(text) }));
    expect(exit).toBe(1);
    expect(lines[0]).toBe('one.jsonl.gz: 400 operations, 1 differences, 0 deliberate');
    expect(lines[1]).toMatch(/^ {2}line \d+, operation \d+: \w+ \{/);
    expect(lines[2]).toMatch(/^ {4}result: expected \{"err":"Nothing"\}, found \{"err":"\w+"/);
    expect(lines.at(-1)).toBe('400 operations, 1 differences, 0 deliberate');
  });

  test('at most five differences of a file are shown', () => {
    const text = textOf(OFFSET).replaceAll('"PageNotMapped"', '"Nothing"');
    const { lines } = run(folderOf({ 'one.jsonl.gz': gzipSync(text) }));
    expect(lines.filter((line) => line.startsWith('  line '))).toHaveLength(5);
    expect(lines.at(-2)).toMatch(/^ {2}and \d+ more$/);
  });
});

describe('a replay finds what the code under test does beside its results', () => {
  /** A system that does something else, too, after its fifth operation. */
  function meddling(meddle: (run: Run, found: Members) => Members): (system: System) => System {
    return (system) => ({
      ...system,
      open(header) {
        const run = system.open(header);
        let operations = 0;
        return {
          ...run,
          perform(operation) {
            operations += 1;
            const found = run.perform(operation);
            return operations === 5 ? meddle(run, found) : found;
          },
        };
      },
    });
  }

  test('a word written where no table is, at the next checkpoint', () => {
    const replayed = replayText(
      textOf(OFFSET),
      meddling(({ memory }, found) => {
        memory.memory.words[memory.memory.words.length - 1] = 1;
        return found;
      }),
    );
    expect(replayed.differences).toHaveLength(1);
    expect(replayed.differences[0].wrong).toEqual([
      { member: 'words written unseen', expected: [], found: [['0x80fffff8', '0x100000000']] },
    ]);
  });

  test('a word written into a known table, at once', () => {
    const replayed = replayText(
      textOf(OFFSET),
      meddling(({ memory }, found) => {
        memory.memory.words[1024] ^= 4;
        return found;
      }),
    );
    expect(replayed.differences.map(({ operation }) => operation)).toEqual([5]);
    expect(replayed.differences[0].wrong.map((each) => each.member)).toEqual(['changed']);
  });

  test('a frame that is not clear when it is taken, and is not cleared', () => {
    const { header } = replayer.parseSequence(textOf(OFFSET));
    const { memory } = replayer.SYSTEMS['x86_64/OffsetPageTable'].open(header);
    memory.soil(0x8000_1000n);
    expect(memory.changes()).toHaveLength(512);
    memory.memory.words.fill(0, 1024, 1030);
    expect(memory.changes()[0]).toEqual({ address: 0x8000_1018n, value: 0xa5a5_a5a5_a5a5_a5a5n });
    memory.unsoil(0x8000_1000n);
    expect(memory.changes()).toEqual([]);
  });

  test('an error that is no PageTableError equals no recorded result', () => {
    const replayed = replayText(
      textOf(OFFSET),
      meddling((_, found) => ({ ...found, result: { threw: 'TypeError' } })),
    );
    expect(replayed.differences.map(({ operation }) => operation)).toEqual([5]);
  });

  test.each([
    ['other words', (table: bigint, memory: Memory) => memory.write({ address: table + 8n, value: 2n })],
    ['another error', () => expect.fail('not an error of this package')],
  ])('%s on the ready-made operations', async (_, meddle) => {
    const { MemoryTableOps } = await import(join(ROOT, 'dist/hyperlight-vmem/index.js'));
    let memory: Memory;
    const { allocTable } = MemoryTableOps.prototype;
    const spy = vi.spyOn(MemoryTableOps.prototype, 'allocTable').mockImplementation(function (this: unknown) {
      const table: bigint = allocTable.call(this);
      meddle(table, memory);
      return table;
    });
    const { differences } = replayText(textOf(STATIC), (system) => ({
      ...system,
      open(header) {
        const run = system.open(header);
        memory = run.memory;
        return run;
      },
    }));
    spy.mockRestore();
    expect(differences.length).toBeGreaterThan(0);
    expect(new Set(differences.flatMap(({ wrong }) => wrong.map(({ member }) => member)))).toEqual(
      new Set(['readyMade']),
    );
  });

  test('an error of the right kind, but of the class of another operation', async () => {
    const { OffsetPageTable } = await import(join(ROOT, 'dist/x86_64/index.js'));
    const unmap = vi.spyOn(OffsetPageTable.prototype, 'unmap');
    unmap.mockImplementation(function (this: { translatePage(page: unknown): unknown }, page: unknown) {
      return this.translatePage(page);
    });
    const { differences } = replayText(textOf(OFFSET));
    unmap.mockRestore();
    expect(differences.flatMap(({ wrong }) => wrong)).toContainEqual({
      member: 'result',
      expected: { err: 'PageNotMapped' },
      found: { err: 'PageNotMapped', class: 'TranslateError' },
    });
  });
});

describe('a recorded panic', () => {
  test('may leave memory as it was, and the replay goes on from the recorded words', () => {
    const isPanic = ({ result, changed }: Members) =>
      JSON.stringify(result ?? '').includes('panic') && Array.isArray(changed);
    // The recorded words of a panic are taken as they are, so this shows at the next checkpoint, or earlier, but not here.
    const { text, line } = corrupted(textOf(MAPPED), isPanic, (recorded) =>
      JSON.parse(JSON.stringify(recorded).replace(/"0x[0-9a-f]*"\]\]/, '"0x5"]]')),
    );
    const [first] = replayText(text).differences;
    expect(first?.line).toBeGreaterThan(line);
  });

  test('of a range in the middle is done as recorded, where the words after it are a digest only', () => {
    const { text } = corrupted(textOf(EDGE), isHalfMapped, (recorded) => ({
      ...recorded,
      changed: digestMember(recorded['changed'] as readonly (readonly [string, string])[]),
    }));
    const { operations, differences, ended } = replayText(text);
    expect(ended).toBeUndefined();
    expect(differences).toEqual([]);
    expect(operations).toBe(300);
  });

  test('of a range in the middle ends the comparison if the words do not have the digest', () => {
    const { text } = corrupted(textOf(EDGE), isHalfMapped, (recorded) => ({
      ...recorded,
      changed: { count: 20, sha256: '00' },
    }));
    expect(replayText(text).ended).toMatch(
      /^the words that operation \d+ changed are recorded as a digest only$/,
    );
  });

  function isHalfMapped({ op, result, changed }: Members): boolean {
    return op === 'map' && JSON.stringify(result).includes('"panic"') && Array.isArray(changed);
  }

  test('ends the comparison of a file that tells the words after it as a digest only', () => {
    const isPanic = ({ result, changed }: Members) =>
      JSON.stringify(result ?? '').includes('panic') && Array.isArray(changed);
    const { text } = corrupted(textOf(MAPPED), isPanic, (recorded) => ({
      ...recorded,
      changed: { count: 20, sha256: '00' },
    }));
    const { operations, differences, ended } = replayText(text);
    expect(differences).toEqual([]);
    expect(operations).toBe(7);
    expect(ended).toBe('the words that operation 7 changed are recorded as a digest only');
  });
});

describe('a deliberate difference', () => {
  const wrongError = corrupted(
    textOf(OFFSET),
    (line) => hasResult(line, 'err'),
    (line) => ({ ...line, result: { err: 'Nothing' } }),
  ).text;

  /** A system for which every difference is deliberate. */
  function indulgent(names: readonly string[], ends: boolean): (system: System) => System {
    return (system) => ({
      ...system,
      deliberate: names,
      open: (header) => ({ ...system.open(header), deliberate: () => ({ name: 'a name', ends }) }),
    });
  }

  test('is counted by name, and is no difference', () => {
    const { operations, differences, deliberate } = replayText(wrongError, indulgent(['a name'], false));
    expect(differences).toEqual([]);
    expect(deliberate.map(({ name }) => name)).toEqual(['a name']);
    expect(operations).toBe(400);
  });

  test('can end the comparison of a file', () => {
    const { operations, ended } = replayText(wrongError, indulgent(['a name'], true));
    expect(ended).toBe('deliberate difference a name');
    expect(operations).toBeLessThan(400);
  });

  test('has a name that its system lists', () => {
    expect(() => replayText(wrongError, indulgent([], false))).toThrow(
      'not among those that the system lists',
    );
  });
});

describe('a deliberate difference is counted only if the better answer was found', () => {
  const cases: readonly {
    name: string;
    file: string;
    spoil: (found: Members, memory: Memory) => Members;
  }[] = [
    { name: 'contains-last-byte', file: PAGE, spoil: (found) => ({ ...found, endAddr: '0x1' }) },
    {
      name: 'last-page-is-yielded',
      file: PAGE,
      spoil: (found) => JSON.parse(JSON.stringify(found).replace('"iter":["0x', '"iter":["0x0","0x')),
    },
    {
      name: 'identity-map-range-works',
      file: MAP,
      spoil: (found) => ({ ...found, events: (found['events'] as unknown[]).slice(1) }),
    },
    {
      name: 'huge-page-on-the-way',
      file: PAGE_CTRL,
      spoil: (found) => ({ ...found, events: [['invlpg', '0x1000']] }),
    },
    {
      name: 'fault-is-undone',
      file: 'hal/pagectrl-1001.jsonl.gz',
      spoil: (found) => ({ ...found, alloc: ['0x999000'] }),
    },
    { name: 'unmap-works', file: 'hal/pagectrl-1000.jsonl.gz', spoil: alsoWrites(0x1008n) },
    {
      name: 'flags-mut-works',
      file: 'hal/pagectrl-1000.jsonl.gz',
      spoil: (found) => ({ ...found, events: [] }),
    },
    { name: 'space-aware-map-works', file: STATIC, spoil: alsoWrites(0x8000_0ff0n) },
    {
      name: 'space-aware-map-works',
      file: STATIC,
      spoil(found, memory) {
        for (const { address } of memory.changes()) memory.write({ address, value: 0x1023n });
        return found;
      },
    },
    { name: 'unmapped-needs-no-address', file: EDGE, spoil: (found) => ({ ...found, writes: 1 }) },
  ];

  function alsoWrites(address: bigint) {
    return (found: Members, memory: Memory) => {
      expect(memory.write({ address, value: 5n })).toBe(true);
      return found;
    };
  }

  test.each(cases)('$name', ({ name, file, spoil }) => {
    const counted = ({ deliberate }: Replayed) => deliberate.filter((each) => each.name === name).length;
    const asItIs = replayText(textOf(file));
    expect(counted(asItIs)).toBeGreaterThan(0);
    expect(asItIs.differences).toEqual([]);

    let isSpoilt = false;
    const spoilt = replayText(textOf(file), (system) => ({
      ...system,
      open(header) {
        const run = system.open(header);
        return {
          ...run,
          deliberate(operation, found) {
            const meant = run.deliberate?.(operation, found);
            if (meant?.name !== name || isSpoilt) return meant;
            isSpoilt = true;
            return run.deliberate?.(operation, spoil(found, run.memory));
          },
        };
      },
    }));
    expect(counted(spoilt)).toBe(counted(asItIs) - 1);
    expect(spoilt.differences.length).toBeGreaterThan(0);
  });

  describe('with the fixes of aarch64-paging', () => {
    // All names that occur in the recorded files occur in these.
    const files = [
      'v5-id-1004',
      'v5-linear-1002',
      'v12-overflow-1003',
      'v12-overflow-1006',
      'v12-mapping-1008',
    ];

    test.each(files)('%s', async (name) => {
      const { SlotTranslation } = await import(join(ROOT, 'conformance/replay/aarch64-machine.mjs'));
      const allocate = vi.spyOn(SlotTranslation.prototype, 'allocateTable');
      const flip = () => {
        const [tables] = allocate.mock.contexts as { memory: { words: Uint32Array } }[];
        tables.memory.words[2] ^= 4;
      };
      const spoils: readonly Members[] = [
        { result: { ok: 'spoilt' } },
        { result: { err: 'BreakBeforeMakeViolation', start: '0x1', end: '0x2' } },
        { log: [['0x0', '0x1000', 3, '0x5']] },
      ];
      /** What is made of wrong answers where the right one is deliberate, by its name. */
      const ofWrong = new Map<string, unknown[]>();
      const { differences, deliberate } = replayText(textOf(`aarch64-paging/${name}.jsonl.gz`), (system) => ({
        ...system,
        open(header) {
          const run = system.open(header);
          return {
            ...run,
            deliberate(operation, found) {
              const meant = run.deliberate?.(operation, found);
              if (meant === undefined || ofWrong.has(meant.name)) return meant;
              const withFixes = found['withFixes'] as Members;
              const spoilt = spoils.map((spoil) =>
                run.deliberate?.(operation, { ...found, withFixes: { ...withFixes, ...spoil } }),
              );
              flip();
              ofWrong.set(meant.name, [...spoilt, run.deliberate?.(operation, found)]);
              flip();
              return meant;
            },
          };
        },
      }));
      allocate.mockRestore();
      expect(differences).toEqual([]);
      expect(deliberate.length).toBeGreaterThan(0);
      expect(new Set(deliberate.map((each) => each.name))).toEqual(new Set(ofWrong.keys()));
      expect([...ofWrong.values()].flat().filter((each) => each !== undefined)).toEqual([]);
    });

    test.each(['v5-id-1004', 'v12-overflow-1006', 'v12-mapping-1003'])(
      'are those of a model that without them does what is recorded: %s',
      async (name) => {
        const { Model } = await import(join(ROOT, 'conformance/replay/aarch64-model.mjs'));
        const { RECORDED, logMember } = await import(join(ROOT, 'conformance/replay/aarch64-paging.mjs'));
        const { shapeOf } = await import(join(ROOT, 'conformance/replay/aarch64-machine.mjs'));
        const [header, ...lines] = textOf(`aarch64-paging/${name}.jsonl.gz`)
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line));
        const shape = { ...shapeOf(header), fixes: RECORDED[header.crateVersion] };
        const state = { words: new BigUint64Array(512), used: [true], active: 0 };
        for (const { checkpoint, result, log, ...operation } of lines) {
          if (checkpoint !== undefined) {
            const words = [...state.words.entries()].filter(([, value]) => value !== 0n);
            const listed = words.map(
              ([at, value]) => [hex(shape.base + BigInt(at * 8)), hex(value)] as const,
            );
            const { count, sha256, slots, active } = checkpoint;
            const found = { ...digestMember(listed), slots: state.used.length, active: state.active };
            expect(found).toEqual({ count, sha256, slots, active });
          } else if (operation.op !== 'debug') {
            const model = new Model(shape, state);
            const { arithmetic: _, ...recorded } = result;
            expect(model.perform(operation)).toEqual(recorded);
            expect(logMember(model.log)).toEqual(log ?? []);
          }
        }
      },
    );

    function hex(value: bigint): string {
      return `0x${value.toString(16)}`;
    }

    /** A file of one operation after another one, and what it leaves. */
    function fileOf(
      header: Members,
      operations: readonly Members[],
      words: readonly (readonly [string, string])[],
    ) {
      const { count, sha256 } = digestMember(words);
      const lines = [
        { format: 1, allocator: { base: '0x1000', policy: 'lowest-free-slot' }, vaRange: 'Lower', ...header },
        ...operations,
        { checkpoint: { op: operations.length, count, sha256, slots: 1, active: 0 } },
      ];
      return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    }

    const modern = { crateVersion: '0.12.1', regime: 'Stage2' };

    test('a leaf that would become a table stays a leaf', () => {
      const text = fileOf(
        { ...modern, system: 'aarch64-paging/RootTable', rootLevel: 2, size: '0x40000000' },
        [
          {
            op: 'modify_range',
            start: '0x200000',
            end: '0x400000',
            action: { kind: 'setPa', pa: '0x5000', flags: '0x403' },
            result: { ok: true },
            log: [['0x200000', '0x400000', 2, '0x0']],
            changed: [['0x1008', '0x5403']],
          },
        ],
        [['0x1008', '0x5403']],
      );
      const { differences, deliberate } = replayText(text);
      expect(differences).toEqual([]);
      expect(deliberate.map(({ name }) => name)).toEqual(['leaves-stay-leaves']);
    });

    test('the end of a range has a physical address, too', () => {
      const words = [['0x1ff0', '0xfffffffff403'] as const, ['0x1ff8', '0x403'] as const];
      const text = fileOf(
        {
          ...modern,
          system: 'aarch64-paging/LinearMap',
          rootLevel: 3,
          size: '0x200000',
          offset: '9223372036852682752',
        },
        [
          {
            op: 'map_range',
            start: '0x1fe000',
            end: '0x200000',
            flags: '0x401',
            constraints: 0,
            result: { ok: true },
            changed: words,
          },
        ],
        words,
      );
      const { differences, deliberate } = replayText(text);
      expect(differences).toEqual([]);
      expect(deliberate.map(({ name }) => name)).toEqual(['whole-linear-range-is-checked']);
    });
  });

  describe('last-page-is-yielded, where a range is mapped', () => {
    /** What is counted of a recording in which one operation is another one, or did something else. */
    function countedOf(
      file: string,
      isWanted: (line: Members) => boolean,
      change: (line: Members) => Members,
    ) {
      const { deliberate } = replayText(corrupted(textOf(file), isWanted, change).text);
      return deliberate.filter(({ name }) => name === 'last-page-is-yielded').length;
    }

    const isMapped = ({ op, result, virt, phys }: Members) =>
      op === 'map_range' && JSON.stringify(result).includes('ok') && isOnePage(virt) && isOnePage(phys);
    const isOnePage = (range: unknown) => Array.isArray(range) && range[0] === range[1];
    const last = '0xffffffffff000';

    test('by Map', () => {
      const broken = { result: { panic: true, by: 'defaults' }, events: [] };
      const isSmall = (line: Members) => isMapped(line) && JSON.stringify(line['virt']).includes('4KB');
      const phys = [last, last, '4KB'];
      expect(countedOf(MAP, isSmall, (line) => ({ ...line, phys, ...broken }))).toBe(1);
      expect(countedOf(MAP, isSmall, (line) => ({ ...line, ...broken }))).toBe(0);
      const isUnmapped = ({ op, result }: Members) =>
        op === 'unmap_range' && JSON.stringify(result).includes('ok');
      expect(countedOf(MAP, isUnmapped, (line) => ({ ...line, ...broken }))).toBe(0);
    });

    test('by PageCtrl', () => {
      const broken = { result: { panic: true }, events: [], alloc: [], changed: [] };
      expect(countedOf(PAGE_CTRL, isMapped, (line) => ({ ...line, phys: [last, last], ...broken }))).toBe(1);
      expect(countedOf(PAGE_CTRL, isMapped, (line) => ({ ...line, ...broken }))).toBe(0);
    });
  });

  test('failed-page-is-untouched', () => {
    const isPartial = ({ op, result, events }: Members) =>
      op === 'map_range' && JSON.stringify(result).includes('panic') && Array.isArray(events);
    // As if the original had linked a table for the page at which it stopped.
    const { text } = corrupted(textOf('hal/pagectrl-1001.jsonl.gz'), isPartial, (line) => ({
      ...line,
      alloc: ['0x41a000'],
      changed: [['0x400ff0', '0x41a003'], ...(line['changed'] as unknown[])],
    }));
    const [{ operation, name }] = replayText(text).deliberate.filter((each) =>
      each.name.startsWith('failed'),
    );
    expect(name).toBe('failed-page-is-untouched');
    expect(replayText(text).differences.map((each) => each.operation)).not.toContain(operation);
  });
});

describe('what cannot be replayed', () => {
  const text = textOf(OFFSET);
  const whole = gzipSync(text);

  test('a line that is not JSON is told with its number, and the exit code is 3', () => {
    const lines = text.split('\n');
    lines[11] = lines[11].slice(0, 20);
    const { exit, err } = run(folderOf({ 'a.jsonl.gz': gzipSync(lines.join('\n')) }));
    expect(err).toMatch(/^a\.jsonl\.gz: line 12: not JSON: .*\n$/);
    expect(exit).toBe(3);
  });

  test.each([
    ['an operation of no known name', /"op":"unmap"/, '"op":"forget"', /expected an operation of the system/],
    [
      'a member of no known name',
      /"op":"unmap"/,
      '"op":"unmap","mood":1',
      /unmap: member "mood" is not known/,
    ],
    ['a number that is none', /"flags":"0x/, '"flags":"zero', /flags: expected a 64-bit number as "0x…"/],
    ['a page of no size', /"size":"2MiB"/, '"size":"3MiB"', /size: expected one of 4KiB, 2MiB, 1GiB/],
    [
      'a page outside the address space',
      /"page":"0x[0-9a-f]*"/,
      '"page":"0x800000000000"',
      /page: .*800000000000/,
    ],
    [
      'a checkpoint at another place',
      /"checkpoint":\{"op":50/,
      '"checkpoint":{"op":49',
      /after 50 operations/,
    ],
  ])('%s is told with its line', (_, from, to, message) => {
    const { exit, err } = run(folderOf({ 'a.jsonl.gz': gzipSync(text.replace(from, to)) }));
    expect(err).toMatch(/^a\.jsonl\.gz: line \d+: /);
    expect(err).toMatch(message);
    expect(err).not.toContain('    at ');
    expect(exit).toBe(3);
  });

  test.each([
    [
      STATIC,
      'tables that move or not',
      '"MayNotMoveTable"',
      '"MayMove"',
      /movability: expected MayMoveTable/,
    ],
    [STATIC, 'a mapping of no kind', '"kind":"Basic"', '"kind":"Huge"', /mapping: expected a kind/],
    [SPACES, 'roots that are no list', /"roots":\[[^\]]*\]/, '"roots":1', /roots: expected a list, found 1/],
    [ID_MAP, 'a version of no face', '"0.12.1"', '"0.11.0"', /crateVersion: expected 0\.5\.0 or 0\.12\.1/],
    [ID_MAP, 'a regime of no name', '"Stage2"', '"Stage3"', /regime: expected one of El1And0/],
    [ID_MAP, 'another allocator', '"lowest-free-slot"', '"lifo"', /allocator: expected policy/],
    [ID_MAP, 'a root of no level', '"rootLevel":1', '"rootLevel":4', /header: Invalid root table level 4/],
    [ID_MAP, 'another size', '"size":"0x8000000000"', '"size":"0x1000"', /size: expected that of the map/],
    [
      ID_MAP,
      'constraints that are none',
      '"constraints":2',
      '"constraints":"2"',
      /constraints: expected a num/,
    ],
    [ID_MAP, 'an action of no kind', '"kind":"setPa"', '"kind":"setPb"', /action: expected one of a known/],
    [PAGE, 'a space of no name', '"space":"VAddr"', '"space":"Addr"', /space: expected VAddr or PAddr/],
    [PAGE, 'a page of no size', '"size":"2MB"', '"size":"3MB"', /size: expected one of 4KB, 2MB, 1GB/],
    [PAGE, 'a difference that is none', /"offset":"/, '"offset":"0x', /offset: expected a decimal number/],
    [MAP, 'a flag that is none', '"setWritable":true', '"setWritable":1', /setWritable: expected true or/],
    [
      MAP,
      'a page that is none',
      /"virt":\["0x[0-9a-f]*"/,
      '"virt":["0x800"',
      /virt: .*expected the start of a page/,
    ],
    [PAGE_CTRL, 'another processor', '"cr0wp":false', '"cr0wp":true', /CR0\.WP = 0/],
    [PAGE_CTRL, 'a frame that is none', /"frame":"0x[0-9a-f]*"/, '"frame":"0x8"', /frame: /],
  ])('%s: %s', (file, _, from, to, message) => {
    const { exit, err } = run(folderOf({ 'a.jsonl.gz': gzipSync(textOf(file).replace(from, to)) }));
    expect(err).toMatch(/^a\.jsonl\.gz: line \d+: /);
    expect(err).toMatch(message);
    expect(err).not.toContain('    at ');
    expect(exit).toBe(3);
  });

  test('a text without its last checkpoint is not whole', () => {
    const lines = text.trimEnd().split('\n').slice(0, -1);
    const { exit, err } = run(folderOf({ 'a.jsonl.gz': gzipSync(lines.join('\n')) }));
    expect(err).toBe('a.jsonl.gz: line 408: expected a checkpoint at the end, found the end of the file\n');
    expect(exit).toBe(3);
  });

  test('a gzip that is cut is told without a stack trace, and the other files are replayed', () => {
    const folder = folderOf({
      'a.jsonl.gz': whole.subarray(0, whole.length >> 1),
      'b.jsonl.gz': whole,
    });
    const { exit, lines, err } = run(folder);
    expect(err).toBe('a.jsonl.gz: cannot be unpacked: unexpected end of file\n');
    expect(lines.at(-1)).toBe('400 operations, 0 differences, 0 deliberate');
    expect(exit).toBe(3);
  });

  test('a header that is none is told', () => {
    const { exit, err } = run(folderOf({ 'a.jsonl.gz': gzipSync('{"format":2}\n') }));
    expect(err).toMatch(/^a\.jsonl\.gz: line 1: expected a header of format 1 with a system/);
    expect(exit).toBe(3);
  });

  test('a text other than index.json promises is refused', () => {
    const index = [{ file: 'x86_64/a.jsonl.gz', sha256: '0'.repeat(64) }];
    const folder = folderOf({ 'x86_64/a.jsonl.gz': whole, 'index.json': JSON.stringify(index) });
    const { exit, err } = run(folder);
    expect(err).toMatch(
      /^x86_64\/a\.jsonl\.gz: its text has SHA-256 [0-9a-f]{64}; index\.json expects 0{64}\n$/,
    );
    expect(exit).toBe(3);
  });

  test('an index.json that is no list is told', () => {
    const { exit, err } = run(folderOf({ 'a.jsonl.gz': whole, 'index.json': '{"file":1}' }));
    expect(err).toBe('index.json: expected a list of files, found {"file":1}\n');
    expect(exit).toBe(3);
  });

  test('a system without a face is told and not counted', () => {
    const folder = folderOf({
      'a.jsonl.gz': gzipSync('{"format":1,"system":"x86_64/NoPageTable"}\n{"op":"unmap"}\n'),
      'b.jsonl.gz': whole,
    });
    const { exit, lines } = run(folder);
    expect(lines[0]).toBe('a.jsonl.gz: not replayed: no face for x86_64/NoPageTable');
    expect(lines.at(-1)).toBe('400 operations, 0 differences, 0 deliberate');
    expect(exit).toBe(0);
  });

  test('a sequence recorded without overflow checks is out of scope', () => {
    const folder = folderOf({ 'a-wrapping-1.jsonl.gz': 'not even gzip' });
    copyFileSync(join(VECTORS, OFFSET), join(folder, 'b.jsonl.gz'));
    const { exit, lines } = run(folder);
    expect(lines[0]).toBe('a-wrapping-1.jsonl.gz: out of scope: recorded without overflow checks');
    expect(exit).toBe(0);
  });

  test.each([
    ['no folder', []],
    ['two patterns', [VECTORS, 'a', 'b']],
    ['an option', ['--help']],
  ])('%s is wrong usage', (_, args) => {
    const { exit, err } = run(...args);
    expect(err).toBe('Usage: npm run replay -- FOLDER [FILE-PATTERN]\n');
    expect(exit).toBe(2);
  });

  test('nothing to replay is not a success', () => {
    expect(run(join(ROOT, 'nowhere')).exit).toBe(2);
    expect(run(folderOf({})).exit).toBe(2);
    const { exit, err, lines } = run(VECTORS, 'no-such-file');
    expect(err).toMatch(/: nothing to replay that matches no-such-file\n$/);
    expect(lines.at(-1)).toBe('0 operations, 0 differences, 0 deliberate');
    expect(exit).toBe(2);
  });
});
