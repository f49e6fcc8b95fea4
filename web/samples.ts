import type { ImageSource } from './protocol.ts';

/** The samples that ship with the page. */
export const SAMPLES = [
  { name: 'linux-amd64-la48', title: 'x86-64', about: 'Linux under QEMU, 4-level paging, 74,337 pages' },
  {
    name: 'linux-arm64-4k-nokaslr',
    title: 'arm64',
    about: 'Linux under QEMU, two halves, 4-KiB granule, contiguous groups',
  },
  { name: 'linux-riscv64-sv39', title: 'RISC-V', about: 'Linux under QEMU, Sv39' },
] as const;

/** What the script of a sample hands over: the core in Base64, and the registers' JSON. */
interface Delivered {
  readonly name: string;
  readonly core: string;
  readonly registers: string;
}

/** Milliseconds that a sample may take to arrive. */
const PATIENCE = 30_000;

/**
 * Loads a sample. It comes as a script, since a page that was opened as a file may load nothing else.
 *
 * @throws Error if it does not come
 */
export async function loadSample(name: string): Promise<ImageSource> {
  const { core, registers } = await new Promise<Delivered>((resolve, reject) => {
    const script = document.createElement('script');
    const fail = (why: string) => {
      script.remove();
      reject(new Error(`the sample ${name} ${why}`));
    };
    const timer = setTimeout(() => fail('did not arrive'), PATIENCE);
    Object.assign(globalThis, {
      tablewalkSample(delivered: Delivered) {
        if (delivered.name !== name) return;
        clearTimeout(timer);
        script.remove();
        resolve(delivered);
      },
    });
    script.onerror = () => {
      clearTimeout(timer);
      fail('could not be loaded; it should lie beside the page, in samples/');
    };
    script.src = `./samples/${name}.js`;
    document.head.append(script);
  });
  const bytes = Uint8Array.from(atob(core), (one) => one.charCodeAt(0));
  return { name, blob: new Blob([bytes]), registers };
}
