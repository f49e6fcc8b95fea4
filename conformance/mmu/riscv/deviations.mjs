// Where QEMU 7.2 is known to do otherwise than the manual says. The walker of this folder can break the same rules, so that it
// tells what QEMU does then; only exactly that is taken for a deviation. A run prints how often each was needed.
//
// Others do not show: QEMU's SFENCE.VMA drops everything whatever its operands are, as do changes of satp, SUM, MXR and MPRV.
// Its walks know no ASID, no global page, and no group of 16 pages in the TLB; it may always forget more than it must.
//
// The manual is the RISC-V Instruction Set Manual, volume II (privileged architecture).

/** @typedef {import('./control.mjs').Control} Control */
/** @typedef {import('./reference.mjs').Rule} Rule */

/**
 * @typedef {object} Deviation
 * @property {string} name
 * @property {string} manual - what the manual says instead
 * @property {Rule} rule - that is broken
 * @property {(control: Control) => boolean} when
 */

/** @type {readonly Deviation[]} */
const DEVIATIONS = [
  {
    name: 'A and D set by hardware',
    manual: 'Svade: without Svadu, or with menvcfg.ADUE = 0, a page fault if A is clear, or D at a store',
    rule: 'A or D clear',
    when: () => true,
  },
  {
    name: 'reserved bits 60 to 54 accepted',
    manual: '"Sv39", page table entry: reserved bits must be zero, otherwise a page fault',
    rule: 'bits 60 to 54',
    when: ({ machine }) => machine.svnapot || machine.svpbmt,
  },
  {
    name: 'memory type accepted without PBMTE',
    manual: 'menvcfg.PBMTE = 0: the implementation behaves as though Svpbmt were not there',
    rule: 'memory type without Svpbmt',
    when: ({ machine }) => machine.svpbmt,
  },
  {
    name: 'memory type 3 accepted',
    manual: '"Svpbmt": 3 is reserved for future standard use, a page fault',
    rule: 'memory type 3',
    when: ({ machine }) => machine.svpbmt,
  },
  {
    name: 'N accepted without Svnapot',
    manual: '"Sv39", page table entry: bit 63 is reserved without Svnapot, a page fault',
    rule: 'N without Svnapot',
    when: ({ machine }) => machine.svpbmt,
  },
  {
    name: 'A and D set with a reserved code of N',
    manual:
      '"Virtual Address Translation Process", steps 3 and 9: a reserved entry is a page fault, and is not updated',
    rule: 'code of N',
    when: ({ machine }) => machine.svnapot,
  },
  {
    name: 'entry that cannot be read is a page fault',
    manual: '"Virtual Address Translation Process", step 2: an access fault of the original type',
    rule: 'entry that cannot be read',
    when: () => true,
  },
  {
    name: 'address of 34 bits cut to 32',
    manual: '"Sv32": a physical address has 34 bits',
    rule: 'address above 32 bits',
    when: ({ machine }) => machine.xlen === 32,
  },
  {
    name: 'page of U mode executed in S mode after a read with SUM',
    manual: '"Supervisor Status", SUM: S mode never executes from pages of U mode',
    rule: 'fetch from a page of U mode',
    when: () => true,
  },
  {
    name: 'AMO that may not read faults as a load',
    manual: '"Supervisor Cause": AMOs raise store/AMO exceptions, whatever is missing',
    rule: 'AMO that may not read',
    when: () => true,
  },
];

/**
 * The deviations that break a rule.
 *
 * @param {Rule} rule
 * @param {Control} control
 */
function deviationFor(rule, control) {
  return DEVIATIONS.find((each) => each.rule === rule && each.when(control));
}

/** @type {import('./reference.mjs').Breaks} */
export function qemuBreaks(rule, control) {
  return deviationFor(rule, control) !== undefined;
}

/**
 * @param {Rule} rule
 * @param {Control} control
 */
export function deviationName(rule, control) {
  return deviationFor(rule, control)?.name ?? rule;
}

/**
 * All may set A and D where the manual says that there is a page fault.
 *
 * @type {readonly import('../compare-words.mjs').WordDeviation[]}
 */
export const WORD_DEVIATIONS = DEVIATIONS.map(({ name, manual }) => ({ name, manual }));
