// docs/seed-coverage.md against the code and the tests that it names, and against the originals' pages, whose names stand here.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import * as aarch64 from '../../src/aarch64-paging/index.ts';
import { ERROR_CODES } from '../../src/bits/index.ts';
import * as hal from '../../src/hal-core/index.ts';
import * as hyperlight from '../../src/hyperlight-vmem/index.ts';
import * as x86 from '../../src/x86_64/index.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string) => readFileSync(ROOT + path, 'utf8');
const TEXT = read('docs/seed-coverage.md');
const DIFFERENCES = new Set(read('docs/differences.md').match(/(?<=^\| `)[^`]+(?=`)/gm));

/** What a section must be about. */
interface Page {
  /** The face's entry point, as text and as a module. */
  readonly entry: string;
  readonly module: Readonly<Record<string, unknown>>;
  /** First cells that must be there, each up to its colon. */
  readonly rows: readonly string[];
}

/** Methods that a page has for each size, with their arguments. */
const MAPPER: Readonly<Record<string, readonly string[]>> = {
  map_to_with_table_flags: ['page', 'frame', 'flags', 'parent_table_flags', 'allocator'],
  unmap: ['page'],
  update_flags: ['page', 'flags'],
  set_flags_p4_entry: ['page', 'flags'],
  set_flags_p3_entry: ['page', 'flags'],
  set_flags_p2_entry: ['page', 'flags'],
  translate_page: ['page'],
  map_to: ['page', 'frame', 'flags', 'frame_allocator'],
  identity_map: ['frame', 'flags', 'frame_allocator'],
};

const argumentRows = (methods: Readonly<Record<string, readonly string[]>>) =>
  Object.entries(methods).flatMap(([method, names]) =>
    names.map((name) => `argument \`${name}\` of \`${method}\``),
  );
const quoted = (...names: readonly string[]) => names.map((name) => `\`${name}\``);

/** Rows of `Mapper`, `Translate` and `CleanUp`, which the pages of both mappers have, and of what every page has. */
const MAPPER_ROWS: readonly string[] = [
  ...quoted('CleanUp::clean_up', 'CleanUp::clean_up_addr_range', 'Debug::fmt'),
  ...['Size1GiB', 'Size2MiB', 'Size4KiB'].flatMap((size) =>
    Object.keys(MAPPER).map((method) => `\`Mapper<${size}>::${method}\``),
  ),
  ...quoted('Translate::translate', 'Translate::translate_addr'),
  ...argumentRows({
    clean_up: ['frame_deallocator'],
    clean_up_addr_range: ['range', 'frame_deallocator'],
    ...MAPPER,
    translate: ['addr'],
    translate_addr: ['addr'],
  }),
  'bound `FrameAllocator<Size4KiB> + ?Sized` of an allocator',
  'bound `FrameDeallocator<Size4KiB>` of a deallocator',
  'receivers `&self` and `&mut self`',
  'return value `MapperFlush<S>`',
  'return value `MapperFlushAll` of `set_flags_p4_entry`, `set_flags_p3_entry`, `set_flags_p2_entry`',
  'return value `(PhysFrame<S>, MapperFlush<S>)` of `unmap`',
  'return value `PhysFrame<S>` of `translate_page`',
  'return value `Result::Err`',
  'return value `Option<PhysAddr>` of `translate_addr`',
  ...quoted(
    'TranslateResult::Mapped { frame, offset, flags }',
    'TranslateResult::NotMapped',
    'TranslateResult::InvalidFrameAddress',
    'MapToError::FrameAllocationFailed',
    'MapToError::ParentEntryHugePage',
    'MapToError::PageAlreadyMapped(PhysFrame<S>)',
    'UnmapError::ParentEntryHugePage',
    'UnmapError::PageNotMapped',
    'UnmapError::InvalidFrameAddress(PhysAddr)',
    'FlagUpdateError::PageNotMapped',
    'FlagUpdateError::ParentEntryHugePage',
    'TranslateError::PageNotMapped',
    'TranslateError::ParentEntryHugePage',
    'TranslateError::InvalidFrameAddress(PhysAddr)',
  ),
  '`MappedFrame::Size4KiB`, `MappedFrame::Size2MiB`, `MappedFrame::Size1GiB`',
  'panic of `map_to`, new table with `HUGE_PAGE`',
  'panic of `map_to`, new table in a frame that is not aligned',
  'panic of `map_to`, 4-KiB page with `HUGE_PAGE`',
  'panic of `map_to`, frame that is not aligned to 4 KiB',
  'panic of `identity_map`',
  'panic of `translate` and `translate_addr`',
  'panic of `VirtAddr::new` for `addr`',
  'undefined behaviour of every method',
  'safety of `map_to`, `map_to_with_table_flags`, `identity_map`',
  'safety of `update_flags`, `set_flags_p4_entry`, `set_flags_p3_entry`, `set_flags_p2_entry`',
  'safety of `clean_up` and `clean_up_addr_range`',
  'example of `map_to`',
  'example of `map_to_with_table_flags`',
  'example of `clean_up_addr_range`',
  'blanket trait `MapperAllSizes`',
  'blanket traits `Any`, `Borrow`, `BorrowMut`',
  'blanket traits `From`, `Into`, `TryFrom`, `TryInto`, each type `Error` of theirs',
];

/** The methods of `Map`, with their arguments. */
const MAP: Readonly<Record<string, readonly string[]>> = {
  map_page: ['virt', 'phys', 'frame_alloc'],
  flags_mut: ['virt'],
  unmap: ['virt'],
  identity_map: ['phys', 'frame_alloc'],
  map_range: ['virt', 'phys', 'set_flags', 'frame_alloc'],
  unmap_range: ['virt'],
  identity_map_range: ['phys', 'set_flags', 'frame_alloc'],
};

/** The methods of `IdMap` that take arguments, with them. */
const ID_MAP: Readonly<Record<string, readonly string[]>> = {
  new: ['asid', 'rootlevel'],
  map_range: ['range', 'flags'],
  map_range_with_constraints: ['range', 'flags', 'constraints'],
  modify_range: ['range', 'f'],
  walk_range: ['range', 'f'],
};

const PAGES: Readonly<Record<string, Page>> = {
  OffsetPageTable: {
    entry: 'src/x86_64/index.ts',
    module: x86,
    rows: [
      ...quoted("OffsetPageTable<'a>", 'new', 'level_4_table'),
      'example of `new`',
      'safety of `new`, `phys_offset`',
      'safety of `new`, `level_4_table`',
      'return value of `level_4_table`',
      ...argumentRows({ new: ['level_4_table', 'phys_offset'] }),
      ...MAPPER_ROWS,
      'panic of `map_to`, new table without `PRESENT`',
      'panic of `map_to`, table on the way that stays not present',
      'panic of every method',
      'panic of `clean_up` on the way',
      'auto traits `Send`, `Sync`, `Unpin`, `RefUnwindSafe`, `UnwindSafe`',
    ],
  },
  RecursivePageTable: {
    entry: 'src/x86_64/index.ts',
    module: x86,
    rows: [
      ...quoted("RecursivePageTable<'a>", 'new', 'new_unchecked', 'level_4_table', 'level_4_table_mut'),
      ...['the level-4 table', 'a level-3 table', 'a level-2 table', 'a level-1 table'].map(
        (table) => `loop to ${table}, of \`RecursivePageTable<'a>\``,
      ),
      'implements the trait `Mapper`',
      'note on `PRESENT` and `WRITABLE`',
      ...argumentRows({ new: ['table'], new_unchecked: ['table', 'recursive_index'] }),
      'condition of `new`, one recursive entry',
      'condition of `new`, the reference must use the loop',
      'condition of `new`, the table must be active',
      'error of `new`, `Err(())`',
      ...quoted('InvalidPageTable::NotRecursive', 'InvalidPageTable::NotActive'),
      'safety of `new`, recursive index 511',
      'safety of `new_unchecked`, `table`',
      'safety of `new_unchecked`, `recursive_index`',
      'return value `&PageTable` of `level_4_table`',
      'return value `&mut PageTable` of `level_4_table_mut`',
      ...MAPPER_ROWS,
      'arguments `_page` and `_flags` of `set_flags_p3_entry` and `set_flags_p2_entry`',
      'page fault of every method but `unmap`',
      'page fault of `map_to` and all that writes',
      'undefined behaviour after `clean_up`',
      'auto traits `Freeze`, `Send`, `Sync`, `Unpin`, `RefUnwindSafe`, no `UnwindSafe`',
    ],
  },
  IdMap: {
    entry: 'src/aarch64-paging/index.ts',
    module: aarch64,
    rows: [
      ...quoted('IdMap', ...Object.keys(ID_MAP), 'activate', 'deactivate', 'Debug::fmt'),
      ...argumentRows(ID_MAP),
      'note on `IdMap`, identity mapping is used for the tables, and for the code that manages them',
      'note on `IdMap`, `map_range` before `activate`',
      'note on `IdMap`, `deactivate` for changes that need break-before-make, and then `activate` again',
      'example of `IdMap`',
      'return value `Self` of `new`',
      ...['activate', 'deactivate'].map(
        (method) =>
          `note on \`${method}\`, the register is left alone in test builds and on other processors`,
      ),
      'panic of `activate`, a value is saved already',
      'panic of `deactivate`, no value is saved',
      'safety of `activate`, memory in use must stay mapped, and no aliases may come',
      'safety of `activate`, the map must not be dropped',
      'safety of `deactivate`, the page table before must map what is in use',
      '`unsafe` of `activate` and `deactivate`',
      ...['map_range', 'map_range_with_constraints', 'modify_range'].flatMap((method) => [
        `note on \`${method}\`, it should only be called while the map is not active`,
        `note on \`${method}\`, what needs break-before-make must be done while the map is not active`,
        `note on \`${method}\`, what was not mapped may be mapped while the map is active`,
        `\`MapError::BreakBeforeMakeViolation\` of \`${method}\``,
      ]),
      ...['map_range', 'map_range_with_constraints'].flatMap((method) => [
        `note on \`${method}\`, blocks and pages are mapped only with \`Attributes::VALID\``,
        `\`MapError::InvalidFlags\` of \`${method}\``,
      ]),
      ...['map_range', 'map_range_with_constraints', 'modify_range', 'walk_range'].flatMap((method) => [
        `return value \`Result<(), MapError>\` of \`${method}\``,
        `\`MapError::RegionBackwards\` of \`${method}\``,
        `\`MapError::AddressRange\` of \`${method}\``,
      ]),
      ...['modify_range', 'walk_range'].flatMap((method) => [
        ...['first', 'second', 'third'].map((which) => `${which} argument of \`f\` of \`${method}\``),
        `return value \`Ok\` of \`f\` of \`${method}\``,
        `return value \`Err\` of \`f\` of \`${method}\``,
        `\`MapError::PteUpdateFault\` of \`${method}\``,
      ]),
      'bound of `f` of `modify_range`, `Fn(…) -> Result<(), ()> + ?Sized`',
      'bound of `f` of `walk_range`, `FnMut(…) -> Result<(), ()>`',
      'note on `modify_range`, blocks may be split; `walk_range` does without',
      'receivers `&mut self` and `&self`',
      'auto traits `RefUnwindSafe`, `Send`, `Unpin`, `UnwindSafe`, no `Sync`',
      'blanket traits `Any`, `Borrow`, `BorrowMut`',
      'blanket traits `From`, `Into`, `TryFrom`, `TryInto`, each type `Error` of theirs',
    ],
  },
  Map: {
    entry: 'src/hal-core/index.ts',
    module: hal,
    rows: [
      ...quoted(...Object.keys(MAP)),
      ...argumentRows(MAP),
      '`Map<S, A>`',
      'bound `S',
      'bound `A',
      '`type Entry',
      'required methods `map_page`, `flags_mut`, `unmap`',
      'provided methods `identity_map`, `map_range`, `unmap_range`, `identity_map_range`',
      'panic of `map_page`, invalid physical address',
      'panic of `map_page`, already mapped',
      'safety of `map_page`',
      'safety of `map_page`, writable XOR executable',
      'safety of `map_page`, stack pages and the heap',
      'safety of `map_page`, code that is loaded must be trusted',
      'return value `Page<PAddr, S>` of `unmap`',
      'note of `unmap`, no page frame is deallocated',
      'panic of `unmap`, not mapped',
      'safety of `unmap`',
      'note of `set_flags`, flags may be changed before the commit',
      'note of `set_flags`, `Handle::virt_page` tells the page',
      'bound `F',
      'panic of `map_range`, different lengths',
      'panic of `map_range`, dynamic size and pages of different sizes',
      'panic of `map_range`, invalid physical address',
      'panic of `map_range`, already mapped',
      'safety of `map_range`',
      'return value `PageRange<VAddr, S>` of `map_range` and `identity_map_range`',
      'note of `unmap_range`, no page frames are deallocated',
      'note of `unmap_range`, physical pages need not be contiguous',
      'note of `unmap_range`, no physical range is returned',
      'note of `unmap_range`, overridden implementations',
      'panic of `unmap_range`, not mapped',
      'safety of `unmap_range`',
      'panic of `identity_map_range`, invalid physical address',
      'panic of `identity_map_range`, already mapped',
      "return value `Handle<'_, S, Self::Entry>` of `map_page`, `flags_mut`, `identity_map`",
      'type `Page<VAddr, S>`',
      'type `Page<PAddr, S>`',
      'types `PageRange<VAddr, S>` and `PageRange<PAddr, S>`',
      'receivers `&mut self`',
      '`unsafe` of `map_page`, `unmap`, `map_range`, `unmap_range`',
      'object safety, of `Map<S, A>`',
      '`impl<M, A, S> Map<S, A> for &mut M`',
      '`type Entry = <M as Map<S, A>>::Entry` of `&mut M`',
      '`map_page`, `flags_mut`, `unmap` and `identity_map` of `&mut M`',
    ],
  },
  TableReadOps: {
    entry: 'src/hyperlight-vmem/index.ts',
    module: hyperlight,
    rows: [
      ...quoted(
        'TableReadOps',
        'entry_addr',
        'read_entry',
        'to_phys',
        'from_phys',
        'root_table',
        'PageTableEntry',
      ),
      'associated type `TableAddr`, which is `Copy`',
      'distinct from `TableWriteOps`',
      'parameter `addr` of `entry_addr`',
      'parameter `entry_offset` of `entry_addr`',
      'return value of `entry_addr`',
      'safety of `read_entry`, `addr`',
      'safety of `read_entry`, updates must not break invariants',
      'safety of `read_entry`, nothing else reads or writes at the same time',
      'return value `PhysAddr` of `to_phys`',
      'parameter `addr` of `from_phys`',
      'required methods without `self`',
      'not `dyn` compatible',
      'implementors of `TableReadOps`',
    ],
  },
};

/** A value for each key, made once. */
function once<K, V>(make: (key: K) => V): (key: K) => V {
  const made = new Map<K, V>();
  return (key) => {
    const value = made.get(key) ?? make(key);
    made.set(key, value);
    return value;
  };
}

/** One program for all faces, which have most of their files in common. */
const programOf = once((pages: typeof PAGES) =>
  ts.createProgram([...new Set(Object.values(pages).map(({ entry }) => ROOT + entry))], {
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2023.d.ts'],
    module: ts.ModuleKind.NodeNext,
    allowImportingTsExtensions: true,
    noEmit: true,
    strict: true,
    types: [],
  }),
);

/** A public name and what belongs to it, as the compiler and the running module have them. */
class Names {
  private readonly program = programOf(PAGES);
  private readonly checker: ts.TypeChecker;
  private readonly exports: ReadonlyMap<string, ts.Symbol>;
  private readonly module: Page['module'];

  constructor({ entry, module }: Page) {
    this.module = module;
    this.checker = this.program.getTypeChecker();
    const source = this.program.getSourceFile(ROOT + entry);
    const symbol = source && this.checker.getSymbolAtLocation(source);
    if (symbol === undefined) throw new Error(`${entry} is not a module`);
    this.exports = new Map(this.checker.getExportsOfModule(symbol).map((each) => [each.name, each]));
  }

  /**
   * Whether there is such a name: `Name`, `Name<Argument>`, `Name.member`, `Name.member(parameter)`, `new Name(parameter)`.
   */
  has(text: string): boolean {
    const match = /^(new )?(\w+)(?:\.(\w+))?(?:<([\w, ]+)>)?(?:\((\w+)\))?$/.exec(text);
    if (match === null) return false;
    const [, isNew, name, member, typeArguments = '', parameter] = match;
    for (const one of typeArguments.split(', ')) if (one !== '' && !this.exports.has(one)) return false;
    const symbol = this.symbol(name);
    if (symbol === undefined) return false;
    const isValue = (symbol.flags & ts.SymbolFlags.Value) !== 0;
    if (isValue !== name in this.module) return false;
    if (isNew !== undefined) {
      const signatures = isValue ? this.checker.getTypeOfSymbol(symbol).getConstructSignatures() : [];
      return member === undefined && hasParameter(signatures, parameter);
    }
    if (member === undefined) return parameter === undefined;
    return this.members(symbol, member).some((found) => {
      const signatures = this.checker.getTypeOfSymbol(found).getCallSignatures();
      return (
        (signatures.length === 0 || !isValue || inClass(this.module[name], member)) &&
        (parameter === undefined || hasParameter(signatures, parameter))
      );
    });
  }

  /** Whether a member can have a string as its value. */
  hasLiteral(text: string, literal: string): boolean {
    const [name, member] = text.split('.');
    const symbol = this.symbol(name);
    if (symbol === undefined) return false;
    return this.members(symbol, member).some((found) => {
      const type = this.checker.getTypeOfSymbol(found);
      const all = type.isUnion() ? type.types : [type];
      return all.some((each) => each.isStringLiteral() && each.value === literal);
    });
  }

  private symbol(name: string): ts.Symbol | undefined {
    const symbol = this.exports.get(name);
    if (symbol === undefined) return undefined;
    return (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : this.checker.getAliasedSymbol(symbol);
  }

  /** Members of that name, of this package: of instances, of each case of a union, and of a class itself. */
  private members(symbol: ts.Symbol, member: string): ts.Symbol[] {
    const declared = this.checker.getDeclaredTypeOfSymbol(symbol);
    const types = declared.isUnion() ? [...declared.types] : [declared];
    if ((symbol.flags & ts.SymbolFlags.Value) !== 0) types.push(this.checker.getTypeOfSymbol(symbol));
    return types
      .flatMap((type) => type.getProperty(member) ?? [])
      .filter(({ declarations = [] }) =>
        declarations.some((each) => !this.program.isSourceFileDefaultLibrary(each.getSourceFile())),
      );
  }
}

function hasParameter(signatures: readonly ts.Signature[], parameter: string | undefined): boolean {
  return signatures.some(
    (each) => parameter === undefined || each.getParameters().some(({ name }) => name === parameter),
  );
}

/** Whether a class has a method, for its instances or of its own. */
function inClass(value: unknown, member: string): boolean {
  return typeof value === 'function' && (member in value.prototype || member in value);
}

/** The names of tests in a file: titles, and what stands first, or as a name, in the lists of cases. */
function testNames(path: string): string[] {
  const names: string[] = [];
  const isTitle = (node: ts.Node) => {
    const { parent } = node;
    if (ts.isPropertyAssignment(parent)) return ['name', 'what'].includes(parent.name.getText());
    if (ts.isArrayLiteralExpression(parent)) return parent.elements[0] === node;
    if (!ts.isCallExpression(parent) || parent.arguments[0] !== node) return false;
    return /^(test|it|describe)\b/.test(parent.expression.getText());
  };
  const visit = (node: ts.Node): void => {
    if ((ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)) && isTitle(node)) {
      names.push(ts.isTemplateExpression(node) ? node.getText().slice(1, -1) : node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, read(path), ts.ScriptTarget.Latest, true));
  return names;
}

const namesOf = once((page: Page) => new Names(page));
const testNamesOf = once(testNames);

const spans = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text);

/** What is wrong with the second cell of a row. */
function wrongNames(cell: string, page: Page): string[] {
  const names = namesOf(page);
  let before = '';
  return spans(cell).flatMap((name) => {
    const owner = before;
    before = name;
    const literal = /^'(\w+)'$/.exec(name)?.[1];
    if (literal !== undefined) return names.hasLiteral(owner, literal) ? [] : [`${owner} is never ${name}`];
    const known =
      (ERROR_CODES as readonly string[]).includes(name) || DIFFERENCES.has(name) || names.has(name);
    return known ? [] : [`there is no ${name}`];
  });
}

/** What is wrong with the third cell of a row. */
function wrongTests(cell: string, folder: string): string[] {
  const wrong: string[] = [];
  let file = '';
  let named = true;
  for (const text of spans(cell)) {
    if (/\.test\.ts$/.test(text)) {
      if (!named) wrong.push(`no test of ${file} is named`);
      file = `${folder}/${text}`;
      named = false;
    } else {
      named = true;
      if (!existsSync(ROOT + file) || file === '') wrong.push(`there is no file ${file} for "${text}"`);
      else {
        const count = testNamesOf(file).filter((name) => name.includes(text)).length;
        if (count !== 1) wrong.push(`${file} has ${count} tests named "${text}"`);
      }
    }
  }
  if (file === '' || !named) wrong.push('no test is named');
  return wrong;
}

/** What is wrong with a cell, found out once: the same rows are looked at again and again. */
const wrongNamesOf = once((page: Page) => once((cell: string) => wrongNames(cell, page)));
const wrongTestsOf = once((folder: string) => once((cell: string) => wrongTests(cell, folder)));

/** The rows of a section's table, each as its cells. */
function rowsOf(section: string): string[][] {
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** All that is wrong with the text. */
function problems(text: string): string[] {
  const sections = new Map(
    text
      .split(/^## /m)
      .slice(1)
      .map((section) => [/^`(\w+)`/.exec(section)?.[1] ?? section.split('\n')[0], section]),
  );
  const wrong: string[] = [];
  for (const name of Object.keys(PAGES)) if (!sections.has(name)) wrong.push(`${name}: no section`);
  for (const [name, section] of sections) {
    const page = PAGES[name];
    if (page === undefined) {
      wrong.push(`${name}: the names of this page stand nowhere`);
      continue;
    }
    const folder = /Test files are in `([^`]+)`/.exec(section)?.[1] ?? '';
    const rows = rowsOf(section);
    const heads = rows.map(([says = '']) => says.split(': ')[0]);
    for (const head of page.rows) {
      const count = heads.filter((each) => each === head).length;
      if (count !== 1) wrong.push(`${name}: ${count} rows for ${head}`);
    }
    if (rows.length < page.rows.length) wrong.push(`${name}: ${rows.length} rows`);
    rows.forEach(([says = '', here = '', tests = '', ...more], i) => {
      const found: string[] = [];
      if (says === '' || here === '' || tests === '' || more.length > 0) found.push('not three filled cells');
      const isVoid = here.startsWith('no meaning here: ');
      if (spans(says).length === 0) found.push('nothing of the page is named');
      if (!isVoid && spans(here).length === 0) found.push('nothing here is named');
      found.push(...wrongNamesOf(page)(here));
      if (!isVoid || tests !== 'none') found.push(...wrongTestsOf(folder)(tests));
      wrong.push(...found.map((each) => `${name}, row ${i + 1} (${says}): ${each}`));
    });
  }
  return wrong;
}

test('every name, every test and every row of docs/seed-coverage.md is there', () => {
  expect(problems(TEXT)).toEqual([]);
});

describe('what is not so is found', () => {
  const row = TEXT.split('\n').find((line) => line.includes('`Mapper<Size4KiB>::unmap`')) ?? '';
  const [, , here, tests] = row.split('|');

  test.each([
    ['a member that is none', ' `OffsetPageTable.forget` ', tests, 'there is no OffsetPageTable.forget'],
    ['a class that is none', ' `OfsetPageTable` ', tests, 'there is no OfsetPageTable'],
    ['a member of every function', ' `OffsetPageTable.length` ', tests, 'there is no OffsetPageTable.length'],
    ['a member of a type that is none', ' `Mapper.forget` ', tests, 'there is no Mapper.forget'],
    [
      'a size that is none',
      ' `OffsetPageTable.unmap<Size8KiB>` ',
      tests,
      'there is no OffsetPageTable.unmap<S',
    ],
    [
      'a parameter that is none',
      ' `OffsetPageTable.unmap(frame)` ',
      tests,
      'there is no OffsetPageTable.unmap(f',
    ],
    [
      'a parameter of a constructor',
      ' `new OffsetPageTable(page)` ',
      tests,
      'there is no new OffsetPageTable(p',
    ],
    ['a kind that is none', " `UnmapError.kind` `'Tired'` ", tests, "UnmapError.kind is never 'Tired'"],
    ['a code that is none', ' `OUT_OF_LUCK` ', tests, 'there is no OUT_OF_LUCK'],
    ['a difference that is none', ' `unmap`, `unmap-is-fun` ', tests, 'there is no unmap-is-fun'],
    ['no name', ' by hand ', tests, 'nothing here is named'],
    [
      'no meaning, but a test that is none',
      ' no meaning here: so be it ',
      ' `a.test.ts` ',
      'no test is named',
    ],
    ['a file that is none', here, ' `mappd.test.ts` `unmap clears the leaf` ', 'there is no file'],
    ['a test that is none', here, ' `mapped.test.ts` `unmap clears the sky` ', 'has 0 tests named'],
    ['a part of many names', here, ' `mapped.test.ts` `unmap` ', 'tests named "unmap"'],
    ['text of a file that names no test', here, ' `mapped.test.ts` `PageNotMapped` ', 'has 0 tests named'],
    ['a file without a test', here, ' `mapped.test.ts` ', 'no test is named'],
    ['a test without a file', here, ' `unmap clears the leaf` ', 'there is no file'],
    ['an empty cell', here, ' ', 'not three filled cells'],
    ['a cell too many', here, `${tests}| more `, 'not three filled cells'],
  ])('%s', (_, newHere, newTests, problem) => {
    const found = problems(TEXT.replace(row, ['', row.split('|')[1], newHere, newTests, ''].join('|')));
    expect(found.map((each) => each.includes(problem))).toContain(true);
    for (const each of found) expect(each).toContain('`Mapper<Size4KiB>::unmap`');
  });

  test('each of the rows, when it is deleted or there twice', () => {
    for (const line of TEXT.slice(TEXT.indexOf('\n## ')).split('\n')) {
      if (!line.startsWith('| ') || /^\| (---|the page) /.test(line)) continue;
      expect(problems(TEXT.replace(`${line}\n`, ''))).not.toEqual([]);
      expect(problems(TEXT.replace(line, `${line}\n${line}`))).not.toEqual([]);
    }
  });

  test('a section that is deleted, and one of which nothing is known', () => {
    expect(problems(TEXT.slice(0, TEXT.indexOf('\n## ')))).toContain('OffsetPageTable: no section');
    expect(problems(`${TEXT}\n## \`NoPageTable\`\n`)).toContain(
      'NoPageTable: the names of this page stand nowhere',
    );
  });
});
