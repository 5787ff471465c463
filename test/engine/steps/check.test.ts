import { expect, test } from 'vitest';
import { failure } from '../../../src/core/errors.ts';
import { prove } from '../../../src/engine/steps/check.ts';
import type { HttpQuestion } from '../../../src/ports.ts';
import { check, node, release } from '../../core/fleet.ts';

const overMs = 3000;
const one = check({ timeoutMs: overMs, intervalMs: 1000 });

/** The check of a node that is never in time, by a process that stands still in the first question. */
function standingStill(forMs: number, answersAfter = Number.POSITIVE_INFINITY) {
  let nowMs = 0;
  const asked: number[] = [];
  const run = {
    signal: new AbortController().signal,
    ports: {
      clock: {
        nowMs: () => nowMs,
        sleep: async (ms: number) => {
          nowMs += ms;
        },
      },
      http: {
        request: async ({ url, timeoutMs }: HttpQuestion) => {
          asked.push(timeoutMs);
          if (asked.length > answersAfter) return { status: 200, body: release(2).id };
          nowMs += asked.length === 1 ? timeoutMs + forMs : timeoutMs;
          throw failure('HTTP_UNANSWERED', { url, reason: `no whole answer within ${timeoutMs} ms` });
        },
      },
    },
  };
  return { asked, proved: prove(run, node('web1'), one, release(2)) };
}

test('a node whose answer waited while this process stood still past the deadline passes', async () => {
  const { asked, proved } = standingStill(60_000, 1);
  await proved;
  expect(asked).toEqual([overMs, 1000]);
});

test('a node that is silent after this process stood still is asked once more, and no more', async () => {
  const { asked, proved } = standingStill(60_000);
  await expect(proved).rejects.toMatchObject({ code: 'CHECK_TIMEOUT', details: { withinMs: overMs } });
  expect(asked).toEqual([overMs, 1000]);
});

test('a deadline that is met on time is the end', async () => {
  const { asked, proved } = standingStill(100, 1);
  await expect(proved).rejects.toMatchObject({ code: 'CHECK_TIMEOUT' });
  expect(asked).toEqual([overMs]);
});
