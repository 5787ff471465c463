import type { CommandLine, NodeCommand } from '../core/command.ts';
import type { MaintenanceSettings } from '../core/site.ts';
import { type Fence, fenced, letGo } from './fenced.ts';
import { layout } from './layout.ts';
import { userCommand, words } from './shell.ts';

/** Whose the maintenance mode is in which the node was found. */
export type Found = 'ours' | 'an operator’s';

/**
 * Sets or lifts maintenance mode by a file in `deployTo`, which holds a word of sluice's: one that an operator set, by that
 * file or by the site's own command, is left as it is. The file comes first and goes last, so that nothing of ours is taken
 * for an operator's after a cut.
 */
export const setMaintenance = (
  fence: Fence,
  settings: MaintenanceSettings | null,
  to: 'on' | 'off',
): NodeCommand<Found> => ({
  name: 'set-maintenance',
  params: { ...fence, settings, to },
  summary: `maintenance ${to}`,
  script: fenced(fence, to === 'on' ? onScript(settings) : offScript(settings)),
  parse: (stdout) => (/^= operator$/m.test(stdout) ? 'an operator’s' : 'ours'),
  timeoutMs: 60_000,
});

const file = layout.maintenance;
const isOurs = `[ "$(cat ${file} 2>/dev/null)" = sluice ]`;

const onScript = (settings: MaintenanceSettings | null): string =>
  [
    `if [ -e ${file} ] && ! ${isOurs}; then echo '= operator'`,
    ...(settings ? [`elif [ ! -e ${file} ] && ${inLive(settings.isOn)}; then echo '= operator'`] : []),
    `else echo sluice > ${file}`,
    ...(settings ? [inLive(settings.on)] : []),
    'fi',
  ].join('\n');

const offScript = (settings: MaintenanceSettings | null): string =>
  [
    `if ${isOurs}; then`,
    ...(settings ? [inLive(settings.off)] : []),
    words('rm', '-f', file),
    `elif [ -e ${file} ]; then echo '= operator'`,
    'fi',
  ].join('\n');

const inLive = (command: CommandLine): string =>
  `( if [ -d ${layout.current} ]; then cd ${layout.current}/ || exit; fi; ${userCommand(command)} < /dev/null >&2 ) ${letGo}`;
