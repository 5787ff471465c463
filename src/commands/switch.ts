import type { CommandLine, NodeCommand } from '../core/command.ts';
import type { Release } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import { type Fence, fencedLatest, letGo } from './fenced.ts';
import { layout } from './layout.ts';
import { quote, userCommand, words } from './shell.ts';

/**
 * Makes a release the node's `current`, and runs the site's activate commands in it. The link is replaced by
 * rename(2), so it is never absent (`mv -T`: the target is the link itself, not the directory behind it).
 */
export const switchTo = (
  fence: Fence,
  site: Pick<Site, 'deployTo' | 'activate'>,
  release: Release,
): NodeCommand<void> => {
  const record = layout.record(release.id);
  return {
    name: 'switch',
    params: { ...fence, release, activate: site.activate },
    summary: `make ${release.id} current`,
    script: fencedLatest(
      fence,
      [
        `[ -d ${layout.release(release.id)} ] || { echo ${quote(`release ${release.id} is not there`)} >&2; exit 1; }`,
        `[ -s ${record} ] || echo "complete $(date +%s) adopted" > ${record}`,
        `grep -q '^complete' ${record} || { echo ${quote(`release ${release.id} is not whole`)} >&2; exit 1; }`,
        words('ln', '-sfn', `${site.deployTo}/${layout.release(release.id)}`, `${layout.own}/current.new`),
        `echo "live $(date +%s)" >> ${record}`,
        words('mv', '-fT', `${layout.own}/current.new`, layout.current),
        '(',
        `cd ${layout.release(release.id)}`,
        ...site.activate.map((command, index) => activateCommand(command, index)),
        `) ${letGo}`,
      ].join('\n'),
    ),
    parse: () => undefined,
    timeoutMs: 10 * 60_000,
  };
};

/** Its own output is kept from the script's; a failure says which command it was. */
const activateCommand = (command: CommandLine, index: number): string =>
  `${userCommand(command)} < /dev/null >&2 || { status=$?; echo ${quote(`activate[${index}] failed`)} >&2; exit $status; }`;
