// Messages show whatever a caller gave, and never fail themselves.
import { expect, test } from 'vitest';
import { shown } from '../../src/invalid.ts';

const cyclic: unknown[] = [1];
cyclic.push(cyclic);
const revoked = Proxy.revocable([], {});
revoked.revoke();
const throwing = {
  get [Symbol.toStringTag](): string {
    throw new Error('not to be asked');
  },
};

test.each<[string, unknown, string]>([
  ['a number', -0.5, '-0.5'],
  ['a bigint', 2n, '2'],
  ['a symbol', Symbol('size'), 'Symbol(size)'],
  ['a string', 'NCHW', "'NCHW'"],
  ['a long string', 'x'.repeat(1000), `'${'x'.repeat(100)}…'`],
  ['an array', [1, 'two', [3]], "[1, 'two', [3]]"],
  ['a long array', Array.from({ length: 1000 }, (_, i) => i), '[0, 1, 2, 3, 4, 5, 6, 7, …]'],
  ['an array of itself', cyclic, '[1, [1, […]]]'],
  ['a proxy that was revoked', revoked.proxy, 'an object'],
  ['a getter that throws', throwing, 'an object'],
  ['an object', { shape: [1], data: 0 }, '{ shape, data }'],
  ['an empty object', {}, '{}'],
  ['a large object', Object.fromEntries(Array.from('abcdefghi', (key) => [key, 1])), '{ a, b, c, d, e, f, g, h, … }'],
  ['a typed array', new Float32Array(5), 'Float32Array(5)'],
  ['what is none of these', new Map(), '[object Map]'],
  ['a function', shown, 'a function'],
])('%s', (_, value, expected) => {
  expect(shown(value)).toBe(expected);
});
