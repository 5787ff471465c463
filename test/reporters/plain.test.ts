import { expect, test } from 'vitest';
import type { Event } from '../../src/core/event.ts';
import { plainReporter } from '../../src/reporters/plain.ts';
import { failedRun, goodRun } from './example-run.ts';
import { memoryOutput } from './memory-output.ts';

function drawn(events: readonly Event[]): string {
  const output = memoryOutput();
  const reporter = plainReporter({ output, wanted: 'production' });
  for (const event of events) reporter.draw(event);
  return output.text();
}

test('draws a release line by line, and ends with what is live where', () => {
  expect(drawn(goodRun)).toBe(`\
[   0.0 s] deploy of shop/production by ada@laptop, on web1, web2
[   0.1 s] planned 10 steps, never fewer than 3 nodes serving (servingMin 3)
[   0.2 s] warning: No check expects {{release}}.
[   0.3 s] locked web1, web2, web3, web4
[   0.4 s] 1/10 build 20260114093000 (3f2a9c1)
[   0.5 s] build | vite v6 building
[   0.6 s] 1/10 build done in 0.4 s
[   0.7 s] 2/10 prepare 20260114093000 (3f2a9c1) on web1, web2
[   0.8 s] 4.0 MB of 24.6 MB sent
[   1.0 s] web2 prepare done: 12.3 MB
[   1.2 s] web1 prepare done: 12.3 MB
[   1.3 s] 2/10 prepare done in 0.4 s
[   1.4 s] 3/10 drain web1
[   1.5 s] web1 drain done: waited for 3 requests
[   1.6 s] 3/10 drain done in 0.4 s
[   1.7 s] 4/10 activate 20260114093000 (3f2a9c1) on web1
[   1.8 s] 4/10 activate done in 0.4 s
[   1.9 s] 5/10 check web1 as 20260114093000
[   2.0 s] 5/10 check done in 0.4 s
[   2.1 s] 6/10 enable web1
[   2.2 s] 6/10 enable done in 0.4 s
[   2.3 s] 7/10 drain web2
[   2.4 s] 7/10 drain done in 0.4 s
[   2.5 s] 8/10 activate 20260114093000 (3f2a9c1) on web2
[   2.6 s] 8/10 activate done in 0.4 s
[   2.7 s] 9/10 check web2 as 20260114093000
[   2.8 s] 9/10 check done in 0.4 s
[   2.9 s] 10/10 enable web2
[   3.0 s] 10/10 enable done in 0.4 s
[   3.1 s] ended: done, exit status 0

node  live            revision  lb1     lb2     out for
web1  20260114093000  3f2a9c1   in, up  in, up  1.9 s
web2  20260114093000  3f2a9c1   in, up  in, up  2.1 s
web3  20260113090000  1b2c3d4   in, up  in, up  -
web4  20260113090000  1b2c3d4   in, up  in, up  -

Done in 12.4 s: 20260114093000 (3f2a9c1) is live on 2 of 2 nodes, 4 of 4 serving.
`);
});

test('says once why a node failed, and again at the end with what to do', () => {
  const lines = drawn(failedRun).split('\n').slice(18);
  expect(lines.join('\n')).toBe(`\
[   2.0 s] web1 check FAILED: web1 failed its check: http://web1/up was expected to answer 200, after 5 attempts it answered 503.
[   2.1 s] 5/10 check FAILED
[   2.2 s] on failure: rollback, 1 step: Bring every node back to the release that it had.
[   2.3 s] 1/1 enable web1
[   2.4 s] 1/1 enable done in 0.3 s
[   2.5 s] ended: rolled back, exit status 1

node  live            revision  lb1     lb2     out for
web1  20260113090000  1b2c3d4   in, up  in, up  8.2 s
web2  20260113090000  1b2c3d4   in, up  in, up  -
web3  20260113090000  1b2c3d4   in, up  in, up  -
web4  20260113090000  1b2c3d4   in, up  in, up  -

The deploy failed after 12.4 s, and the site is back as it was.
  web1 failed its check: http://web1/up was expected to answer 200, after 5 attempts it answered 503.
  hint: its log says why.
  live: 20260113090000 (1b2c3d4) on all 4 nodes.
  serving: 4 of 4.
`);
});

test('draws the upload at most every ten seconds', () => {
  const sent = (atMs: number, done: number): Event => ({
    atMs,
    type: 'bytes',
    node: 'web1',
    done,
    total: 1000,
  });
  const before = goodRun.slice(0, 8);
  const startMs = before[0]!.atMs;
  const text = drawn([
    ...before,
    sent(startMs + 1000, 100),
    sent(startMs + 2000, 200),
    sent(startMs + 11_000, 900),
  ]);
  expect(text.split('\n').filter((line) => line.endsWith('sent'))).toEqual([
    '[   1.0 s] 100 B of 2.0 kB sent',
    '[  11.0 s] 900 B of 2.0 kB sent',
  ]);
});

test('keeps the lines of one text together', () => {
  const [first] = goodRun;
  const text = drawn([{ atMs: first!.atMs, type: 'note', level: 'info', text: 'two\nlines' }]);
  expect(text).toBe('[   0.0 s] two\n           lines\n');
});
