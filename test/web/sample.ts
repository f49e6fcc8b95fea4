import { readFileSync } from 'node:fs';
import { captureTables } from 'tablewalk/capture';
import { SparseMemory } from 'tablewalk/memory';
import { choosePaging } from 'tablewalk/session';
import { parseRegisters, withRegisters } from 'tablewalk/source';
import { openFile } from 'tablewalk/source/node';
import { buildAtlas } from '../../web/worker/build-atlas.ts';

/** A sample that ships: its address spaces, their tables, and their outlines. */
export async function openSample(name: string) {
  const folder = new URL(`../../samples/${name}/`, import.meta.url);
  const registers = parseRegisters(readFileSync(new URL('registers.json', folder), 'utf8'));
  const machine = withRegisters(await openFile(new URL('core.elf.gz', folder).pathname), registers);
  const { spaces } = choosePaging(machine, {});
  const into = new SparseMemory();
  for (const { paging } of spaces) await captureTables(machine, paging, { into });
  await machine.close();
  const { memory } = into;
  return { spaces, memory, atlases: spaces.map(({ paging }) => buildAtlas(memory, paging)) };
}
