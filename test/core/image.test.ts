import { expect, test } from 'vitest';
import {
  changeOf,
  differences,
  differencesText,
  type ImageEntry,
  manifestOf,
  manifestText,
  parseManifest,
} from '../../src/core/image.ts';

const file = (path: string, digit = 'a'): ImageEntry => ({
  kind: 'file',
  path,
  mode: '644',
  bytes: 3,
  digest: digit.repeat(64),
});
const entries: readonly ImageEntry[] = [
  file('b c.php'),
  { kind: 'link', path: 'l', target: '../over there' },
  { kind: 'directory', path: 'd', mode: '755' },
  file('a.php'),
];

test('a manifest is the same text for entries in any order, and is read back as it was written', () => {
  const text = manifestText(manifestOf(entries));
  expect(manifestText(manifestOf(entries.toReversed()))).toBe(text);
  expect(parseManifest(text)).toEqual(manifestOf(entries));
  expect(text).toContain('l l\t../over there\n');
});

test('lines stand in the order of their bytes in UTF-8, not of the halves of their characters', () => {
  const names = ['\u{1F600}', '\uFB00', 'é', 'z', 'za'];
  const bytes = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  expect(manifestOf(names.map((name) => file(name))).map(({ path }) => path)).toEqual(bytes);
});

test.each(['', 'x 644 path', 'f 644 3 abc path', 'l path', 'f 6x4 3 path'])(
  '%j is no line of a manifest',
  (line) => {
    expect(() => parseManifest(`${line}\n`)).toThrow('is no line of a manifest');
  },
);

test('a difference is what a path was and is', () => {
  const from = manifestOf([file('a'), file('b'), file('gone')]);
  const to = manifestOf([file('a'), file('b', 'b'), file('new')]);
  const found = differences({ from, to });
  expect(found.map((one) => [one.path, changeOf(one)])).toEqual([
    ['b', 'changed'],
    ['gone', 'removed'],
    ['new', 'added'],
  ]);
  expect(differences({ from, to: from })).toEqual([]);
});

test('differences are told by at most three names', () => {
  const told = (count: number): string =>
    differencesText(Array.from({ length: count }, (_, i) => ({ path: `p${i}`, from: null, to: null })));
  expect([told(0), told(1), told(3), told(5)]).toEqual([
    'nothing differs',
    '1 path differs: p0',
    '3 paths differ: p0, p1 and p2',
    '5 paths differ: p0, p1, p2 and 2 others',
  ]);
});
