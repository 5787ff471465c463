import { expect, test } from 'vitest';
import { slack } from '../../hooks/slack.ts';
import type { HookContext } from '../../src/core/hook.ts';
import { Secret } from '../../src/core/secret.ts';
import { contextWith } from './context.ts';

async function noticeOf(parts: Partial<HookContext>): Promise<unknown> {
  const posted: unknown[] = [];
  const post = async (_: string, body: unknown) => void posted.push(body);
  await slack.create({ url: new Secret('https://hooks.example.org/x') })(contextWith({ post, ...parts }));
  return posted[0];
}

test.each([
  ['before:deploy', 'deploy of 3f2a9c1 begins'],
  ['after:deploy', '3f2a9c1 is live'],
  ['before:rollback', 'rollback to 3f2a9c1 begins'],
  ['after:rollback', '3f2a9c1 is live again'],
  ['after:drain', '3f2a9c1 is at after:drain'],
] as const)('says at %s: %s', async (point, news) => {
  expect(await noticeOf({ point })).toEqual({
    text: `*shop* production: ${news} (20260114093000, 2 nodes, ann@laptop)`,
  });
});

test('tells why a run failed, without markup from the error', async () => {
  expect(await noticeOf({ point: 'failed', failure: '<!channel> & more', nodes: ['web1'] })).toEqual({
    text: '*shop* production: 3f2a9c1 failed: &lt;!channel&gt; &amp; more (20260114093000, 1 node, ann@laptop)',
  });
});
