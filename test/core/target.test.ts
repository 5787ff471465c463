import { describe, expect, test } from 'vitest';
import type { Observation, ReleaseState } from '../../src/core/observation.ts';
import { deployTarget, rollbackTarget } from '../../src/core/target.ts';
import { fleet, good, names, releaseId, revisionOf, withNode } from './fleet.ts';

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
