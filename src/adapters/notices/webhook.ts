import { createHmac } from 'node:crypto';
import { describe, optional, secret, secretUrl } from '../../core/field.ts';
import { moments } from '../../core/moment.ts';
import type { Secret } from '../../core/secret.ts';
import { postedKind } from './post.ts';

interface WebhookOptions {
  readonly url: Secret;
  readonly key: Secret | null;
}

/** The signature is over the time and the body, so that an old notice cannot be sent again as a new one. */
export const webhook = postedKind<WebhookOptions>({
  summary: 'Posts each notice to a URL, as JSON.',
  options: {
    url: describe('Where to; a secret.', secretUrl),
    key: describe(
      'Signs it: the header x-sluice-signature is sha256= and the HMAC-SHA256, hexadecimal, of the header x-sluice-timestamp, a dot and the body; a secret.',
      optional(secret, 'it is not signed'),
    ),
  },
  moments,
  posts(notice, { url, key }) {
    const body = JSON.stringify(notice);
    const time = String(Math.floor(notice.atMs / 1000));
    const signature = key && createHmac('sha256', key.reveal()).update(`${time}.${body}`).digest('hex');
    return [
      {
        url: url.reveal(),
        headers: signature ? { 'x-sluice-timestamp': time, 'x-sluice-signature': `sha256=${signature}` } : {},
        body: notice,
      },
    ];
  },
});
