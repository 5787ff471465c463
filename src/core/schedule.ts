import { type Field, scalar } from './field.ts';

/** When a job runs, as crontab(5) has it: five fields, or a word. What no cron would take is refused here. */
export const schedule: Field<string> = scalar(
  "a schedule of crontab(5), such as '*/5 * * * *' or '@daily'",
  { type: 'string', pattern: '^(@[a-z]+|\\S+( +\\S+){4})$' },
  (value) => {
    if (typeof value !== 'string') return undefined;
    if (words.includes(value)) return value;
    const parts = value.trim().split(/ +/);
    const isRight = parts.length === ranges.length && parts.every((part, i) => isList(part, ranges[i]!));
    return isRight ? parts.join(' ') : undefined;
  },
);

const words = ['@reboot', '@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];

interface Range {
  readonly min: number;
  readonly max: number;
  /** Instead of numbers, from `min` on. */
  readonly names?: readonly string[];
}

/** Minute, hour, day of month, month, day of week (0 and 7 are Sunday). */
const ranges: readonly Range[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ') },
  { min: 0, max: 7, names: 'sun mon tue wed thu fri sat'.split(' ') },
];

const isList = (text: string, range: Range): boolean =>
  text.split(',').every((item) => {
    const [, span = '', step] = /^([^/]+)(?:\/([1-9]\d*))?$/.exec(item) ?? [];
    if (span === '*') return true;
    const [from = Number.NaN, to = from, ...rest] = span.split('-').map((end) => numberOf(end, range));
    return rest.length === 0 && from <= to && (step === undefined || span.includes('-'));
  });

/** NaN for anything that the field does not know. */
function numberOf(text: string, { min, max, names = [] }: Range): number {
  const named = names.indexOf(text.toLowerCase());
  if (named >= 0) return min + named;
  const number = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  return number >= min && number <= max ? number : Number.NaN;
}
