import { expect, test } from 'vitest';
import { indent, table } from '../../src/reporters/table.ts';

test('columns are as wide as their widest cell as it is seen, and lines end without blanks', () => {
  expect(
    table([
      ['node', 'live'],
      ['\u001b[32mw1\u001b[39m', 'x', ''],
      ['longer', ''],
    ]),
  ).toBe('node    live\n\u001b[32mw1\u001b[39m      x\nlonger');
});

test('indenting leaves empty lines empty', () => {
  expect(indent('a\n\nb', 2)).toBe('  a\n\n  b');
});
