import type { HookContext } from '../../src/core/hook.ts';
import type { Release } from '../../src/core/release.ts';

/** What a hook is given, with verbs that do nothing unless a test says what. */
export const contextWith = (parts: Partial<HookContext>): HookContext => ({
  site: 'shop',
  stage: 'production',
  point: 'after:deploy',
  operator: 'ann@laptop',
  release: { id: '20260114093000', revision: '3f2a9c1'.padEnd(40, '0') } as unknown as Release,
  nodes: ['web1', 'web2'],
  failure: null,
  signal: new AbortController().signal,
  run: async () => '',
  get: async () => ({ status: 200, body: '' }),
  post: async () => undefined,
  ...parts,
});
