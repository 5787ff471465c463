import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { remoteOf } from '../../../src/adapters/sources/remote.ts';

describe('an address without credentials', () => {
  test.each([
    'https://example.org/site.git',
    'https://example.org:8443/a@b/site.git',
    'ssh://git@example.org:2222/site.git',
    'git@example.org:team/site.git',
    'example.org:site.git',
    'file:///srv/site.git',
    '/srv/site.git',
  ])('stays as it is: %s', (address) => {
    expect(remoteOf(address)).toEqual({ url: address, env: {}, secrets: [] });
  });

  test('that is a relative path is one from here', () => {
    expect(remoteOf('../site').url).toBe(resolve('../site'));
    expect(remoteOf('./a:b').url).toBe(resolve('./a:b'));
  });
});

describe('credentials', () => {
  test('of https become a header for that host alone', () => {
    const { url, env, secrets } = remoteOf('https://deploy:p%40ss@example.org:8443/team/site.git');
    const basic = Buffer.from('deploy:p@ss').toString('base64');
    expect(url).toBe('https://example.org:8443/team/site.git');
    expect(env).toEqual({
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'http.https://example.org:8443/.extraHeader',
      GIT_CONFIG_VALUE_0: `Authorization: Basic ${basic}`,
    });
    expect([...secrets].sort()).toEqual(['p%40ss', 'p@ss', basic].sort());
  });

  test.each([
    ['https://t0ken@example.org/site.git', 't0ken'],
    ['https://a-token-of-twenty-chars:x-oauth-basic@example.org/site.git', 'a-token-of-twenty-chars'],
  ])('that are a token in the place of the user are secret: %s', (address, token) => {
    expect(remoteOf(address).url).toBe('https://example.org/site.git');
    expect(remoteOf(address).secrets).toContain(token);
  });

  test('with an @ or a stray % in them are whole', () => {
    const { url, secrets } = remoteOf('https://u:p@s%s@example.org/site.git');
    expect(url).toBe('https://example.org/site.git');
    expect(secrets).toContain('p@s%s');
  });

  test('of ssh are the user alone', () => {
    expect(remoteOf('ssh://git:hunter2@example.org/site.git')).toMatchObject({
      url: 'ssh://git@example.org/site.git',
      env: {},
      secrets: expect.arrayContaining(['hunter2']),
    });
  });
});
