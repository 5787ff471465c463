import { expect, test } from 'vitest';
import { readCrontab } from '../../src/core/crontab.ts';

test('a schedule and a command a line are a job, as cron would run it', () => {
  const text = '# Nightly\n\n 0  4 * * *\tdate +\\%F  > out\n@daily  php artisan x\r\n';
  expect(readCrontab(text)).toEqual({
    jobs: [
      { schedule: '0 4 * * *', run: 'date +%F  > out' },
      { schedule: '@daily', run: 'php artisan x' },
    ],
    problems: [],
  });
});

test.each([
  [
    '0 25 * * * true',
    "expected a schedule of crontab(5), such as '*/5 * * * *' or '@daily', got \"0 25 * * *\"",
  ],
  [
    '@sometimes true',
    "expected a schedule of crontab(5), such as '*/5 * * * *' or '@daily', got \"@sometimes\"",
  ],
  ['@daily', 'expected a schedule and a command, got "@daily"'],
  ['* * * * *', 'expected a schedule and a command, got "* * * * *"'],
  [
    'PATH = /opt',
    'expected a schedule and a command, got a variable ("PATH = /opt"): set it in the command, or in the application',
  ],
  ['@daily date +%F', 'expected \\% for each % of the command, got "date +%F"'],
])('the line %j is bad, and named', (line, problem) => {
  expect(readCrontab(`@daily true\n${line}\n`).problems).toEqual([`line 2: ${problem}`]);
});
