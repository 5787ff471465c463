import { shown } from './field.ts';
import { schedule } from './schedule.ts';
import type { CronJob } from './site.ts';

export interface Crontab {
  readonly jobs: readonly CronJob[];
  /** For each bad line its number, and what was expected there. */
  readonly problems: readonly string[];
}

/** The jobs of a file as crontab(5) has it: comments, empty lines, and a schedule and a command a line. */
export function readCrontab(text: string): Crontab {
  const lines = text.split('\n').map((line, index) => ({ line: line.trim(), number: index + 1 }));
  const read = lines
    .filter(({ line }) => line !== '' && !line.startsWith('#'))
    .map(({ line, number }) => ({ number, job: readLine(line) }));
  return {
    jobs: read.flatMap(({ job }) => (typeof job === 'string' ? [] : [job])),
    problems: read.flatMap(({ number, job }) => (typeof job === 'string' ? [`line ${number}: ${job}`] : [])),
  };
}

/** A job, or what is wrong with the line. */
function readLine(line: string): CronJob | string {
  const [, when = '', command = ''] = /^(@\S+|\S+(?:\s+\S+){4})\s+(\S.*)$/.exec(line) ?? [];
  const read = schedule.parse(when.replaceAll(/\s+/g, ' '), '');
  if (/^\w+\s*=/.test(line))
    return `expected a schedule and a command, got a variable (${shown(line)}): set it in the command, or in the application`;
  if (command === '') return `expected a schedule and a command, got ${shown(line)}`;
  if (!read.ok) return `expected ${schedule.expected}, got ${shown(when)}`;
  if (/(^|[^\\])%/.test(command)) return `expected \\% for each % of the command, got ${shown(command)}`;
  return { schedule: read.value, run: command.replaceAll('\\%', '%') };
}
