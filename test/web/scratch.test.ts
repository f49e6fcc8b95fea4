import { expect, test } from 'vitest';
import type { Change } from '../../web/protocol.ts';
import { NO_FILTER } from '../../web/state.ts';
import { OpenImage } from '../../web/worker/open-image.ts';
import { Work } from '../../web/worker/work.ts';

// 4-level paging by hand (Intel SDM vol. 3A, "4-Level Paging and 5-Level Paging"): the PML4 table at 0x1000, tables below it at
// 0x2000, 0x3000 and 0x4000; a page table at 0x5000 to which only an entry leads that is not present, with XD = 1.
const ENTRIES: readonly (readonly [address: number, value: bigint])[] = [
  [0x1000, 0x2007n],
  [0x2000, 0x3007n],
  [0x3000, 0x4007n],
  [0x3008, 0x8000_0000_0000_5006n],
  [0x4000, 0x8007n],
  [0x4008, 0x9005n],
  [0x4010, 0x8000_0000_0000_a003n],
  [0x5000, 0xb007n],
];
const OPTIONS = { cr0: '80010001', cr3: '1000', cr4: '20', efer: 'd00' };

const work = () => new Work(() => {});
const flag = (register: string, name: string): Change => ({ kind: 'flag', register, name });
const bit = (depth: number, frame: number, index: number, at: number): Change => ({
  kind: 'entry',
  at: { space: 0, depth, frame },
  index,
  bit: at,
});

async function opened(options = OPTIONS): Promise<OpenImage> {
  const bytes = new DataView(new ArrayBuffer(0x10000));
  for (const [address, value] of ENTRIES) bytes.setBigUint64(address, value, true);
  const image = new OpenImage();
  await image.open(work(), { name: 'by hand', blob: new Blob([bytes]), base: '0' });
  await image.choose(work(), options);
  return image;
}

/** What changes, in short: first page, before and after without what is equal at the start of each address. */
async function changed(image: OpenImage, ...changes: readonly Change[]): Promise<string[]> {
  const { rows, bytes, more } = await image.attempt(work(), changes);
  expect(more).toBe(false);
  expect(bytes).toBe(rows.reduce((sum, { first, end }) => sum + end - first, 0n));
  const short = (text: string) => text.replace(/0x0+/g, '0x');
  return rows.map(({ first, before, after }) => `${first.toString(16)}: ${short(before)} > ${short(after)}`);
}

test('a clear R/W bit of a page directory entry takes writes away from all pages below it', async () => {
  expect(await changed(await opened(), bit(2, 3, 0, 1))).toEqual([
    '0: 0x8000, user rwx, supervisor rwx, WB > 0x8000, user r-x, supervisor r-x, WB',
    '2000: 0xa000, user ---, supervisor rw-, WB > 0xa000, user ---, supervisor r--, WB',
  ]);
});

test('a root entry that is not present maps nothing', async () => {
  expect(await changed(await opened(), bit(0, 1, 0, 0))).toEqual([
    '0: 0x8000, user rwx, supervisor rwx, WB > not mapped',
    '1000: 0x9000, user r-x, supervisor r-x, WB > not mapped',
    '2000: 0xa000, user ---, supervisor rw-, WB > not mapped',
  ]);
});

test('an address bit leads to another table, which is read from the image', async () => {
  expect(await changed(await opened(), bit(2, 3, 0, 12))).toEqual([
    '0: 0x8000, user rwx, supervisor rwx, WB > 0xb000, user rwx, supervisor rwx, WB',
    '1000: 0x9000, user r-x, supervisor r-x, WB > not mapped',
    '2000: 0xa000, user ---, supervisor rw-, WB > not mapped',
  ]);
});

test('an entry of a table that was reached by a change can be changed too', async () => {
  const changes = [bit(2, 3, 0, 12), bit(3, 5, 0, 2)];
  expect((await changed(await opened(), ...changes))[0]).toBe(
    '0: 0x8000, user rwx, supervisor rwx, WB > 0xb000, user ---, supervisor rwx, WB',
  );
});

test('WP, SMEP and NXE decide as the manual says', async () => {
  const image = await opened();
  expect(await changed(image, flag('CR0', 'WP'))).toEqual([
    '1000: 0x9000, user r-x, supervisor r-x, WB > 0x9000, user r-x, supervisor rwx, WB',
  ]);
  expect(await changed(image, flag('CR4', 'SMEP'))).toEqual([
    '0: 0x8000, user rwx, supervisor rwx, WB > 0x8000, user rwx, supervisor rw-, WB',
    '1000: 0x9000, user r-x, supervisor r-x, WB > 0x9000, user r-x, supervisor r--, WB',
  ]);
  expect(await changed(image, flag('EFER', 'NXE'))).toEqual([
    '2000: 0xa000, user ---, supervisor rw-, WB > reserved bits: every access faults',
  ]);
});

test('an entry that was changed may lead to a table only by a flag that is flipped after it', async () => {
  const image = await opened({ ...OPTIONS, efer: '500' });
  // XD = 1 is reserved while NXE = 0.
  expect(await changed(image, bit(2, 3, 1, 0))).toEqual([
    '200000: not mapped > reserved bits: every access faults',
  ]);
  for (const changes of [
    [bit(2, 3, 1, 0), flag('EFER', 'NXE')],
    [flag('EFER', 'NXE'), bit(2, 3, 1, 0)],
  ])
    expect(await changed(image, ...changes)).toEqual([
      '2000: reserved bits: every access faults > 0xa000, user ---, supervisor rw-, WB',
      '200000: not mapped > 0xb000, user rw-, supervisor rw-, WB',
    ]);
});

test('changes are said in words, and undone with the last of them', async () => {
  const image = await opened();
  const { done, changes } = await image.attempt(work(), [bit(3, 4, 1, 1), flag('CR0', 'WP')]);
  expect(done).toEqual(['PTE 1 of the page table at 0x4000: bit 1 (R/W) 0 → 1', 'CR0.WP: 1 → 0']);
  expect(changes).toEqual([bit(3, 4, 1, 1), flag('CR0', 'WP')]);
  expect(await changed(image)).toEqual([]);
  await image.regions(work(), NO_FILTER);
  const rights = (await image.regionRows(work(), 0, 9)).map(({ cells }) => `${cells[4]} ${cells[5]}`);
  expect(rights).toEqual(['rwx rwx', 'r-x r-x', '--- rw-']);
});

test('a change of what is not there is refused, and leaves the tables of the image', async () => {
  const image = await opened();
  const { count: before } = await image.regions(work(), { ...NO_FILTER, rights: 'super:w' });
  expect(before).toBeGreaterThan(0);
  await image.attempt(work(), [bit(2, 3, 0, 1)]);
  for (const [bad, why] of [
    [bit(3, 5, 0, 1), 'no table at 0x5000, depth 3, in the image'],
    [bit(3, 4, 512, 1), 'bit 1 of entry 512 at depth 3; expected one of 64 bits, of 512 entries'],
    [bit(4, 4, 0, 1), 'bit 1 of entry 0 at depth 4; expected one of 64 bits, of 0 entries'],
    [{ ...bit(3, 4, 0, 1), at: { space: 1, depth: 3, frame: 4 } }, 'no address space 1'],
    [flag('CR4', 'LA57'), 'no flag CR4.LA57; expected one of CR0.WP, CR4.PGE, '],
  ] as const)
    await expect(image.attempt(work(), [flag('CR0', 'WP'), bad])).rejects.toThrow(why);
  const listed = async () => (await image.regions(work(), { ...NO_FILTER, rights: 'super:w' })).count;
  expect(await listed()).toBe(before);
  await image.attempt(work(), [bit(2, 3, 0, 1)]);
  expect(await listed()).toBe(0);
});
