// Recorded members against found ones.

import { isDeepStrictEqual } from 'node:util';

/**
 * A member that is not as recorded.
 *
 * @typedef {{ member: string, expected: unknown, found: unknown }} Mismatch
 */

/**
 * Compares members; an absent one equals an empty list.
 *
 * @param {Readonly<Record<string, unknown>>} recorded
 * @param {Readonly<Record<string, unknown>>} found
 * @param {Iterable<string>} members
 * @returns {Mismatch[]}
 */
export function compareMembers(recorded, found, members) {
  return [...members]
    .filter((member) => !sameMember(recorded[member], found[member]))
    .map((member) => ({ member, expected: recorded[member], found: found[member] }));
}

/**
 * Compares what an operation did with what is recorded of it.
 *
 * An operation that the original aborted (by a panic or a page fault) must be refused as well, and leave everything as
 * it was or as the original left it.
 *
 * @param {Readonly<Record<string, any>>} recorded - the operation's line
 * @param {Readonly<Record<string, any>>} found - result, changed words, and whatever else the system has
 * @param {Iterable<string>} members - all that a line of this system may tell beside `result`
 * @returns {Mismatch[]}
 */
export function compareOutcome(recorded, found, members) {
  const aborted = isAborted(recorded.result);
  const others = compareMembers(recorded, found, members);
  const wrong = aborted ? others.filter((each) => !isNothing(each.found)) : others;
  if (
    aborted ? !sameAbort(recorded.result, found.result) : !isDeepStrictEqual(recorded.result, found.result)
  ) {
    wrong.unshift({ member: 'result', expected: recorded.result, found: found.result });
  }
  return wrong;
}

/** @param {unknown} result - of a recorded operation */
export function isAborted(result) {
  return result instanceof Object && ('panic' in result || 'fault' in result);
}

/**
 * @param {any} recorded
 * @param {any} found - may say more, such as the message
 */
function sameAbort(recorded, found) {
  return ['panic', 'fault', 'by'].every((member) => recorded[member] === found?.[member]);
}

/**
 * @param {unknown} recorded
 * @param {unknown} found
 */
function sameMember(recorded, found) {
  return (isNothing(recorded) && isNothing(found)) || isDeepStrictEqual(recorded, found);
}

/** @param {unknown} member */
function isNothing(member) {
  return member === undefined || (Array.isArray(member) && member.length === 0);
}
