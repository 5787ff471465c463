import { expect, test } from 'vitest';
import { findings } from './findings.ts';
import { run, story } from './seeds.ts';

/** Beside each seed that broke a promise. */
const neighbours = 3;

test.each(findings.map(({ found, ...finding }) => [found, finding] as const))(
  'no more: %s',
  async (_found, { life, seeds }) => {
    const failed: string[] = [];
    for (const seed of seeds.flatMap((first) => Array.from({ length: neighbours }, (_, i) => first + i))) {
      const simulated = await run(life === null ? { seed } : { command: 'deploy', ...life, seed });
      if (simulated.broken.length > 0) failed.push(story(simulated));
    }
    expect(failed.join('\n\n')).toBe('');
  },
);
