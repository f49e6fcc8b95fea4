// Every page of an address space, without a closure and without allocating: a cursor.
import { Cursor, captureTables, DONE, knownX86Control, PAGE, resolveX86Control, x86Paging } from 'tablewalk';
import { openFile } from 'tablewalk/source/node';

const machine = await openFile(new URL('../samples/linux-amd64-la48/core.elf.gz', import.meta.url).pathname);
const paging = x86Paging(
  resolveX86Control(knownX86Control(machine.cpus[0].registers), machine.longMode).control,
);
const { memory } = await captureTables(machine, paging);
await machine.close();

const pages = new Map();
const cursor = new Cursor(memory, paging);
for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
  if (event === PAGE) pages.set(cursor.order, (pages.get(cursor.order) ?? 0) + 1);
}
for (const [order, count] of pages) console.log(`${count} pages of ${2 ** (order + 12)} bytes`);

/* prints
74193 pages of 4096 bytes
144 pages of 2097152 bytes
*/
