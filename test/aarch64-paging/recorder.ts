// A processor that does nothing but remember what it was told.
import type { Processor } from './exports.ts';

export class Recorder implements Processor {
  readonly events: string[] = [];
  readonly registers: Map<string, bigint> = new Map<string, bigint>();

  readSystemRegister(name: string): bigint {
    this.events.push(`MRS ${name}`);
    return this.registers.get(name) ?? 0x77n;
  }

  writeSystemRegister(name: string, value: bigint): void {
    this.events.push(`MSR ${name} 0x${value.toString(16)}`);
    this.registers.set(name, value);
  }

  tlbi(operation: string, operand?: bigint): void {
    this.events.push(
      operand === undefined ? `TLBI ${operation}` : `TLBI ${operation} 0x${operand.toString(16)}`,
    );
  }

  barrier(kind: string): void {
    this.events.push(kind);
  }

  /** The events since the last time. */
  take(): string[] {
    return this.events.splice(0);
  }
}
