import { expect, test } from 'vitest';
import { paintWith, wantsColour } from '../../src/reporters/paint.ts';

test.each([
  [true, undefined, true],
  [true, '', true],
  [true, '1', false],
  [true, '0', false],
  [false, undefined, false],
])('a stream with isTTY %s and NO_COLOR %s has colour: %s', (isTTY, noColor, expected) => {
  expect(wantsColour(isTTY, noColor)).toBe(expected);
});

test('colour does not depend on the stream of the process', () => {
  expect(paintWith(true).bad('x')).toBe('\u001b[31mx\u001b[39m');
  expect(paintWith(false).bad('x')).toBe('x');
});
