import { expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { secretMask } from '../../src/reporters/github-mask.ts';
import { memoryOutput } from './memory-output.ts';

function masked(env: Readonly<Record<string, string>>, values: readonly string[]): string {
  const stderr = memoryOutput();
  const mask = secretMask({ env, stderr });
  for (const value of values) mask(new Secret(value));
  return stderr.text();
}

test('GitHub is told of each secret once, on one line', () => {
  expect(masked({ GITHUB_ACTIONS: 'true' }, ['sesame', '50%\r\nmore', 'sesame'])).toBe(
    '::add-mask::sesame\n::add-mask::50%25%0D%0Amore\n',
  );
});

test('elsewhere no secret is written', () => {
  expect(masked({ GITLAB_CI: 'true', CI: 'true' }, ['sesame'])).toBe('');
});
