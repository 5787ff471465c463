import { type CronKeeper, jobCommand, type Place } from './cron-keeper.ts';
import { letGo } from './fenced.ts';
import { layout } from './layout.ts';
import { quote, userCommand, words } from './shell.ts';

/** A block in the crontab of the user that commands run as. */
export const crontab: CronKeeper = {
  block: cronBlock,
  put: (place) => rewrite(place.deployTo, cronBlock(place)),
  take: (deployTo) => rewrite(deployTo, []),
  look: (deployTo) =>
    [
      'if command -v crontab >/dev/null 2>&1',
      `then { crontab -l 2>/dev/null || :; } | { ${ours(deployTo, `printf '= cron %s\\n' "$line"`, ':')}; }; fi`,
    ].join('\n'),
  isUsable: 'command -v crontab',
};

/** No text of a command is read by cron itself: `%` and `\` mean something there. */
export function cronBlock({ deployTo, cron }: Place): readonly string[] {
  return cron === null
    ? []
    : [
        begin(deployTo),
        ...cron.jobs.flatMap(({ schedule, run }, index) => [
          `# ${userCommand(run)}`,
          `${schedule} ${words(...jobCommand(deployTo, index)).replaceAll('%', '\\%')}`,
        ]),
        end(deployTo),
      ];
}

const begin = (deployTo: string): string => `# sluice ${deployTo}: begin, do not edit`;
const end = (deployTo: string): string => `# sluice ${deployTo}: end`;

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
    // Two sites of one user have one crontab between them. Not every user has a home, and on NFS it cannot be locked.
    'home=${HOME:-/}; [ -r "$home" ] || home=/',
    'exec 8< "$home"',
    'flock 8 2>/dev/null || :',
    `if ! LC_ALL=C crontab -l > ${layout.crontab}.old 2> ${layout.crontab}.error; then`,
    `  grep -qi -e 'no crontab' -e 'no such file' ${layout.crontab}.error || { cat ${layout.crontab}.error >&2; exit 1; }`,
    `  : > ${layout.crontab}.old`,
    'fi',
    `{ ${ours(deployTo, ':', `printf '%s\\n' "$line"`)}`,
    `  [ -z "$inside" ] || { echo ${quote(`the crontab has the line "${begin(deployTo)}", and not the last one of the block`)} >&2; exit 1; }`,
    `} < ${layout.crontab}.old > ${layout.crontab}.new`,
    ...(block.length === 0 ? [] : [`${words('printf', '%s\\n', ...block)} >> ${layout.crontab}.new`]),
    `if [ ! -s ${layout.crontab}.new ]; then [ ! -s ${layout.crontab}.old ] || crontab -r 8<&- ${letGo}`,
    `elif [ "$(cat ${layout.crontab}.old)" != "$(cat ${layout.crontab}.new)" ]; then crontab - < ${layout.crontab}.new 8<&- ${letGo}; fi`,
    'exec 8<&-',
    ...(block.length === 0 ? ['fi'] : ["else echo 'there is no crontab here' >&2; exit 1; fi"]),
  ].join('\n');
