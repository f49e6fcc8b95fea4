import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { wrongKind } from '../../src/bits/wrong-kind.ts';

class Mine {}

describe('the error for a value of another kind says in few words', () => {
  test.each<[string, unknown, string]>([
    ['a number', 5, 'the number 5'],
    ['nothing', undefined, 'undefined'],
    ['a text', 'text', 'text'],
    ['a long text', 'x'.repeat(1000), `${'x'.repeat(200)}…`],
    ['an array', [1, 2, 3], 'an array of 3 elements'],
    ['an array with what has no text', [Symbol('s')], 'an array of 1 elements'],
    ['bytes', new Uint8Array(1 << 20), 'Uint8Array of 1048576 bytes'],
    ['an object without a prototype', Object.create(null), 'an object'],
    ['a plain object', {}, 'an object of class Object'],
    ['an object of a class', new Mine(), 'an object of class Mine'],
    ['an object with a text', { toString: () => 'its text' }, 'its text'],
    ['one whose text throws', { toString: () => JSON.parse('') }, 'an object'],
    ['a symbol', Symbol('s'), 'Symbol(s)'],
  ])('%s', (_, value, text) => {
    const error = wrongKind('call', value, 'another');
    expect(error).toBeInstanceOf(PageTableError);
    expect([error.code, error.message]).toEqual(['BAD_ARGUMENT', `call: ${text}; expected another`]);
  });
});
