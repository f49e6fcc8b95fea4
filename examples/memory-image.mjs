// A memory image: open it, bring its page tables into memory, list what is writable and executable.
import {
  captureTables,
  hexPage,
  knownX86Control,
  listRegions,
  resolveX86Control,
  rightsText,
  x86Paging,
} from 'tablewalk';
import { openFile } from 'tablewalk/source/node';

const path = process.argv[2] ?? new URL('../samples/linux-amd64-la48/core.elf.gz', import.meta.url).pathname;
const machine = await openFile(path);
console.log(`${machine.kind}, ${machine.cpus.length} CPUs`);

// What the image does not hold is assumed, and named.
const { control, assumed } = resolveX86Control(knownX86Control(machine.cpus[0].registers), machine.longMode);
console.log(`assumed: ${assumed.map((one) => one.short).join('; ')}`);

const paging = x86Paging(control);
const { memory } = await captureTables(machine, paging);
await machine.close();

const WRITE_AND_EXECUTE = 0b110;
for (const region of listRegions(memory, paging)) {
  if (region.kind !== 'mapped' || (region.rights & WRITE_AND_EXECUTE) !== WRITE_AND_EXECUTE) continue;
  console.log(`${hexPage(region.first)}-${hexPage(region.end)} ${rightsText(region.rights, true)}`);
}

/* prints
ELF core written by QEMU, 2 CPUs
assumed: EFER.NXE = 1, EFER.LMA = 1; PAT at its reset value; 52 physical-address bits
00007f75ed6ec000-00007f75ed6ed000 rwx
00007f75ed6ed000-00007f75ed6ee000 rwx
*/
