import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { wrongKind } from '../../src/bits/wrong-kind.ts';

describe('the error for a value of another kind says in few words', () => {
  test.each<[string, unknown, string]>([
    ['a number', 5, 'the number 5'],
    ['nothing', undefined, 'undefined'],
    ['a text', 'text', 'text'],
    ['a long text', 'x'.repeat(1000), '[object String]'],
    ['an array', [1, 2, 3], '1,2,3'],
    ['an array with what has no text', [Symbol('s')], '[object Array]'],
    ['bytes', new Uint8Array(1 << 20), '[object Uint8Array]'],
    ['an object without a prototype', Object.create(null), '[object Object]'],
    ['a plain object', {}, '[object Object]'],
    ['an object with a text', { toString: () => 'its text' }, 'its text'],
    ['one whose text throws', { toString: () => JSON.parse('') }, '[object Object]'],
    ['a symbol', Symbol('s'), 'Symbol(s)'],
  ])('%s', (_, value, text) => {
    const error = wrongKind('call', value, 'another');
    expect(error).toBeInstanceOf(PageTableError);
    expect([error.code, error.message]).toEqual(['BAD_ARGUMENT', `call: ${text}; expected another`]);
  });
});
