import { failure, messageOf } from '../src/core/errors.ts';
import { describe, secretUrl } from '../src/core/field.ts';
import { type HookContext, hookKind } from '../src/core/hook.ts';
import type { Secret } from '../src/core/secret.ts';

interface WebhookOptions {
  readonly url: Secret;
}

export const webhook = hookKind<WebhookOptions>({
  summary: 'Posts what happens to a URL, as JSON.',
  options: { url: describe('Where to; who knows it can write there, so it is a secret.', secretUrl) },
  onNodes: false,
  create:
    ({ url }) =>
    (context) =>
      postTo(url, noticeOf(context), context),
});

/** What the receiver gets; `failure` is null unless the point is `failed`. */
const noticeOf = ({ site, stage, point, release, operator, nodes, failure }: HookContext): unknown => ({
  site,
  stage,
  point,
  release: release.id,
  revision: release.revision,
  operator,
  nodes,
  failure,
});

/** Posts to a URL that no error shows: only the host is named. */
export async function postTo(url: Secret, body: unknown, { post }: HookContext): Promise<void> {
  try {
    await post(url.reveal(), body);
  } catch (error) {
    // Without the cause: it holds the URL.
    throw failure('HTTP_UNANSWERED', {
      url: new URL(url.reveal()).host,
      reason: withoutUrl(messageOf(error), new URL(url.reveal())),
    });
  }
}

const withoutUrl = (message: string, url: URL): string =>
  [url.href, url.href.replace(/\/$/, ''), `${url.pathname}${url.search}`]
    .filter((part) => part !== '/')
    .reduce((text, part) => text.replaceAll(part, '[secret]'), message);
