import type { Site } from '../core/site.ts';
import { layout } from './layout.ts';
import { quote, words } from './shell.ts';

export type Place = Pick<Site, 'deployTo' | 'cron'>;

/** Something on a node that begins jobs at their times. Scripts run in `deployTo`, and touch nothing that is not the site's. */
export interface CronKeeper {
  /** What `look` tells of the site's jobs once they are put. `user`: whom commands run as. */
  block(place: Place, user: string): readonly string[];
  put(place: Place): string;
  /** Leaves nothing. Does nothing where nothing is. */
  take(deployTo: string): string;
  /** Writes a line `= cron <text>` for each line that stands there. */
  look(deployTo: string): string;
  /** Succeeds where it can be used. */
  readonly isUsable: string;
}

/** The command that begins a job. It is named by its number, so that no text of it is read by what begins it. */
export const jobCommand = (deployTo: string, index: number): readonly string[] => [
  'sh',
  `${deployTo}/${layout.cronJob}`,
  `${index + 1}`,
];

/** Unique for a `deployTo`, of letters, digits, `-` and `_` alone: cron passes over a file with any other. */
export const ownName = (deployTo: string): string =>
  `sluice${[...new TextEncoder().encode(deployTo)]
    .map((byte) => {
      const text = String.fromCharCode(byte);
      return text === '/' ? '-' : /[A-Za-z0-9]/.test(text) ? text : `_${byte.toString(16).padStart(2, '0')}`;
    })
    .join('')}`;

/** From here on `as_root` runs a command as root: by itself, or through a sudo that does not ask. */
export const asRoot =
  'if [ "$(id -u)" -eq 0 ]; then as_root() { "$@"; }; else as_root() { sudo -n "$@"; }; fi';

/** Writes lines to a file by a rename, beside which nothing that reads the directory takes the half for the whole. */
export const writeAtomically = (folder: string, name: string, lines: string, run: string): string =>
  [
    `${lines} | ${run} tee ${folder}/.${quote(name)} > /dev/null`,
    `${run} chmod 644 ${folder}/.${quote(name)}`,
    `${run} mv -f ${folder}/.${quote(name)} ${folder}/${quote(name)}`,
  ].join('\n');

/** Lines of which `@user@` alone stands for the user that commands run as. */
export const linesFor = (lines: readonly string[]): string =>
  `printf '%s\\n' ${lines
    .map(
      (line) =>
        line
          .split(userMark)
          .map((part) => (part === '' ? '' : words(part)))
          .join('"$(id -un)"') || "''",
    )
    .join(' ')}`;

export const userMark = '@user@';
