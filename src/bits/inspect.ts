/** What Node's `console.log` asks an object for its text by. */
export const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom');
