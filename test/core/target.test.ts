import { describe, expect, test } from 'vitest';
import type { Observation, ReleaseState } from '../../src/core/observation.ts';
import { deployTarget, flipTarget, nodesToRenew, poolsOf, rollbackTarget } from '../../src/core/target.ts';
import { fleet, good, names, pooledFleet, releaseId, revisionOf, withNode } from './fleet.ts';

const having = (count: number, live: number, releases: readonly ReleaseState[]): Observation =>
  names(count).reduce((state, name) => withNode(state, name, { releases }), fleet(count, live));

const back = (observed: Observation, to: number | null = null): string =>
  rollbackTarget(observed, Object.keys(observed.nodes), to === null ? null : releaseId(to)).release.id;

describe('a rollback goes', () => {
  test('to the newest good release before the live one (S15)', () => {
    expect(back(having(2, 3, [1, 2, 3].map(good)))).toBe(releaseId(2));
  });

  test('to the release that is named (S16)', () => {
    expect(back(having(2, 3, [1, 2, 3].map(good)), 1)).toBe(releaseId(1));
  });

  test('never to one that was not finished (S19)', () => {
    const aborted = { ...good(2), complete: false, checked: false };
    expect(back(having(2, 3, [good(1), aborted, good(3)]))).toBe(releaseId(1));
  });

  test('never to one that failed its checks', () => {
    expect(back(having(2, 3, [good(1), { ...good(2), failed: true }, good(3)]))).toBe(releaseId(1));
  });

  test('never to one that failed, or was never checked, on any node', () => {
    const observed = having(2, 3, [1, 2, 3].map(good));
    const elsewhere = (second: ReleaseState): Observation =>
      withNode(observed, 'web2', { releases: [good(1), second, good(3)] });
    expect(back(elsewhere({ ...good(2), failed: true }))).toBe(releaseId(1));
    expect(back(elsewhere({ ...good(2), checked: false }))).toBe(releaseId(1));
  });

  test('nowhere if there is no release before (S17)', () => {
    expect(() => back(having(2, 1, [good(1)]))).toThrow(/nothing to roll back to/);
  });

  test('nowhere if a node lacks the release, and says which (S18)', () => {
    const observed = withNode(having(3, 2, [good(1), good(2)]), 'web2', { releases: [good(2)] });
    expect(() => back(observed, 1)).toThrow(`Release ${releaseId(1)} is not whole on web2.`);
  });

  test('by id, however the list is ordered (S21)', () => {
    expect(back(having(2, 3, [good(2), good(3), good(1)]))).toBe(releaseId(2));
  });
});

describe('a deploy', () => {
  const now = Date.UTC(2026, 0, 14, 9, 31, 0);

  test('of a new revision makes a release named for its time', () => {
    expect(deployTarget(fleet(2), names(2), revisionOf(2), now).release.id).toBe('20260114093100');
  });

  test('of the live revision leads to the live release', () => {
    expect(deployTarget(fleet(2), names(2), revisionOf(1), now).release.id).toBe(releaseId(1));
  });

  test('never reuses a release that failed', () => {
    const observed = having(2, 1, [good(1), { ...good(2), failed: true }]);
    expect(deployTarget(observed, names(2), revisionOf(2), now).release.id).toBe('20260114093100');
  });

  test('makes an id newer than all, were the clock behind', () => {
    expect(deployTarget(fleet(2, 9), names(2), revisionOf(2), 0).release.id).toBe(releaseId(10));
  });
});

describe('two pools', () => {
  const green = ['web3', 'web4'];
  const newer = green.reduce(
    (now, name) =>
      withNode(now, name, {
        current: { kind: 'release', id: releaseId(2) },
        releases: [good(1), good(2)],
        proved: releaseId(2),
      }),
    pooledFleet(2),
  );
  const aimedAt = (observed: Observation, ...pools: readonly (string | null)[]): Observation => ({
    ...observed,
    balancers: pools.map((pool, i) => ({ ...observed.balancers[0]!, balancer: `lb${i + 1}`, pool })),
  });

  test('a new revision goes to the pool without traffic; one that is live to where it is', () => {
    expect(nodesToRenew(newer, revisionOf(3))).toEqual(green);
    expect(nodesToRenew(newer, revisionOf(1))).toEqual(['web1', 'web2']);
    expect(nodesToRenew(aimedAt(newer, 'green'), revisionOf(2))).toEqual(green);
  });

  test('a rollback leads to what the other pool has, if that is older', () => {
    const { idle, serving } = poolsOf(aimedAt(newer, 'green'));
    const { release, nodes } = rollbackTarget(aimedAt(newer, 'green'), idle, null, serving);
    expect({ id: release.id, nodes }).toEqual({ id: releaseId(1), nodes: ['web1', 'web2'] });
  });

  test('a flip leads to the newer release, and back to the older', () => {
    expect(flipTarget(newer, false)).toMatchObject({ pool: 'green', nodes: green });
    expect(flipTarget(aimedAt(newer, 'green'), true)).toMatchObject({ pool: 'blue' });
    expect(() => flipTarget(newer, true)).toThrow(/Pool blue gets all traffic already/);
    expect(() => flipTarget(aimedAt(newer, 'green'), false)).toThrow(/Pool green gets all traffic already/);
  });

  test('a flip between pools of one release leads to the other one', () => {
    for (const back of [true, false]) expect(flipTarget(pooledFleet(2), back).pool).toBe('green');
    expect(flipTarget(aimedAt(pooledFleet(2), 'green'), false).pool).toBe('blue');
  });

  test('balancers that differ stop a deploy, and a flip brings them together', () => {
    const differing = aimedAt(newer, 'blue', 'green');
    expect(() => nodesToRenew(differing, revisionOf(3))).toThrow(/lb1 to blue and lb2 to green/);
    expect(flipTarget(differing, false).pool).toBe('green');
    expect(flipTarget(differing, true).pool).toBe('blue');
  });

  test('a pool without one release on all of its nodes is not flipped to', () => {
    const mixed = withNode(newer, 'web4', { current: { kind: 'release', id: releaseId(1) } });
    expect(() => flipTarget(mixed, false)).toThrow(/Pool green does not have one release/);
    expect(() => flipTarget(fleet(2), false)).toThrow(/has no pools/);
  });
});
