import { expect, test } from 'vitest';
import { paintWith } from '../../src/reporters/paint.ts';
import { releasesText } from '../../src/reporters/releases-text.ts';
import { newRelease, node, observation, oldRelease } from './example-site.ts';

const releases = (...nodes: Parameters<typeof observation>[0] & object) =>
  releasesText(observation(nodes), paintWith(false));

test('newest first, with where they are live, whole, half-made and failed', () => {
  const failed = { ...newRelease, complete: true, checked: false, failed: true, backup: null };
  const half = { ...newRelease, complete: false, checked: false, failed: false, backup: null };
  const old = { ...oldRelease, complete: true, checked: true, failed: false, backup: null };
  expect(
    releases(
      node('web1', oldRelease, { releases: [old, failed] }),
      node('web2', oldRelease, { releases: [old, half] }),
      node('web3', null, { unreachable: 'web3 is gone', releases: [] }),
    ),
  ).toBe(`\
release         revision  live on  whole on  remarks
20260114093000  3f2a9c1   -        web1      failed its checks on web1; not whole on web2
20260113090000  1b2c3d4   all 2    all 2
not read: web3
`);
});

test('a site without releases says so', () => {
  expect(releases(node('web1', null, { releases: [] }))).toBe('No node has a release.\n');
});
