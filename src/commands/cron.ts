import type { NodeCommand } from '../core/command.ts';
import { readCrontab } from '../core/crontab.ts';
import { type CronState, noCron } from '../core/observation.ts';
import type { ReleaseId } from '../core/release.ts';
import { type CronPlace, cronPlaces } from '../core/site.ts';
import { cronD } from './cron-d.ts';
import type { CronKeeper, Place } from './cron-keeper.ts';
import { cronBlock, crontab } from './crontab.ts';
import { type Fence, fencedAlone, holdsLock } from './fenced.ts';
import { layout } from './layout.ts';
import { quote, userCommand, words } from './shell.ts';
import { systemd, systemdUser } from './systemd.ts';

const keepers: { readonly [P in CronPlace]: CronKeeper } = {
  crontab,
  'cron.d': cronD,
  systemd,
  'systemd-user': systemdUser,
};

/**
 * Makes the node run the site's jobs, which are those in the settings: what begins them, where they are to be kept and
 * nowhere else, and then the leave to begin jobs, without which that does nothing. What is not sluice's stays as it is.
 */
export const putCron = (fence: Fence, place: Place): NodeCommand<void> => ({
  name: 'put-cron',
  params: { ...fence, block: cronBlock(place) },
  summary: "put the site's cron on the node",
  script: fencedAlone(
    fence,
    [
      words('rm', '-f', layout.cron),
      `${words('printf', '%s\\n', ...jobScript(place))} > ${layout.cronJob}.new`,
      words('mv', '-f', `${layout.cronJob}.new`, layout.cronJob),
      ...cronPlaces
        .filter((one) => one !== place.cron?.keptIn)
        .map((one) => keepers[one].take(place.deployTo)),
      keepers[place.cron?.keptIn ?? 'crontab'].put(place),
      // Whoever broke the lock meanwhile may have let another node begin.
      holdsLock(fence.run),
      `${words('printf', '%s\\n', fence.run)} > ${layout.cron}.new`,
      words('mv', '-f', `${layout.cron}.new`, layout.cron),
    ].join('\n'),
  ),
  parse: () => undefined,
  timeoutMs: 60_000,
});

/** Takes both away: from here on no job begins on the node. Those under way go on. */
export const takeCron = (fence: Fence): NodeCommand<void> => ({
  name: 'take-cron',
  params: { ...fence },
  summary: "take the site's cron off the node",
  script: fencedAlone(
    fence,
    [words('rm', '-f', layout.cron), ...cronPlaces.map((one) => keepers[one].take(fence.deployTo))].join(
      '\n',
    ),
  ),
  parse: () => undefined,
  timeoutMs: 60_000,
});

/** Sends a signal to all processes of jobs: to be ended is asked for with TERM, and KILL does not ask. */
export const endCronJobs = (fence: Fence, signal: 'TERM' | 'KILL'): NodeCommand<void> => ({
  name: 'end-cron-jobs',
  params: { ...fence, signal },
  summary: "end the jobs of the site's cron",
  script: fencedAlone(fence, eachJob(`kill -${signal} "$pid" 2>/dev/null || :`)),
  parse: () => undefined,
  timeoutMs: 30_000,
});

/** The text of the site's file of jobs in a release; null: it is not there. */
export const readCronFile = (
  deployTo: string,
  { release, file }: { readonly release: ReleaseId; readonly file: string },
): NodeCommand<string | null> => ({
  name: 'read-cron-file',
  params: { deployTo, release, file },
  summary: `read ${file} of ${release}`,
  script: [
    `cd ${quote(`${deployTo}/${layout.release(release)}`)}`,
    `if [ -f ${quote(file)} ]; then echo there; head -c ${fileBytesMax} -- ${quote(file)}; else echo none; fi`,
  ].join('\n'),
  parse: (stdout) => (stdout.startsWith('there\n') ? stdout.slice('there\n'.length) : null),
  timeoutMs: 30_000,
});

const fileBytesMax = 256 * 1024;

/** For `inspect`, in `deployTo`: lines that begin with `cron`. */
export const cronLook = ({ deployTo, cron }: Place): string =>
  [
    'say cron-user "$(id -un)"',
    ...cronPlaces.map((one) => keepers[one].look(deployTo)),
    ...(cron === null ? [] : [`{ ${keepers[cron.keptIn].isUsable}; } >/dev/null 2>&1 || say nocron`]),
    ...(cron?.file
      ? [
          `[ ! -f ${quote(`${layout.current}/${cron.file}`)} ] || head -c ${fileBytesMax} -- ${quote(`${layout.current}/${cron.file}`)} | while IFS= read -r line || [ -n "$line" ]; do say cron-file "$line"; done`,
        ]
      : []),
    `[ ! -f ${layout.cron} ] || say cron-since "$(cat ${layout.cron})"`,
    // One that looks at a time, or it would take another that looks for a job.
    `if [ -f ${layout.cronRunning} ] && ! flock ${layout.own} flock -n ${layout.cronRunning} true 2>/dev/null; then`,
    eachJob(`say cron-job "$(tr '\\0\\n' '  ' < "/proc/$pid/cmdline" 2>/dev/null | cut -c 1-200)"`),
    '  say cron-busy',
    'fi',
  ].join('\n');

/** The keys of the lines of `cronLook`. */
export const cronKeys = ['cron', 'cron-user', 'cron-file', 'cron-since', 'cron-job', 'cron-busy'] as const;

/** What the lines of `cronLook` mean. */
export function cronState(
  place: Place,
  found: { readonly [K in (typeof cronKeys)[number]]: readonly string[] },
): CronState {
  const since = found['cron-since'][0] ?? null;
  const isWhole = since !== null && found.cron.toSorted().join('\n') === wanted(place, found).join('\n');
  const isThere = since !== null || found.cron.length > 0;
  const names = [...new Set(found['cron-job'])].filter((name) => name.trim() !== '');
  return {
    block: isThere ? (isWhole ? 'as set' : 'other') : noCron.block,
    since,
    running: found['cron-busy'].length === 0 ? [] : names.length > 0 ? names : ['a job'],
  };
}

/** What would be seen of the cron if it was put now, in the order of texts. */
function wanted(
  place: Place,
  found: { readonly [K in 'cron-user' | 'cron-file']: readonly string[] },
): readonly string[] {
  if (place.cron === null) return [];
  const jobs = place.cron.file === null ? place.cron.jobs : readCrontab(found['cron-file'].join('\n')).jobs;
  const whole = { ...place, cron: { ...place.cron, jobs } };
  return keepers[place.cron.keptIn].block(whole, found['cron-user'][0] ?? '').toSorted();
}

/**
 * Each job has a lock of the kernel's for as long as a process of it lives, and only then asks whether it may begin: so
 * whoever took that leave away, and then sees nothing running, knows that nothing runs.
 */
const jobScript = ({ deployTo, cron }: Place): readonly string[] => [
  '# Written by sluice: runs one job of the cron in the live release, if this node has the cron.',
  `cd ${quote(deployTo)} || exit`,
  `exec 9>> ${layout.cronRunning}`,
  'flock -s 9 || exit',
  `[ -e ${layout.cron} ] || exit 0`,
  `cd ${layout.current} || exit`,
  'case $1 in',
  ...(cron?.jobs ?? []).map(({ run }, index) => `${index + 1}) exec ${userCommand(run)} ;;`),
  'esac',
];

/** Runs `action` for the `pid` of each process that holds the lock of a job. */
const eachJob = (action: string): string =>
  [
    'here=$(pwd -P)',
    'for fd in /proc/[0-9]*/fd/9; do',
    `  [ "$(readlink "$fd" 2>/dev/null)" = "$here/${layout.cronRunning}" ] || continue`,
    `  pid=\${fd#/proc/}; pid=\${pid%/fd/9}`,
    `  ${action}`,
    'done',
  ].join('\n');
