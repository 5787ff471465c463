import { expect, test } from 'vitest';
import { bytes, duration, names } from '../../src/reporters/amount.ts';

test.each([
  [0, '0.0 s'],
  [1234, '1.2 s'],
  [59_949, '59.9 s'],
  [59_951, '1 min 00 s'],
  [245_000, '4 min 05 s'],
])('%i ms reads %s', (ms, text) => expect(duration(ms)).toBe(text));

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [12_345_678, '12.3 MB'],
  [4e15, '4000.0 TB'],
])('%i bytes read %s', (count, text) => expect(bytes(count)).toBe(text));

test('a list is cut only where more than its last name would go', () => {
  expect(names(['a', 'b', 'c'], 3)).toBe('a, b, c');
  expect(names(['a', 'b', 'c', 'd'], 3)).toBe('a, b and 2 more');
});
