import { expect, test } from 'vitest';
import { calendarOf } from '../../src/core/calendar.ts';
import { calendars } from './calendars.ts';

test.each(calendars)('%s is a calendar', (schedule, calendar) => {
  expect(calendarOf(schedule)).toEqual(calendar);
});

test('no calendar says when a machine starts', () => {
  expect(calendarOf('@reboot')).toBeNull();
});
