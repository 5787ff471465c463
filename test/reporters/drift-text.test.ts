import { expect, test } from 'vitest';
import type { Deviation, NodeDrift } from '../../src/core/drift.ts';
import type { Revision } from '../../src/core/release.ts';
import { driftText } from '../../src/reporters/drift-text.ts';
import { paintWith } from '../../src/reporters/paint.ts';

const node = (name: string, more: Partial<NodeDrift> = {}): NodeDrift => ({
  name,
  problem: null,
  deviations: [],
  unread: [],
  ...more,
});

const deviation = (
  of: Deviation['of'],
  name: string,
  expected: string | null,
  found: string | null,
): Deviation => ({ of, name, expected, found });

const text = (nodes: readonly NodeDrift[], image: string | null = null): readonly string[] =>
  driftText({ image: image as Revision | null, nodes }, paintWith(false)).split('\n');

test('nodes that deviate in the same way stand together, each thing beside what is wrong with it', () => {
  const stale = [
    deviation('package', 'nginx', '1.22.1-9', '1.18.0-6'),
    deviation('package', 'php8.2-gd', '8.2', null),
    deviation('package', 'strace', null, '6.1'),
    deviation('file', '/etc/nginx/nginx.conf', 'aa', 'bb'),
    deviation('file', '/etc/nginx/old', null, '-> x'),
    deviation('file', '/etc/nginx/shop', 'cc', null),
  ];
  expect(
    text([
      node('web1'),
      node('web2', { deviations: stale }),
      node('web3'),
      node('web4', { deviations: stale }),
    ]),
  ).toEqual([
    'Packages and configuration, compared with what most nodes have:',
    '',
    'web1 and web3  alike',
    'web2 and web4  packages missing             php8.2-gd',
    '               packages additional          strace 6.1',
    '               packages of another version  nginx 1.18.0-6 (not 1.22.1-9)',
    '               files missing                /etc/nginx/shop',
    '               files additional             /etc/nginx/old',
    '               files that differ            /etc/nginx/nginx.conf',
    '',
  ]);
});

test('a node that was not compared says why, and what could not be read is named', () => {
  expect(
    text(
      [
        node('web1', { unread: ['/etc/nginx/keys'] }),
        node('web2', { problem: 'web2 cannot be reached: no route.' }),
      ],
      'ab12ab12ab12',
    ),
  ).toEqual([
    'Packages and configuration, compared with image ab12ab1:',
    '',
    'web1  alike',
    '      not readable  /etc/nginx/keys',
    'web2  not compared  web2 cannot be reached: no route.',
    '',
  ]);
});

test('of many names the first are shown, and how many there are besides', () => {
  const missing = (n: number) =>
    Array.from({ length: n }, (_, i) => deviation('package', `p${i + 1}`, '1', null));
  expect(text([node('web1', { deviations: missing(9) })])[2]).toBe(
    'web1  packages missing  p1, p2, p3, p4, p5, p6 and 3 others',
  );
  expect(text([node('web1', { deviations: missing(7) })])[2]).toMatch(/p5, p6 and p7$/);
});
