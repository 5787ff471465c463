import { expect, test } from 'vitest';
import { hookKinds } from '../../hooks/index.ts';

test.each(Object.entries(hookKinds))(
  '%s and its options say what they are for',
  (_, { summary, options }) => {
    expect([summary, ...Object.values(options).map((option) => option.summary)]).not.toContain('');
  },
);
