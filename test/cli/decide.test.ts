import { describe, expect, test } from 'vitest';
import { failure } from '../../src/core/errors.ts';
import type { Decision, RunRequest } from '../../src/engine/deploy.ts';
import { report } from '../reporters/example-run.ts';
import { sluice } from './fake-environment.ts';

const trouble = {
  step: { kind: 'drain', nodes: ['web1', 'web2'] },
  failures: ['web1', 'web2'].map((node) => ({
    node,
    error: failure('DRAIN_TIMEOUT', { node, withinMs: 5000, sessions: '1 request in flight' }),
  })),
  mayLeaveOut: true,
} as const;

/** A deploy in which two nodes fail; what was decided, or null if nobody could be asked. */
async function asked(line: string, typed: string, more: { mayLeaveOut?: boolean } = {}) {
  const decided: (Decision | null)[] = [];
  const outcome = await sluice(line, {
    typed,
    engine: {
      deploy: async ({ decide }: RunRequest) => {
        decided.push(decide === null ? null : await decide({ ...trouble, ...more }));
        return report();
      },
    },
  });
  return { decided, ...outcome };
}

describe('on a terminal', () => {
  test('shows what failed and what to do, and the answers with their meaning', async () => {
    const { stderr, decided } = await asked('deploy production', 'l\n');
    expect(decided).toEqual(['leave out']);
    expect(stderr).toBe(`
2 nodes failed in drain web1, web2:
  web1 still had 1 request in flight 5000 ms after it was drained.
  hint: raise drain.timeout, or set drain.onTimeout to force to cut such requests.
  web2 still had 1 request in flight 5000 ms after it was drained.
  hint: raise drain.timeout, or set drain.onTimeout to force to cut such requests.
  r  retry: the same step once more, where it failed
  l  leave out: go on without what failed, which goes back to what it had
  b  roll back: every node goes back to the release that it had
  h  hold: stop here, until sluice promote or sluice abort
  s  stop: change nothing more, and give the lock back
What now? [r/l/b/h/s] `);
  });

  test.each([
    ['r\n', 'retry'],
    ['B\n', 'rollback'],
    ['h\n', 'hold'],
    ['s\n', 'halt'],
    ['what?\nyes\nr\n', 'retry'],
    ['', 'stop'],
  ])('%j is %s', async (typed, decision) => {
    expect((await asked('deploy production', typed)).decided).toEqual([decision]);
  });

  test('does not offer to leave out what the run cannot do without', async () => {
    const { stderr, decided } = await asked('deploy production', 'l\nb\n', { mayLeaveOut: false });
    expect(decided).toEqual(['rollback']);
    expect(stderr).toContain('[r/b/h/s]');
  });
});

test.each(['deploy production --yes', 'deploy production --on-failure halt', 'deploy production --json'])(
  'nobody is asked by sluice %s',
  async (line) => {
    expect((await asked(line, 'y\n')).decided).toEqual([null]);
  },
);
