// What the judge of address spaces needs of an architecture.

/** @typedef {import('./ranges.mjs').Attributes} Attributes */
/** @typedef {import('./ranges.mjs').Mapping} Mapping */

/**
 * A format's limits.
 *
 * @typedef {object} Shape
 * @property {readonly (readonly [bigint, bigint])[]} halves - addresses that can be mapped, half-open
 * @property {bigint} addressEnd - of all addresses
 * @property {bigint} physicalEnd
 * @property {readonly bigint[]} pageSizes - in bytes, smallest first
 * @property {readonly bigint[]} groupSizes - in bytes, of contiguous groups
 * @property {readonly Attributes['rights'][]} rights - that it has
 * @property {readonly Mapping[]} window - what the guest itself needs
 * @property {readonly bigint[]} nowhere - physical addresses where large pages without memory may begin
 * @property {readonly (4 | 8)[]} accessBytes
 * @property {readonly string[]} types - of memory, that make no difference to what is accessed
 * @property {boolean} isMarked - by hardware, when it is accessed
 */

/**
 * An access that tells what is mapped. It is aligned.
 *
 * @typedef {{ kind: 'read' | 'write' | 'fetch', address: bigint, bytes: 4 | 8, user: boolean, value: bigint }} Probe
 */

/**
 * What an access must give: a value of memory; or nothing, since there is no memory; or a fault.
 *
 * @typedef {{ kind: 'memory', physical: bigint, value: bigint } | { kind: 'nowhere' | 'unmapped' | 'refused' }} Verdict
 */

/**
 * The tables and registers of an address space, and what to do with them.
 *
 * @typedef {object} SpaceCase
 * @property {number} number
 * @property {string} mode - the format
 * @property {any} control - what AddressSpace says of the registers
 * @property {ReadonlyMap<number, bigint>} words - of the tables by address, a multiple of 8
 * @property {readonly Probe[]} probes
 * @property {readonly number[]} written - addresses of words that are written, multiples of 8
 */

/**
 * @typedef {object} Host
 * @property {string} arch - as in the usage
 * @property {readonly import('../../../dist/space/index.js').SpaceFormat[]} formats
 * @property {number} frames - of the arena, that tables may take
 * @property {import('../layout.mjs').Layout} layout
 * @property {import('../judge.mjs').AnyJudge} judge - its emulator
 * @property {(random: import('../random.mjs').Random) => any} randomControl - of a new address space
 * @property {() => Promise<import('../judge.mjs').Subject<any, any, any>>} model - of its processor, with a TLB that keeps all
 * @property {(format: string) => Shape} shapeOf
 * @property {(attributes: Attributes, probe: Probe) => boolean} allows
 * @property {(format: string, physical: bigint) => boolean} isNowhere - whether there is neither memory nor a device
 * @property {(one: SpaceCase) => any} caseOf - the case that its emulator takes, with an operation for each probe
 * @property {(format: string, probe: Probe, verdict: Verdict, found: any) => string | undefined} check - what is wrong
 * @property {(found: any) => string} describe
 */

