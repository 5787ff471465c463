import { expect, test } from 'vitest';
import type { Event } from '../../src/core/event.ts';
import { gitlabReporter } from '../../src/reporters/gitlab.ts';
import { failedRun, goodRun } from './example-run.ts';
import { memoryOutput } from './memory-output.ts';

function drawn(events: readonly Event[]): string {
  const output = memoryOutput();
  const reporter = gitlabReporter({ output, wanted: 'production' });
  for (const event of events) reporter.draw(event);
  return output.text();
}

const lines = (text: string): readonly string[] => text.replaceAll('\u001b[0K', '<K>').split('\n');

test('each step is a section with its times, folded up', () => {
  expect(lines(drawn(goodRun)).slice(4, 8)).toEqual([
    '<K>section_start:1768383000:sluice_1[collapsed=true]\r<K>1/10 build 20260114093000 (3f2a9c1)',
    '[   0.4 s] 1/10 build 20260114093000 (3f2a9c1)',
    '[   0.5 s] build | vite v6 building',
    '[   0.6 s] 1/10 build done in 0.4 s',
  ]);
  expect(lines(drawn(goodRun))[8]).toBe('<K>section_end:1768383000:sluice_1\r<K>');
});

test('every section ends, and what failed stands outside of it', () => {
  for (const run of [goodRun, failedRun]) {
    const marks = [...drawn(run).matchAll(/section_(start|end):\d+:(sluice_\d+)/g)];
    for (let at = 0; at < marks.length; at += 2)
      expect([marks[at]?.[1], marks[at + 1]?.[1], marks[at]?.[2]]).toEqual([
        'start',
        'end',
        marks[at + 1]?.[2],
      ]);
  }
  const text = drawn(failedRun);
  const failedAt = text.indexOf('5/10 check FAILED');
  expect(text.slice(0, failedAt).match(/section_start/g)).toHaveLength(5);
  expect(text.slice(0, failedAt).match(/section_end/g)).toHaveLength(5);
});

test('no text of others is a marker', () => {
  const text = '\u001b[0Ksection_end:1:sluice_1\r\u001b[0K';
  expect(drawn([{ atMs: 0, type: 'line', from: 'build', text }])).toBe(
    '[   0.0 s] build | [0Ksection_end:1:sluice_1[0K\n',
  );
});
