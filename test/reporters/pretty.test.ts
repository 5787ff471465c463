import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { Event } from '../../src/core/event.ts';
import { prettyReporter } from '../../src/reporters/pretty.ts';
import { oraSpinner } from '../../src/reporters/spinner.ts';
import { failedRun, goodRun } from './example-run.ts';
import { memoryOutput } from './memory-output.ts';

/** What stays on the screen, and what moved on its last line, each text once. */
function drawn(
  events: readonly Event[],
  options: { verbose?: boolean; columns?: number; colour?: boolean } = {},
) {
  const { verbose = false, columns = 120, colour = false } = options;
  const output = memoryOutput({ isTTY: true, columns });
  const moving: string[] = [];
  let shown: string | null = null;
  const spinner = {
    show: (text: string) => {
      shown = text;
      if (moving.at(-1) !== text) moving.push(text);
    },
    hide: () => {
      shown = null;
    },
  };
  const reporter = prettyReporter({ output, wanted: 'production', verbose, colour, spinner });
  for (const event of events) reporter.draw(event);
  return { text: output.text(), moving, shown };
}

describe('what stays on the screen', () => {
  test('is one line for each step that ended, and what is live where', () => {
    expect(drawn(goodRun).text).toBe(`\
deploy shop/production by ada@laptop
✔ planned 10 steps, never fewer than 3 nodes serving (servingMin 3)
! No check expects {{release}}.
✔ locked web1, web2, web3, web4
✔  1/10 build 20260114093000 (3f2a9c1) 0.4 s
✔  2/10 prepare 20260114093000 (3f2a9c1) on web1, web2 0.4 s, 12.3 MB
✔  3/10 drain web1 0.4 s, waited for 3 requests
✔  4/10 activate 20260114093000 (3f2a9c1) on web1 0.4 s
✔  5/10 check web1 as 20260114093000 0.4 s
✔  6/10 enable web1 0.4 s
✔  7/10 drain web2 0.4 s
✔  8/10 activate 20260114093000 (3f2a9c1) on web2 0.4 s
✔  9/10 check web2 as 20260114093000 0.4 s
✔ 10/10 enable web2 0.4 s

node  live            revision  lb1     lb2     out for
web1  20260114093000  3f2a9c1   in, up  in, up  1.9 s
web2  20260114093000  3f2a9c1   in, up  in, up  2.1 s
web3  20260113090000  1b2c3d4   in, up  in, up  -
web4  20260113090000  1b2c3d4   in, up  in, up  -

Done in 12.4 s: 20260114093000 (3f2a9c1) is live on 2 of 2 nodes, 4 of 4 serving.
`);
  });

  test('says why a node failed, under no step that follows', () => {
    const lines = drawn(failedRun).text.split('\n').slice(8, 12);
    expect(lines).toEqual([
      '  ✖ web1 failed its check: http://web1/up was expected to answer 200, after 5 attempts it answered 503.',
      '✖  5/10 check web1 as 20260114093000',
      '↩ on failure: rollback, 1 step: Bring every node back to the release that it had.',
      '✔ 1/1 enable web1 0.3 s',
    ]);
  });

  test('says why a step failed as a whole, with the hint', () => {
    const failure = {
      code: 'BUILD_FAILED',
      message: 'The build failed:\n  | oops',
      hint: 'no node was touched.',
    };
    const started = goodRun[4]!;
    const step = (started as Extract<Event, { type: 'step-started' }>).step;
    const { text } = drawn([started, { atMs: 1, type: 'step-failed', step, index: 0, failure }]);
    expect(text).toBe(`\
✖  1/10 build 20260114093000 (3f2a9c1)
  The build failed:
    | oops
  hint: no node was touched.
`);
  });

  test('has the output of a build only with --verbose', () => {
    expect(drawn(goodRun).text).not.toContain('vite');
    expect(drawn(goodRun, { verbose: true }).text).toContain('\n  build | vite v6 building\n');
  });

  test('has what each node said with --verbose', () => {
    expect(drawn(goodRun, { verbose: true }).text).toContain('\n  web2: 12.3 MB\n  web1: 12.3 MB\n');
  });

  test('has colour only where it is wanted', () => {
    expect(drawn(goodRun, { colour: true }).text).toContain('\u001b[32m✔\u001b[39m');
    expect(stripVTControlCharacters(drawn(goodRun, { colour: true }).text)).toBe(drawn(goodRun).text);
  });
});

describe('the line that moves', () => {
  test('shows the upload of all nodes together, and how many are done', () => {
    expect(drawn(goodRun).moving.slice(0, 9)).toEqual([
      'reading the site',
      ' 1/10 build 20260114093000 (3f2a9c1)',
      ' 1/10 build 20260114093000 (3f2a9c1)  vite v6 building',
      ' 2/10 prepare 20260114093000 (3f2a9c1) on web1, web2  0 of 2 done',
      ' 2/10 prepare 20260114093000 (3f2a9c1) on web1, web2  4.0 MB of 24.6 MB sent  0 of 2 done',
      ' 2/10 prepare 20260114093000 (3f2a9c1) on web1, web2  16.3 MB of 24.6 MB sent  0 of 2 done',
      ' 2/10 prepare 20260114093000 (3f2a9c1) on web1, web2  16.3 MB of 24.6 MB sent  1 of 2 done',
      ' 2/10 prepare 20260114093000 (3f2a9c1) on web1, web2  24.6 MB of 24.6 MB sent  1 of 2 done',
      ' 2/10 prepare 20260114093000 (3f2a9c1) on web1, web2  24.6 MB of 24.6 MB sent  2 of 2 done',
    ]);
  });

  test('is gone whenever no step is under way', () => {
    for (const end of goodRun.keys()) {
      const events = goodRun.slice(0, end + 1);
      const open = events.filter(({ type }) => type === 'step-started').length;
      const closed = events.filter(({ type }) => type === 'step-done').length;
      expect(drawn(events).shown !== null).toBe(open > closed || end === 0);
    }
  });

  test('is never wider than the terminal', () => {
    for (const text of drawn(goodRun, { columns: 40, colour: true }).moving) {
      expect(stripVTControlCharacters(text).length).toBeLessThanOrEqual(37);
    }
  });

  test('is drawn by ora, and taken down before a line that stays', () => {
    const cursor = { cursorTo: () => true, clearLine: () => true, moveCursor: () => true };
    const output = Object.assign(memoryOutput({ isTTY: true, columns: 80 }), cursor);
    const spinner = oraSpinner(output, false);
    spinner.show('drain web1');
    spinner.show('drain web1, web2');
    spinner.hide();
    spinner.hide();
    output.write('done\n');
    expect(stripVTControlCharacters(output.text())).toMatch(/^. drain web1.*done\n$/s);
    expect(output.text()).toContain('\u001b[?25h');
  });
});
