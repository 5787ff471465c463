import { describe, secretUrl } from '../src/core/field.ts';
import { type HookContext, hookKind } from '../src/core/hook.ts';
import type { Secret } from '../src/core/secret.ts';
import { postTo } from './webhook.ts';

interface SlackOptions {
  readonly url: Secret;
}

export const slack = hookKind<SlackOptions>({
  summary: 'Tells a channel of Slack or Mattermost what happens, through an incoming webhook.',
  options: { url: describe('The URL of the incoming webhook; a secret.', secretUrl) },
  onNodes: false,
  create:
    ({ url }) =>
    (context) =>
      postTo(url, { text: sentence(context) }, context),
});

/** `*shop* production: deploy of 3f2a9c1 begins (20260114093000, 8 nodes, ann@laptop)` */
function sentence(context: HookContext): string {
  const { site, stage, release, nodes, operator } = context;
  const count = nodes.length === 0 ? [] : [`${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}`];
  const details = [release.id, ...count, operator];
  return `*${plain(site)}* ${plain(stage)}: ${news(context)} (${details.map(plain).join(', ')})`;
}

function news({ point, release, failure }: HookContext): string {
  // Of a fleet the release is an image, and nothing else.
  const revision = release.revision.slice(0, 7) || release.id;
  const texts: { readonly [P in HookContext['point']]?: string } = {
    'before:deploy': `deploy of ${revision} begins`,
    'after:deploy': `${revision} is live`,
    'before:rollback': `rollback to ${revision} begins`,
    'after:rollback': `${revision} is live again`,
    failed: `${revision} failed: ${plain(failure ?? 'no reason is known')}`,
  };
  return texts[point] ?? `${revision} is at ${point}`;
}

/** Slack reads these three as markup. */
const plain = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
