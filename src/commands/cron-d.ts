import {
  asRoot,
  type CronKeeper,
  jobCommand,
  linesFor,
  ownName,
  type Place,
  userMark,
  writeAtomically,
} from './cron-keeper.ts';
import { userCommand, words } from './shell.ts';

const folder = '/etc/cron.d';

/** A file of the site's own in /etc/cron.d, which needs root. Its lines name the user that commands run as. */
export const cronD: CronKeeper = {
  block: (place, user) => fileOf(place).map((line) => `cron.d: ${line.replace(userMark, user)}`),
  put: (place) => {
    const name = ownName(place.deployTo);
    return [asRoot, writeAtomically(folder, name, linesFor(fileOf(place)), 'as_root'), touchLater(name)].join(
      '\n',
    );
  },
  take: (deployTo) =>
    [`if [ -e ${pathOf(deployTo)} ]; then`, asRoot, `as_root rm -f ${pathOf(deployTo)}`, 'fi'].join('\n'),
  look: (deployTo) =>
    `[ ! -f ${pathOf(deployTo)} ] || while IFS= read -r line || [ -n "$line" ]; do printf '= cron cron.d: %s\\n' "$line"; done < ${pathOf(deployTo)}`,
  isUsable: `[ -d ${folder} ] && command -v tee`,
};

/**
 * cron looks for new files where the directory's time is another than at its last look, in whole seconds, and that look may
 * have come between the two halves of a change.
 */
const touchLater = (name: string): string => {
  const other = words(`${folder}/.${name}`);
  return ['sleep 1', `as_root tee ${other} < /dev/null`, `as_root rm -f ${other}`].join('\n');
};

const pathOf = (deployTo: string): string => words(`${folder}/${ownName(deployTo)}`);

const fileOf = ({ deployTo, cron }: Place): readonly string[] => [
  `# Written by sluice for ${deployTo}: do not edit.`,
  ...(cron?.jobs ?? []).flatMap(({ schedule, run }, index) => [
    `# ${userCommand(run).replaceAll(userMark, '')}`,
    `${schedule} ${userMark} ${words(...jobCommand(deployTo, index)).replaceAll('%', '\\%')}`,
  ]),
];
