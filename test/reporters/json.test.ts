import { expect, test } from 'vitest';
import { jsonReporter } from '../../src/reporters/json.ts';
import { failedRun } from './example-run.ts';
import { memoryOutput } from './memory-output.ts';

test('each event is one line that reads back as itself', () => {
  const output = memoryOutput();
  const reporter = jsonReporter({ output });
  for (const event of failedRun) reporter.draw(event);
  const lines = output.text().trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual(failedRun);
});
