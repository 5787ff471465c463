import { describe, expect, test } from 'vitest';
import { nearest, suggestion } from '../../src/core/nearest.ts';

describe('nearest', () => {
  test.each([
    ['nmae', 'name'],
    ['nam', 'name'],
    ['names', 'name'],
    ['nane', 'name'],
    ['NAME', 'name'],
    ['linkedDir', 'linkedDirs'],
    ['linked_files', 'linkedFiles'],
  ])('%s is a slip for %s', (slip, meant) => {
    expect(nearest(slip, ['nodes', 'linkedDirs', 'linkedFiles', 'name'])).toBe(meant);
  });

  test.each(['x', 'colour', 'amen', ''])('%j is no slip for name', (name) => {
    expect(nearest(name, ['name'])).toBeNull();
  });

  test('of two the fewer edits away is meant', () => {
    expect(nearest('linkedFile', ['linkedDirs', 'linkedFiles'])).toBe('linkedFiles');
  });

  test('a name of any length is answered at once', () => {
    expect(nearest('x'.repeat(1_000_000), ['x'])).toBeNull();
  });
});

test('a suggestion is nothing if no name is near', () => {
  expect(suggestion('colour', ['name'])).toBe('');
  expect(suggestion('nmae', ['name'])).toBe('; did you mean name?');
});
