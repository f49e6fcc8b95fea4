import { FRAME_BYTES, PageTableError } from '../bits/index.ts';
import type { FrameRange } from '../machine/index.ts';
import type { ByteSource } from './bytes.ts';
import type { Extents } from './extents.ts';

const MAX_READ = 1 << 20;
/** Reads under way at once: hides the latency of single frames and bounds memory to 4 MiB. */
const READS_AT_ONCE = 4;
const MAX_FRAME = 2 ** 52;

/** Bytes that go from the file to the caller. */
interface Piece {
  readonly offset: number;
  readonly length: number;
  /** Where they go. */
  readonly at: number;
}

/** Physical memory that is stored uncompressed in a file. */
export class StoredMemory {
  /** The frames of which all 4096 bytes are there: sorted, disjoint, not adjacent. */
  readonly frames: readonly FrameRange[];
  /** Number of frames of which only some bytes are there. They are not given. */
  readonly partialFrames: number;
  private readonly bytes: ByteSource;
  private readonly extents: Extents;

  /**
   * @param bytes - the file
   * @param extents - where memory is in it; sorted, disjoint, inside the file
   */
  constructor(bytes: ByteSource, extents: Extents) {
    this.bytes = bytes;
    this.extents = extents;
    const { frames, partialFrames } = wholeFrames(extents);
    this.frames = frames;
    this.partialFrames = partialFrames;
  }

  /**
   * Reads frames as `Machine.readFrames` says. Frames that are neighbours in the file become one read.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` if a frame number is not one or the target is too small
   */
  async readFrames(frames: ArrayLike<number>, target: Uint8Array): Promise<Uint8Array> {
    if (target.length < frames.length * FRAME_BYTES) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `readFrames: a target of ${target.length} bytes; expected ${frames.length * FRAME_BYTES} for ${frames.length} frames`,
        { length: target.length, frames: frames.length },
      );
    }
    const present = new Uint8Array(frames.length);
    const pieces: Piece[] = [];
    for (let i = 0; i < frames.length; i++) {
      const own = this.piecesOf(frames[i], i * FRAME_BYTES);
      if (own === undefined) continue;
      present[i] = 1;
      for (const piece of own) {
        if (Number.isNaN(piece.offset)) target.fill(0, piece.at, piece.at + piece.length);
        else pieces.push(piece);
      }
    }
    const reads = joinNeighbours(pieces);
    for (let i = 0; i < reads.length; i += READS_AT_ONCE) {
      await Promise.all(reads.slice(i, i + READS_AT_ONCE).map((read) => this.copy(read, target)));
    }
    return present;
  }

  /** The pieces that a frame is made of; `undefined` if not all of it is there. */
  private piecesOf(frame: number, at: number): Piece[] | undefined {
    if (!Number.isInteger(frame) || frame < 0 || frame >= MAX_FRAME) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `readFrames: frame ${frame}; expected an integer in [0, 2^52)`,
        { frame },
      );
    }
    const { start, end, offset, length } = this.extents;
    // Above 2^53 the product is still exact, being a multiple of 4096, and nothing is stored there.
    const first = frame * FRAME_BYTES;
    const pieces: Piece[] = [];
    let i = Math.max(0, this.extents.indexAt(first));
    for (let done = 0; done < FRAME_BYTES; i++) {
      const from = first + done;
      if (i >= length || start[i] > from || end[i] <= from) return undefined;
      const bytes = Math.min(FRAME_BYTES - done, end[i] - from);
      pieces.push({ offset: offset[i] + (from - start[i]), length: bytes, at: at + done });
      done += bytes;
    }
    return pieces;
  }

  private async copy(pieces: readonly Piece[], target: Uint8Array): Promise<void> {
    const from = pieces[0].offset;
    const bytes = await this.bytes.read(from, endOf(pieces) - from);
    for (const { offset, length, at } of pieces) {
      target.set(bytes.subarray(offset - from, offset - from + length), at);
    }
  }
}

/** Groups pieces that touch or repeat each other in the file, each group short enough for one read. */
function joinNeighbours(pieces: Piece[]): Piece[][] {
  pieces.sort((a, b) => a.offset - b.offset);
  const groups: Piece[][] = [];
  let group: Piece[] = [];
  let end = -1;
  for (const piece of pieces) {
    const pieceEnd = piece.offset + piece.length;
    if (piece.offset > end || pieceEnd - group[0].offset > MAX_READ) {
      group = [];
      groups.push(group);
      end = pieceEnd;
    }
    group.push(piece);
    end = Math.max(end, pieceEnd);
  }
  return groups;
}

function endOf(pieces: readonly Piece[]): number {
  return pieces.reduce((end, piece) => Math.max(end, piece.offset + piece.length), 0);
}

function wholeFrames(extents: Extents): { frames: FrameRange[]; partialFrames: number } {
  const { start, end, length } = extents;
  const frames: FrameRange[] = [];
  let partialFrames = 0;
  let lastPartial = -1;
  const countPartial = (address: number): void => {
    const frame = Math.floor(address / FRAME_BYTES);
    // Two runs can end and begin in one frame.
    if (address % FRAME_BYTES === 0 || frame === lastPartial) return;
    lastPartial = frame;
    partialFrames++;
  };
  for (let i = 0; i < length; i++) {
    const runStart = start[i];
    while (i + 1 < length && start[i + 1] === end[i]) i++;
    const range = { first: Math.ceil(runStart / FRAME_BYTES), end: Math.floor(end[i] / FRAME_BYTES) };
    if (range.first < range.end) frames.push(range);
    countPartial(runStart);
    countPartial(end[i]);
  }
  return { frames, partialFrames };
}
