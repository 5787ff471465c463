import { expect, test } from 'vitest';
import { schedule } from '../../src/core/schedule.ts';

test.each([
  ['* * * * *', '* * * * *'],
  ['  */5   0-7,22 1 jan-mar MON,3-5/2 ', '*/5 0-7,22 1 jan-mar MON,3-5/2'],
  ['59 23 31 12 7', '59 23 31 12 7'],
  ['@daily', '@daily'],
])('%j is a schedule', (text, read) => {
  expect(schedule.parse(text, 'at')).toEqual({ ok: true, value: read });
});

test.each([
  '* * * *',
  '* * * * * *',
  '60 * * * *',
  '* 24 * * *',
  '* * 0 * *',
  '* * * 13 *',
  '* * * * 8',
  '5-1 * * * *',
  '5/2 * * * *',
  '*/0 * * * *',
  '1-2-3 * * * *',
  'jan * * * *',
  '@sometimes',
  '* * * * *\n* * * * *',
  '* * * * * root\nx',
  5,
])('%j is refused, with what was expected', (value) => {
  const result = schedule.parse(value, 'cron.jobs[0].schedule');
  expect(result).toMatchObject({ ok: false });
  expect(JSON.stringify(result)).toMatch(/cron\.jobs\[0\]\.schedule: expected a schedule of crontab/);
});
