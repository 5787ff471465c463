import { readCronFile } from '../commands/cron.ts';
import { assert } from '../core/assert.ts';
import { calendarOf } from '../core/calendar.ts';
import { readCrontab } from '../core/crontab.ts';
import { failure } from '../core/errors.ts';
import type { Node } from '../core/node.ts';
import type { ReleaseId } from '../core/release.ts';
import type { CronJob } from '../core/site.ts';
import { onNode, type Run } from './run.ts';

/** The jobs in the file of a release on a node. Throws `CRON_FILE_INVALID` with every bad line. */
export async function cronFileOf(
  { site: { deployTo, cron }, ports, signal }: Pick<Run, 'site' | 'ports' | 'signal'>,
  node: Node,
  release: ReleaseId,
): Promise<readonly CronJob[]> {
  assert(cron?.file, 'only a cron with a file is read from one');
  const { file, keptIn } = cron;
  const text = await onNode(ports, node, readCronFile(deployTo, { release, file }), { signal });
  if (text === null) throw failure('CRON_FILE_INVALID', { file, release, problems: ['it is not there'] });
  const { jobs, problems } = readCrontab(text);
  const untimely = jobs
    .filter(({ schedule }) => keptIn.startsWith('systemd') && calendarOf(schedule) === null)
    .map(({ schedule }) => `timers of systemd have no ${schedule}`);
  const all = [...problems, ...untimely];
  if (all.length > 0) throw failure('CRON_FILE_INVALID', { file, release, problems: all });
  return jobs;
}
