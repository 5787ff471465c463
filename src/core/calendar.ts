/**
 * A schedule of crontab(5) in the words of systemd.time(7), each a value of `OnCalendar`: a day that two fields limit
 * is either of them, as with cron. Null: a calendar cannot say it (`@reboot`).
 */
export function calendarOf(schedule: string): readonly string[] | null {
  const fields = (words[schedule] ?? schedule).split(' ');
  const [minute, hour, day, month, weekday] = fields;
  if (!minute || !hour || !day || !month || !weekday) return null;
  const time = `${part(hour, 0)}:${part(minute, 0)}:00`;
  const date = (of: string): string => `*-${part(named(month, months, 1), 1)}-${part(of, 1)}`;
  const week = `${weekdays(named(weekday, days, 0))} `;
  if (weekday === '*') return [`${date(day)} ${time}`];
  // crontab(5): a field that begins with * does not limit the day.
  if (day.startsWith('*') || weekday.startsWith('*')) return [`${week}${date(day)} ${time}`];
  return [`${date(day)} ${time}`, `${week}${date('*')} ${time}`];
}

const words: { readonly [word: string]: string } = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

const months = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const days = 'sun mon tue wed thu fri sat'.split(' ');

/** Names as numbers from `first` on. */
const named = (field: string, names: readonly string[], first: number): string =>
  field.replaceAll(/[a-z]+/gi, (name) => `${names.indexOf(name.toLowerCase()) + first}`);

/** Of numbers from `first` on. */
const part = (field: string, first: number): string =>
  field
    .split(',')
    .map((item) => item.replace(/^\*\//, `${first}/`).replace('-', '..'))
    .join(',');

/** As a list, for a week of cron's begins and ends with Sunday, which is 0 and 7. */
function weekdays(field: string): string {
  const numbers = field.split(',').flatMap((item) => {
    const [span = '', step = '1'] = item.split('/');
    const [from = 0, to = from] = (span === '*' ? '0-6' : span).split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i).filter(
      (n) => (n - from) % Number(step) === 0,
    );
  });
  const names = [...new Set(numbers.map((n) => days[n % 7]!))];
  return names.map((name) => `${name.charAt(0).toUpperCase()}${name.slice(1)}`).join(',');
}
