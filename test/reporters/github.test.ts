import { expect, test } from 'vitest';
import type { Event, EventBody } from '../../src/core/event.ts';
import { githubReporter } from '../../src/reporters/github.ts';
import { failedRun, goodRun } from './example-run.ts';
import { memoryOutput } from './memory-output.ts';

function drawn(events: readonly Event[]) {
  const output = memoryOutput();
  const summaries: string[] = [];
  const summary = (markdown: string): void => void summaries.push(markdown);
  const reporter = githubReporter({ output, wanted: 'production', verbose: false, colour: false, summary });
  for (const event of events) reporter.draw(event);
  return { text: output.text(), summary: summaries.join('') };
}

test('each step is a group', () => {
  const { text } = drawn(goodRun);
  expect(text.split('\n').slice(0, 10).join('\n')).toBe(`\
[   0.0 s] deploy of shop/production by ada@laptop, on web1, web2
[   0.1 s] planned 10 steps, never fewer than 3 nodes serving (servingMin 3)
[   0.2 s] warning: No check expects {{release}}.
::warning title=sluice::No check expects {{release}}.
[   0.3 s] locked web1, web2, web3, web4
::group::1/10 build 20260114093000 (3f2a9c1)
[   0.4 s] 1/10 build 20260114093000 (3f2a9c1)
[   0.5 s] build | vite v6 building
[   0.6 s] 1/10 build done in 0.4 s
::endgroup::`);
});

test('groups are closed before the next one, and before the end', () => {
  for (const run of [goodRun, failedRun]) {
    const marks = [...drawn(run).text.matchAll(/^::(group|endgroup)::/gm)].map(([, mark]) => mark);
    expect(marks.length).toBeGreaterThan(4);
    for (const [index, mark] of marks.entries()) expect(mark).toBe(index % 2 === 0 ? 'group' : 'endgroup');
    expect(marks.length % 2).toBe(0);
  }
});

test('a node that failed, and the end, are annotations with their hints', () => {
  const { text } = drawn(failedRun);
  expect(text).toContain(
    '::error title=web1%3A check failed::web1 failed its check: http://web1/up was expected to answer 200, after 5 attempts it answered 503.%0Ahint: its log says why.\n',
  );
  expect(text).toMatch(/^::error title=rolled back::/m);
});

test('the summary says how it ended, as code', () => {
  expect(drawn(goodRun).summary).toMatch(/^### `deploy of production`: done\n\n```text\nnode {2}live/);
});

test('no text of others is a command of the runner', () => {
  const said = (body: EventBody): string => drawn([{ atMs: 0, ...body }]).text;
  const texts = ['a\n::set-env name=X::y', 'a\r::stop-commands::z', 'a\n \t::error::x', '##[error]x'].map(
    (text) => said({ type: 'line', from: 'build', text }),
  );
  for (const text of texts) expect(text).not.toMatch(/(^\s*::)|##\[/m);
  expect(said({ type: 'note', level: 'warning', text: '100 %\n::error::x' })).toMatch(
    /\n::warning title=sluice::100 %25%0A::error::x\n$/,
  );
});
