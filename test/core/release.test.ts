import { expect, test } from 'vitest';
import { isReleaseId, isRevision, newReleaseId, type ReleaseId } from '../../src/core/release.ts';

test('a release is named for its time in UTC', () => {
  expect(newReleaseId(Date.UTC(2026, 0, 14, 9, 30, 5), [])).toBe('20260114093005');
});

test('two releases of one second differ, and the later is greater', () => {
  const taken = ['20260114093005', '20260114093006'] as ReleaseId[];
  expect(newReleaseId(Date.UTC(2026, 0, 14, 9, 30, 5), taken)).toBe('20260114093007');
});

test('the year may turn between them', () => {
  expect(newReleaseId(0, ['20261231235959' as ReleaseId])).toBe('20270101000000');
});

test.each(['2026', '20260114093005x', '', '../20260114093005'])('%j is no release', (text) => {
  expect(isReleaseId(text)).toBe(false);
});

test.each([
  ['a'.repeat(40), true],
  ['a'.repeat(64), true],
  ['A'.repeat(40), false],
  ['main', false],
])('%s as a revision: %s', (text, fits) => {
  expect(isRevision(text)).toBe(fits);
});
