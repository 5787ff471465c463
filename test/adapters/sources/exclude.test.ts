import { expect, test } from 'vitest';
import { excluder } from '../../../src/adapters/sources/exclude.ts';

test.each([
  ['node_modules', 'node_modules', true],
  ['node_modules', 'node_modules/a/b.js', true],
  ['node_modules', 'lib/node_modules/a.js', false],
  ['node_modules', 'node_modules_too/a.js', false],
  ['/config/', 'config/a', true],
  ['./config', 'config/a', true],
  ['*.map', 'app.map', true],
  ['*.map', 'lib/app.map', false],
  ['**/*.map', 'app.map', true],
  ['**/*.map', 'lib/js/app.map', true],
  ['docs/**/draft', 'docs/draft/x', true],
  ['docs/**/draft', 'docs/a/b/draft', true],
  ['docs/**', 'docs/a/b', true],
  ['docs/**', 'docs', false],
  ['file.?', 'file.c', true],
  ['file.?', 'file/c', false],
  ['a+b(1)[2]', 'a+b(1)[2]/x', true],
  ['a.c', 'abc', false],
])('the pattern %s, for the path %s: %s', (pattern, path, expected) => {
  expect(excluder(['something/else', pattern])(path)).toBe(expected);
});

test('without patterns nothing is left out', () => {
  expect(excluder([])('anything')).toBe(false);
});
