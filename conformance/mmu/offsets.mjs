// Where in a page accesses are.

/**
 * Of an access in its page, or into the next one.
 *
 * @param {import('./random.mjs').Random} random
 * @param {number} bytes
 */
export function randomOffset(random, bytes) {
  const choice = random.below(100);
  if (choice < 15 && bytes > 1) return 4096 - 1 - random.below(bytes - 1);
  if (choice < 30) return random.below(4096 - bytes + 1);
  return random.below(4096 / bytes) * bytes;
}

/**
 * An offset from which no access leaves its page.
 *
 * @param {number} offset - that may be too near to the end of a page for some access
 */
export function inPage(offset) {
  return Math.min(offset, 4088);
}
