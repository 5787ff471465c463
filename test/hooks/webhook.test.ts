import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { webhook } from '../../hooks/webhook.ts';
import { parseFields } from '../../src/core/field.ts';
import { Secret } from '../../src/core/secret.ts';
import { contextWith } from './context.ts';

const url = new Secret('https://hooks.example.org/T0/S3NT1NEL?key=S3NT1NEL');

describe('webhook', () => {
  test('posts what happens as JSON to the URL', async () => {
    const posted: unknown[] = [];
    const post = async (to: string, body: unknown) => void posted.push([to, body]);
    await webhook.create({ url })(contextWith({ post }));
    expect(posted).toEqual([
      [
        url.reveal(),
        {
          site: 'shop',
          stage: 'production',
          point: 'after:deploy',
          release: '20260114093000',
          revision: `3f2a9c1${'0'.repeat(33)}`,
          operator: 'ann@laptop',
          nodes: ['web1', 'web2'],
          failure: null,
        },
      ],
    ]);
  });

  test('fails without showing the URL, whatever the error says', async () => {
    const post = async (to: string) => {
      throw new Error(`POST ${to} answered 404 (${new URL(to).pathname}${new URL(to).search})`);
    };
    const error = await Promise.resolve(webhook.create({ url })(contextWith({ post }))).catch(
      (e: unknown) => e,
    );
    expect(String(error)).toBe(
      'DeployError: hooks.example.org did not answer: POST [secret] answered 404 ([secret]).',
    );
    expect(inspect(error, { depth: 9 })).not.toContain('S3NT1NEL');
  });

  test('refuses a URL of another protocol without showing it', () => {
    expect(parseFields(webhook.options, { url: 'ftp://S3NT1NEL' }, 'hooks.failed[0]')).toEqual({
      ok: false,
      problems: ['hooks.failed[0].url: expected an http:// or https:// URL, got a secret that is none'],
    });
  });
});
