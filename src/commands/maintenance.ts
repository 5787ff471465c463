import type { CommandLine, NodeCommand } from '../core/command.ts';
import type { MaintenanceCommands } from '../core/site.ts';
import { type Fence, fenced, letGo } from './fenced.ts';
import { layout } from './layout.ts';
import { userCommand, words } from './shell.ts';

/** Whose the maintenance mode is in which the node was found. */
export type Found = 'ours' | 'an operator’s';

export interface Maintenance {
  readonly to: 'on' | 'off';
  /** An operator's word, one line that names them: then it is theirs. Null: it is a run's. */
  readonly text: string | null;
}

/** What the file holds if a run made it. */
export const runMark = 'sluice';

/**
 * Sets or lifts maintenance mode by a file in `deployTo`, which holds a word of sluice's. For a run, what an operator set,
 * by that file or by the site's own command, is left as it is; an operator lifts whatever is set, and takes over what a
 * run had set. The file comes first and goes last, so that nothing of ours is taken for an operator's after a cut.
 */
export const setMaintenance = (
  fence: Fence,
  commands: MaintenanceCommands | null,
  { to, text }: Maintenance,
): NodeCommand<Found> => ({
  name: 'set-maintenance',
  params: { ...fence, commands, to, text },
  summary: `maintenance ${to}`,
  script: fenced(fence, (text === null ? scripts.run : scripts.operator)[to](commands, text ?? runMark)),
  parse: (stdout) => (/^= operator$/m.test(stdout) ? 'an operator’s' : 'ours'),
  timeoutMs: 60_000,
});

type Script = (commands: MaintenanceCommands | null, text: string) => string;

const scripts: Readonly<Record<'run' | 'operator', Readonly<Record<'on' | 'off', Script>>>> = {
  run: {
    on: (commands, text) =>
      [
        `if ${isTheirs}; then echo '= operator'`,
        ...(commands ? [`elif [ ! -e ${file} ] && ${inLive(commands.isOn)}; then echo '= operator'`] : []),
        `else ${set(text)}`,
        ...(commands ? [inLive(commands.on)] : []),
        'fi',
      ].join('\n'),
    off: (commands) =>
      [
        `if ${isTheirs}; then echo '= operator'`,
        `elif [ -e ${file} ]; then`,
        ...(commands ? [inLive(commands.off)] : []),
        words('rm', '-f', file),
        'fi',
      ].join('\n'),
  },
  operator: {
    on: (commands, text) =>
      [
        `if ${isTheirs}; then echo '= operator'`,
        `else ${set(text)}`,
        ...(commands ? [inLive(commands.on)] : []),
        'fi',
      ].join('\n'),
    off: (commands) =>
      [
        ...(commands
          ? [`if [ -e ${file} ] || ${inLive(commands.isOn)}; then`, inLive(commands.off), 'fi']
          : []),
        words('rm', '-f', file),
      ].join('\n'),
  },
};

const file = layout.maintenance;
const isTheirs = `[ -e ${file} ] && [ "$(cat ${file} 2>/dev/null)" != ${runMark} ]`;

/** By a rename: an empty one, as a full disk leaves it, would be an operator's. */
const set = (text: string): string =>
  `${words('printf', '%s\\n', text)} > ${layout.own}/maintenance.new; mv -f ${layout.own}/maintenance.new ${file}`;

const inLive = (command: CommandLine): string =>
  `( if [ -d ${layout.current} ]; then cd ${layout.current}/ || exit; fi; ${userCommand(command)} < /dev/null >&2 ) ${letGo}`;
