import { hex, PageTableError } from '../bits/index.ts';
import { type FormatFact, LIVE_RULES, type Paging } from '../format/index.ts';
import type { SpaceInvalidation } from './result.ts';
import { type TlbiOptions, tlbiInstructions } from './tlbi.ts';

/** An instruction by which a processor forgets, or waits until it has; `text` is the same in words. */
export type InvalidationInstruction =
  | { readonly op: 'INVLPG'; readonly address: bigint; readonly text: string }
  /** CR3 is loaded with the value that it holds, with bit 63 = 0. */
  | { readonly op: 'MOV CR3'; readonly text: string }
  /** CR4 is loaded with the value that it holds, save that PGE is as given. */
  | { readonly op: 'MOV CR4'; readonly pge: boolean; readonly text: string }
  /** `operation` is the manual's name, `VALE1IS`; `operand` is the register that it takes, `undefined` where it takes none. */
  | {
      readonly op: 'TLBI';
      readonly operation: string;
      readonly operand: bigint | undefined;
      readonly text: string;
    }
  | { readonly op: 'DSB ISHST' | 'DSB ISH' | 'ISB'; readonly text: string }
  /** An operand that is `undefined` is x0. */
  | {
      readonly op: 'SFENCE.VMA';
      readonly address: bigint | undefined;
      readonly asid: number | undefined;
      readonly text: string;
    };

/** How invalidations become instructions. */
export interface InstructionOptions extends TlbiOptions {
  /**
   * Instructions at most before everything is forgotten at once: a whole number, or `Infinity` for never. By default what Linux
   * uses: x86 33, AArch64 512, RISC-V 64.
   */
  readonly fullAfter?: number;
}

/** More are never listed one by one. */
const MOST_INSTRUCTIONS = 2 ** 20;

/**
 * The instructions that do what an edit asks for, in order, and no more.
 *
 * They are for a processor on which the space is current. Those of AArch64 reach the other processors by themselves; on x86 and
 * RISC-V each processor that uses the space executes them.
 *
 * @param space - whose invalidations they are
 * @param invalidations - of an edit's result, of a plan, or as `commit` gives them to its `invalidate`
 * @returns none where there are no invalidations; on AArch64 always the barriers by which processors see what was written
 * @throws {@link PageTableError} `BAD_ARGUMENT` for what is no `fullAfter`; `LIMIT_EXCEEDED` if there are more than 1,048,576
 *   instructions, with a `fullAfter` above that
 * @see Intel SDM vol. 3A (order 253668), section "Operations that Invalidate TLBs and Paging-Structure Caches"; Arm ARM (DDI 0487),
 *   sections "TLB maintenance instructions" and "Using break-before-make when updating translation table entries"; RISC-V
 *   Privileged ISA, section "Supervisor Memory-Management Fence Instruction"
 */
export function invalidationInstructions(
  space: { readonly pagings: readonly Paging[] },
  invalidations: readonly SpaceInvalidation[],
  options: InstructionOptions = {},
): InvalidationInstruction[] {
  const [{ format }] = space.pagings;
  const { architecture } = format.fact;
  const { fullAfter = LIVE_RULES[architecture].fullAfter } = options;
  if (!(fullAfter === Number.POSITIVE_INFINITY || (Number.isInteger(fullAfter) && fullAfter >= 0))) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `invalidationInstructions: fullAfter ${String(fullAfter)}; expected a whole number from 0, or Infinity`,
    );
  }
  const limit = Math.min(fullAfter, MOST_INSTRUCTIONS);
  const found = MAKERS[architecture](format.fact, invalidations, limit, options);
  if (found !== undefined) return found;
  if (fullAfter > MOST_INSTRUCTIONS) {
    throw new PageTableError(
      'LIMIT_EXCEEDED',
      `invalidationInstructions: more than ${MOST_INSTRUCTIONS} instructions; expected a smaller fullAfter`,
      { fullAfter },
    );
  }
  return fullOf(architecture, invalidations);
}

/** @returns `undefined` if there were more than `limit` */
type Maker = (
  fact: FormatFact,
  invalidations: readonly SpaceInvalidation[],
  limit: number,
  options: InstructionOptions,
) => InvalidationInstruction[] | undefined;

const MAKERS: Readonly<Record<FormatFact['architecture'], Maker>> = {
  x86: x86Instructions,
  aarch64: aarch64Instructions,
  riscv: riscvInstructions,
};

/** Everything of the space. */
function fullOf(
  architecture: FormatFact['architecture'],
  invalidations: readonly SpaceInvalidation[],
): InvalidationInstruction[] {
  const isGlobal = invalidations.some(({ global }) => global);
  const asid = isGlobal ? undefined : invalidations[0]?.asid;
  switch (architecture) {
    case 'x86':
      return isGlobal ? [movCr4(false), movCr4(true)] : [MOV_CR3];
    case 'aarch64':
      return between([asid === undefined ? tlbi('VMALLE1IS') : tlbi('ASIDE1IS', BigInt(asid) << 48n)]);
    case 'riscv':
      return [sfence(undefined, asid)];
  }
}

// ---- x86

const MOV_CR3: InvalidationInstruction = { op: 'MOV CR3', text: 'MOV CR3, CR3' };

function movCr4(pge: boolean): InvalidationInstruction {
  return { op: 'MOV CR4', pge, text: `MOV CR4 with PGE = ${pge ? 1 : 0}` };
}

function invlpg(address: bigint): InvalidationInstruction {
  return { op: 'INVLPG', address, text: `INVLPG ${hex(address)}` };
}

/** INVLPG forgets a page, global or not, and every entry of the PCID that leads to a table, whatever its address. */
function x86Instructions(
  _fact: FormatFact,
  invalidations: readonly SpaceInvalidation[],
  limit: number,
): InvalidationInstruction[] | undefined {
  const loads = invalidations.some(({ scope }) => scope === 'root');
  // Loading CR3 forgets all that is not global.
  const ofPages = invalidations.filter(
    ({ scope, global }) => (scope === 'pages' || scope === 'all') && (global || !loads),
  );
  const addresses = addressesOf(ofPages, limit);
  if (addresses === undefined) return undefined;
  const first = invalidations.find(({ scope }) => scope === 'tables');
  if (addresses.length === 0 && !loads && first !== undefined) {
    return limit > 0 ? [invlpg(first.address)] : undefined;
  }
  return [...(loads ? [MOV_CR3] : []), ...addresses.map(({ address }) => invlpg(address))];
}

// ---- AArch64

function tlbi(operation: string, operand?: bigint): InvalidationInstruction {
  const text = operand === undefined ? `TLBI ${operation}` : `TLBI ${operation}, ${hex(operand)}`;
  return { op: 'TLBI', operation, operand, text };
}

function barrier(op: 'DSB ISHST' | 'DSB ISH' | 'ISB'): InvalidationInstruction {
  return { op, text: op };
}

/** What was written is seen before, and what was invalidated is gone after. */
function between(instructions: readonly InvalidationInstruction[]): InvalidationInstruction[] {
  return [barrier('DSB ISHST'), ...instructions, barrier('DSB ISH'), barrier('ISB')];
}

function aarch64Instructions(
  fact: FormatFact,
  invalidations: readonly SpaceInvalidation[],
  limit: number,
  options: InstructionOptions,
): InvalidationInstruction[] | undefined {
  if (invalidations.length === 0) return [barrier('DSB ISHST'), barrier('ISB')];
  const found = tlbiInstructions(fact, invalidations, limit, options);
  return found && between(found.map(({ operation, operand }) => tlbi(operation, operand)));
}

// ---- RISC-V

function sfence(address: bigint | undefined, asid: number | undefined): InvalidationInstruction {
  const text = `SFENCE.VMA ${address === undefined ? 'x0' : hex(address)}, ${asid ?? 'x0'}`;
  return { op: 'SFENCE.VMA', address, asid, text };
}

/** With an address SFENCE.VMA forgets a page only; what leads to tables goes without one. With an ASID what is global stays. */
function riscvInstructions(
  _fact: FormatFact,
  invalidations: readonly SpaceInvalidation[],
  limit: number,
): InvalidationInstruction[] | undefined {
  const wide = invalidations.filter(({ scope }) => scope !== 'pages');
  const fences = new Map<number | undefined, InvalidationInstruction>();
  for (const { asid } of wide) fences.set(asid, sfence(undefined, asid));
  const ofAll = fences.get(undefined);
  if (ofAll !== undefined) return [ofAll];
  const rest = invalidations.filter(({ scope, asid }) => scope === 'pages' && !fences.has(asid));
  const addresses = addressesOf(rest, limit - fences.size);
  return addresses && [...fences.values(), ...addresses.map(({ address, asid }) => sfence(address, asid))];
}

/** An address in each page, or `undefined` if there are more than `limit`. */
function addressesOf(
  invalidations: readonly SpaceInvalidation[],
  limit: number,
): { address: bigint; asid: number | undefined }[] | undefined {
  let count = 0n;
  for (const { bytes, pageBytes } of invalidations) count += bytes / pageBytes;
  if (count > BigInt(limit)) return undefined;
  return invalidations.flatMap(({ address, bytes, pageBytes, asid }) =>
    // At most `limit`.
    Array.from({ length: Number(bytes / pageBytes) }, (_, i) => ({
      address: address + BigInt(i) * pageBytes,
      asid,
    })),
  );
}
