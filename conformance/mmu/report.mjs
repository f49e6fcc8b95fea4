// Counts what came out of cases, and prints it.

/**
 * What came out of one case.
 *
 * @typedef {object} Verdict
 * @property {readonly string[]} differences
 * @property {ReadonlyMap<string, number>} deviations
 * @property {ReadonlyMap<string, number>} faults
 * @property {number} accesses
 * @property {number} others
 */

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts - of cases */

/**
 * @param {readonly Counts[]} counts
 * @returns {Counts}
 */
export function sumOf(counts) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const { passed, failed, skipped } of counts) {
    sum.passed += passed;
    sum.failed += failed;
    sum.skipped += skipped;
  }
  return sum;
}

/** Cases with differences that are shown in full. */
const MAX_SHOWN = 5;

/** Differences of a case that are shown. */
const MAX_DIFFERENCES = 4;

/** Guests that may be lost before a run ends. */
const MAX_LOST = 5;

/**
 * What emulators print when they stop at a check of their own, whatever the guest did: such a case judges nothing. QEMU 7.2's
 * translator of x86 does so for a few cases in a hundred thousand.
 */
const OWN_TROUBLE = [/translate\.c:\d+: gen_update_eip_cur: Assertion `s->pc_save != -1' failed/];

/** Cases of which one may end so; beyond that, the cases are to blame. */
const CASES_FOR_ONE = 2000;

/** Sums by mode. */
export class Report {
  passed = 0;
  failed = 0;
  shown = 0;
  lost = 0;
  /** Cases that the emulator could not perform. */
  unjudged = 0;

  /**
   * @param {readonly string[]} modes - in the order to print
   * @param {string} again - command that performs a case alone, before its number
   */
  constructor(modes, again) {
    this.again = again;
    this.byMode = new Map(modes.map((mode) => [mode, new Sums()]));
  }

  /**
   * @param {string} mode
   * @param {number} number
   * @param {Verdict} verdict
   * @param {string} description
   */
  add(mode, number, verdict, description) {
    const sums = this.byMode.get(mode) ?? new Sums();
    this.byMode.set(mode, sums);
    sums.add(verdict);
    if (verdict.differences.length === 0) {
      this.passed++;
      return;
    }
    this.failed++;
    this.show(description, number, verdict.differences);
  }

  /**
   * A case that the guest did not survive.
   *
   * @param {{ mode: string, number: number }} one
   * @param {string} trouble
   * @param {string} description
   */
  fail(one, trouble, description) {
    if (OWN_TROUBLE.some((pattern) => pattern.test(trouble))) {
      this.unjudged++;
      return;
    }
    this.failed++;
    this.lost++;
    this.show(description, one.number, [trouble]);
  }

  /** Whether so many guests were lost that more would only take time. */
  get gaveUp() {
    return this.lost >= MAX_LOST;
  }

  /**
   * @param {string} description
   * @param {number} number
   * @param {readonly string[]} differences
   */
  show(description, number, differences) {
    this.shown++;
    if (this.shown > MAX_SHOWN) return;
    const more = differences.length - MAX_DIFFERENCES;
    const lines = [
      description,
      ...differences.slice(0, MAX_DIFFERENCES),
      ...(more > 0 ? [`and ${more} more`] : []),
    ];
    console.log(`${lines.join('\n').replaceAll('\n', '\n  ')}\n  Again: ${this.again} ${number}`);
  }

  /** @returns {Counts} */
  print() {
    if (this.shown > MAX_SHOWN)
      console.log(`${this.shown - MAX_SHOWN} more cases with differences are not shown`);
    if (this.gaveUp) console.log(`${this.lost} guests were lost; the run ended there`);
    if (this.unjudged > 0) {
      console.log(
        `the emulator stopped at a check of its own in ${this.unjudged} cases, which judge nothing`,
      );
      const most = Math.ceil((this.passed + this.failed) / CASES_FOR_ONE);
      if (this.unjudged > most) this.failed += this.unjudged;
    }
    for (const [mode, sums] of this.byMode) {
      console.log(`${mode}: ${sums.text()}`);
      for (const [name, times] of sums.deviations) console.log(`  deviation: ${name}: ${times}`);
    }
    return { passed: this.passed, failed: this.failed, skipped: 0 };
  }
}

/** What came out of the cases of one mode. */
class Sums {
  cases = 0;
  accesses = 0;
  others = 0;
  differences = 0;
  /** @type {Map<string, number>} */
  faults = new Map();
  /** @type {Map<string, number>} */
  deviations = new Map();

  /** @param {Verdict} verdict */
  add({ accesses, others, differences, faults, deviations }) {
    this.cases++;
    this.accesses += accesses;
    this.others += others;
    this.differences += differences.length;
    for (const [name, times] of faults) this.faults.set(name, (this.faults.get(name) ?? 0) + times);
    for (const [name, times] of deviations)
      this.deviations.set(name, (this.deviations.get(name) ?? 0) + times);
  }

  text() {
    const faults = [...this.faults].map(([name, times]) => `${times} ${name}`).join(', ') || 'none';
    const others = this.others > 0 ? ` and ${this.others} other operations` : '';
    return `${this.accesses} accesses${others} in ${this.cases} cases, faulted: ${faults}; ${this.differences} differences`;
  }
}
