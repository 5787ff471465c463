import type { NodeCommand } from '../core/command.ts';
import type { CronState } from '../core/observation.ts';
import { noCron } from '../core/observation.ts';
import type { Site } from '../core/site.ts';
import { type Fence, fencedAlone, holdsLock, letGo } from './fenced.ts';
import { layout } from './layout.ts';
import { quote, userCommand, words } from './shell.ts';

type Place = Pick<Site, 'deployTo' | 'cron'>;

/**
 * Makes the node run the site's jobs: its block in the crontab of the user that commands run as, and then the leave to
 * begin jobs, without which no line of the block does anything. Lines that are not in the block stay as they are.
 */
export const putCron = (fence: Fence, place: Place): NodeCommand<void> => ({
  name: 'put-cron',
  params: { ...fence, block: cronBlock(place) },
  summary: "put the site's cron into the crontab",
  script: fencedAlone(
    fence,
    [
      words('rm', '-f', layout.cron),
      `${words('printf', '%s\\n', ...jobScript(place))} > ${layout.cronJob}.new`,
      words('mv', '-f', `${layout.cronJob}.new`, layout.cronJob),
      rewrite(place.deployTo, cronBlock(place)),
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
  summary: "take the site's cron off the crontab",
  script: fencedAlone(fence, [words('rm', '-f', layout.cron), rewrite(fence.deployTo, [])].join('\n')),
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

/** For `inspect`, in `deployTo`: lines that begin with `cron`. */
export const cronLook = (deployTo: string): string =>
  [
    'if command -v crontab >/dev/null 2>&1',
    `then { crontab -l 2>/dev/null || :; } | { ${ours(deployTo, `printf '= cron %s\\n' "$line"`, ':')}; }`,
    'else say nocron; fi',
    `[ ! -f ${layout.cron} ] || say cron-since "$(cat ${layout.cron})"`,
    `if [ -f ${layout.cronRunning} ] && ! flock -n ${layout.cronRunning} true 2>/dev/null; then`,
    eachJob(`say cron-job "$(tr '\\0\\n' '  ' < "/proc/$pid/cmdline" 2>/dev/null | cut -c 1-200)"`),
    '  say cron-busy',
    'fi',
  ].join('\n');

/** What the lines of `cronLook` mean. */
export function cronState(
  place: Place,
  found: { readonly [K in 'cron' | 'cron-since' | 'cron-job' | 'cron-busy']: readonly string[] },
): CronState {
  const since = found['cron-since'][0] ?? null;
  const isWhole = since !== null && found.cron.join('\n') === cronBlock(place).join('\n');
  const isThere = since !== null || found.cron.length > 0;
  const names = [...new Set(found['cron-job'])].filter((name) => name.trim() !== '');
  return {
    block: isThere ? (isWhole ? 'as set' : 'other') : noCron.block,
    since,
    running: found['cron-busy'].length === 0 ? [] : names.length > 0 ? names : ['a job'],
  };
}

/** Names jobs by their number, so that no text of a command is read by cron itself: `%` and `\` mean something there. */
export const cronBlock = ({ deployTo, cron }: Place): readonly string[] =>
  cron === null
    ? []
    : [
        begin(deployTo),
        ...cron.jobs.flatMap(({ schedule, run }, index) => [
          `# ${userCommand(run)}`,
          `${schedule} ${words('sh', `${deployTo}/${layout.cronJob}`).replaceAll('%', '\\%')} ${index + 1}`,
        ]),
        end(deployTo),
      ];

const begin = (deployTo: string): string => `# sluice ${deployTo}: begin, do not edit`;
const end = (deployTo: string): string => `# sluice ${deployTo}: end`;

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

/** Reads lines, and runs one action for each of the block (its first and last among them), another for each other line. */
const ours = (deployTo: string, own: string, other: string): string =>
  [
    'inside=',
    'while IFS= read -r line || [ -n "$line" ]; do',
    `  [ "$line" != ${quote(begin(deployTo))} ] || inside=1`,
    `  if [ -n "$inside" ]; then ${own}; else ${other}; fi`,
    `  [ "$line" != ${quote(end(deployTo))} ] || inside=`,
    'done',
  ].join('\n');

/**
 * Puts `block` in the place of the one that stands in the crontab: behind all other lines, which stay byte for byte. A
 * crontab that cannot be read, or a block without its end, is left alone.
 */
const rewrite = (deployTo: string, block: readonly string[]): string =>
  [
    'if command -v crontab >/dev/null 2>&1; then',
    `trap 'rm -f ${layout.crontab}.*' EXIT`,
    `if ! LC_ALL=C crontab -l > ${layout.crontab}.old 2> ${layout.crontab}.error; then`,
    `  grep -qi -e 'no crontab' -e 'no such file' ${layout.crontab}.error || { cat ${layout.crontab}.error >&2; exit 1; }`,
    `  : > ${layout.crontab}.old`,
    'fi',
    `{ ${ours(deployTo, ':', `printf '%s\\n' "$line"`)}`,
    `  [ -z "$inside" ] || { echo ${quote(`the crontab has the line "${begin(deployTo)}", and not the last one of the block`)} >&2; exit 1; }`,
    `} < ${layout.crontab}.old > ${layout.crontab}.new`,
    ...(block.length === 0 ? [] : [`${words('printf', '%s\\n', ...block)} >> ${layout.crontab}.new`]),
    `if [ ! -s ${layout.crontab}.new ]; then [ ! -s ${layout.crontab}.old ] || crontab -r ${letGo}`,
    `elif [ "$(cat ${layout.crontab}.old)" != "$(cat ${layout.crontab}.new)" ]; then crontab - < ${layout.crontab}.new ${letGo}; fi`,
    ...(block.length === 0 ? ['fi'] : ["else echo 'there is no crontab here' >&2; exit 1; fi"]),
  ].join('\n');
