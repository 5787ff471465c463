import { describe, expect, test } from 'vitest';
import type { Observation } from '../../src/core/observation.ts';
import { syncTarget } from '../../src/core/sync.ts';
import { fleet, good, names, pooledFleet, releaseId, withNode } from './fleet.ts';

const running = (observed: Observation, name: string, n: number): Observation =>
  withNode(observed, name, {
    current: { kind: 'release', id: releaseId(n) },
    proved: releaseId(n),
    releases: [good(n)],
  });
const everybody = { pool: null, to: null };

test('the release that most nodes proved is what all are brought to', () => {
  const observed = ['web1', 'web2'].reduce(
    (now, name) => withNode(now, name, { releases: [good(1), good(2)] }),
    running(fleet(3), 'web3', 2),
  );
  expect(syncTarget(observed, names(3), everybody).release.id).toBe(releaseId(1));
});

test('nodes that came up from an old image are no reason to bring the others back', () => {
  const observed = running(fleet(3), 'web3', 2);
  expect(() => syncTarget(observed, names(3), everybody)).toThrow(
    `Most nodes run ${releaseId(1)}, and never had ${releaseId(2)}`,
  );
  expect(syncTarget(observed, names(3), { pool: null, to: releaseId(2) }).release.id).toBe(releaseId(2));
});

test('two releases on as many nodes are for a person to choose between', () => {
  const observed = running(fleet(2), 'web2', 2);
  expect(() => syncTarget(observed, names(2), everybody)).toThrow(/2026/);
  expect(syncTarget(observed, names(2), { pool: null, to: releaseId(2) }).release.id).toBe(releaseId(2));
});

describe('of two pools', () => {
  const green = ['web3', 'web4'];
  const observed = green.reduce((now, name) => running(now, name, 2), pooledFleet(2));

  test('each is brought to its own release', () => {
    const blue = syncTarget(observed, ['web1', 'web2'], { pool: 'blue', to: null });
    expect(blue.release.id).toBe(releaseId(1));
    expect(syncTarget(observed, green, { pool: 'green', to: null }).release.id).toBe(releaseId(2));
  });

  test('one in which nothing is live yet is left alone', () => {
    const empty = green.reduce(
      (now, name) => withNode(now, name, { current: { kind: 'absent' }, releases: [], proved: null }),
      pooledFleet(2),
    );
    expect(syncTarget(empty, green, { pool: 'green', to: null }).nodes).toEqual([]);
    expect(() => syncTarget(pooledFleet(2, null), green, { pool: 'green', to: null })).toThrow(
      /no whole, checked release/,
    );
  });
});
