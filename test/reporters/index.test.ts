import { expect, test } from 'vitest';
import { chooseReporter } from '../../src/reporters/index.ts';

test.each([
  [{ json: false, isTTY: true, ci: false }, 'pretty'],
  [{ json: false, isTTY: false, ci: false }, 'plain'],
  [{ json: false, isTTY: true, ci: true }, 'plain'],
  [{ json: true, isTTY: true, ci: false }, 'json'],
  [{ json: true, isTTY: false, ci: true }, 'json'],
] as const)('%o is drawn by %s', (where, name) => {
  expect(chooseReporter(where)).toBe(name);
});
