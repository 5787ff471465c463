import { expect, test } from 'vitest';
import { parseIntent, type RunIntent } from '../../src/core/intent.ts';
import { release, releaseId } from './fleet.ts';

const intent: RunIntent = {
  purpose: 'deploy',
  wanted: 'main',
  release: release(2),
  nodes: ['web1', 'web2'],
  before: { web1: release(1), web2: null },
  pool: null,
  onceAs: releaseId(2),
};

test('an intent is the same after JSON', () => {
  expect(parseIntent(JSON.parse(JSON.stringify(intent)))).toEqual(intent);
});

test.each([
  ['nothing', undefined],
  ['another purpose', { ...intent, purpose: 'destroy' }],
  [
    'a release of no such name',
    { ...intent, release: { id: '../../etc', revision: intent.release.revision } },
  ],
  ['nodes that are no list', { ...intent, nodes: 'web1' }],
  ['a release before that is none', { ...intent, before: { web1: 'x' } }],
])('%s is no intent', (_, value) => {
  expect(parseIntent(value)).toBeNull();
});
