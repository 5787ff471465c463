import { expect, test } from 'vitest';
import { systemRandom } from '../../src/adapters/random.ts';

test('each call gives as many other bytes as were asked for, in hexadecimal', () => {
  expect(systemRandom.hex(8)).toMatch(/^[\da-f]{16}$/);
  expect(systemRandom.hex(8)).not.toBe(systemRandom.hex(8));
});
