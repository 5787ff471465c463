import { expect, test } from 'vitest';
import { historyText } from '../../src/reporters/history-text.ts';
import { paintWith } from '../../src/reporters/paint.ts';

const entry = (at: string, text: string, ...nodes: readonly string[]) => ({ at, text, nodes });

test('names nodes only where not all of them have the entry', () => {
  const entries = [
    entry('2026-01-13T09:00:00Z', 'deploy main as 20260113090000 by ada@laptop: done', 'web1', 'web2'),
    entry('2026-01-14T09:30:00Z', 'drain web2 by hand', 'web2'),
  ];
  expect(historyText(entries, ['web1', 'web2'], paintWith(false))).toBe(`\
2026-01-13T09:00:00Z  deploy main as 20260113090000 by ada@laptop: done
2026-01-14T09:30:00Z  drain web2 by hand                                 only on web2
`);
});

test('a site without history says so', () => {
  expect(historyText([], ['web1'], paintWith(false))).toBe('Nothing was deployed yet.\n');
});
