import { expect, test } from 'vitest';
import { chooseReporter } from '../../src/reporters/index.ts';

test.each([
  [{ json: false, isTTY: true, ci: null }, 'pretty'],
  [{ json: false, isTTY: false, ci: null }, 'plain'],
  [{ json: false, isTTY: true, ci: 'other' }, 'plain'],
  [{ json: false, isTTY: false, ci: 'other' }, 'plain'],
  [{ json: false, isTTY: false, ci: 'github' }, 'github'],
  [{ json: false, isTTY: false, ci: 'gitlab' }, 'gitlab'],
  [{ json: false, isTTY: true, ci: 'github' }, 'plain'],
  [{ json: true, isTTY: true, ci: null }, 'json'],
  [{ json: true, isTTY: false, ci: 'github' }, 'json'],
] as const)('%o is drawn by %s', (where, name) => {
  expect(chooseReporter(where)).toBe(name);
});
