import type { FrameAllocator } from '../../src/space/index.ts';

/** Gives frames from a list, knows which are out, and refuses to take one twice. */
export class StrictAllocator implements FrameAllocator {
  /** Frames that are given and not taken back. */
  readonly used = new Set<number>();
  /** Frames that it still gives before it has none; for failures on purpose. */
  budget = Number.POSITIVE_INFINITY;
  private readonly idle: number[];

  constructor(first: number, count: number) {
    this.idle = Array.from({ length: count }, (_, i) => first + count - 1 - i);
  }

  /** Gives certain frames: those of tables that a test writes by hand. */
  take(...frames: readonly number[]): void {
    for (const frame of frames) {
      this.idle.splice(this.idle.indexOf(frame), 1);
      this.used.add(frame);
    }
  }

  allocate(): number | undefined {
    if (this.budget <= 0) return undefined;
    const frame = this.idle.pop();
    if (frame === undefined) return undefined;
    this.budget -= 1;
    this.used.add(frame);
    return frame;
  }

  free(frame: number): void {
    if (!this.used.delete(frame)) throw new Error(`frame ${frame} is freed and was not in use`);
    this.idle.push(frame);
  }
}
