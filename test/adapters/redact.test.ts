import { describe, expect, test } from 'vitest';
import { redacted, redactor } from '../../src/adapters/redact.ts';

describe('a redactor', () => {
  test('hides every occurrence of every secret', () => {
    expect(redactor(['hunter2', 'tok'])('hunter2 and tok and hunter2')).toBe(
      '[secret] and [secret] and [secret]',
    );
  });

  test('hides the whole of a secret that begins with another one', () => {
    expect(redactor(['abc', 'abcdef'])('abcdef')).toBe('[secret]');
  });

  test('hides the long lines of a secret of several lines, one by one', () => {
    const redact = redactor(['{\n  "private": "key-material"\n}']);
    expect(redact('  "private": "key-material"')).toBe('[secret]');
    expect(redact('}')).toBe('}');
  });

  test('leaves a text alone if there is no secret, or an empty one', () => {
    expect(redactor([])('text')).toBe('text');
    expect(redactor([''])('text')).toBe('text');
  });
});

test('redacted data has no secret in any of its texts, however deep', () => {
  const data = { type: 'line', text: 'the token is hunter2', nodes: [{ name: 'hunter2', size: 3 }] };
  expect(redacted(data, redactor(['hunter2']))).toEqual({
    type: 'line',
    text: 'the token is [secret]',
    nodes: [{ name: '[secret]', size: 3 }],
  });
});
