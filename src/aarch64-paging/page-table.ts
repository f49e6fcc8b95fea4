import { FRAME_BYTES, hex, PageTableError, pageOf } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { addressValue, type PhysicalAddress } from './address.ts';
import { Descriptor } from './descriptor.ts';
import { checkAnyRegime, El1And0, type Regime } from './regime.ts';

/** A table of 512 descriptors, to be read. It is a view: it shows what is in memory when it is asked. */
export class PageTable<R extends Regime = Regime> {
  /** A table of zeros. */
  static readonly EMPTY: PageTable<El1And0> = new PageTable<El1And0>(undefined, 0, El1And0);

  private readonly memory: PhysicalMemory | undefined;
  private readonly frame: number;
  private readonly regime: R;

  private constructor(memory: PhysicalMemory | undefined, frame: number, regime: R) {
    this.memory = memory;
    this.frame = frame;
    this.regime = regime;
  }

  /**
   * The table at an address: of a map's own, or of any other memory that holds tables.
   *
   * @param memory - such as that of a map
   * @param address - physical, a multiple of 4096
   * @param regime - whose attributes its entries have
   * @throws {@link PageTableError} `MISALIGNED`, `NOT_IN_MEMORY`
   */
  static at<R extends Regime>(
    memory: PhysicalMemory,
    address: bigint | PhysicalAddress,
    regime: R,
  ): PageTable<R> {
    const value = addressValue('PageTable.at', address);
    checkAnyRegime('PageTable.at', regime);
    if ((value & 0xfffn) !== 0n) {
      throw new PageTableError('MISALIGNED', `PageTable.at: ${hex(value)}; expected a multiple of 4096`, {
        address: value,
      });
    }
    const frame = pageOf(value);
    memory.readEntry(frame, 0);
    return new PageTable(memory, frame, regime);
  }

  /**
   * A descriptor, as it is now.
   *
   * @param index - in `[0, 512)`
   * @throws {@link PageTableError} `OUT_OF_RANGE`
   */
  get(index: number): Descriptor<R> {
    if (!(Number.isInteger(index) && index >= 0 && index < 512)) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `PageTable: index ${index}; expected a whole number in [0, 512)`,
        {
          index,
        },
      );
    }
    const low = this.memory?.readEntry(this.frame, index) ?? 0;
    return new Descriptor(this.regime, low, this.memory?.high ?? 0);
  }

  /**
   * Writes all entries, little-endian.
   *
   * @param bytes - where to
   * @throws {@link PageTableError} `BAD_ARGUMENT` unless there are exactly 4096 of them
   */
  writeTo(bytes: Uint8Array): void {
    if (!(bytes instanceof Uint8Array) || bytes.length !== FRAME_BYTES) {
      const given = bytes instanceof Uint8Array ? `an array of ${bytes.length} bytes` : bytes;
      throw wrongKind('writeTo', given, `a Uint8Array of ${FRAME_BYTES} bytes`);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_BYTES);
    for (let i = 0; i < 512; i += 1) view.setBigUint64(i * 8, this.get(i).bits(), true);
  }
}
