import type { NodeCommand } from '../core/command.ts';
import { layout } from './layout.ts';
import { quote } from './shell.ts';

export interface Histories {
  /** Lines of JSON, oldest first. */
  readonly own: readonly string[];
  /** Lines of `revisions.log`, oldest first. */
  readonly revisions: readonly string[];
}

export const readHistory = (deployTo: string): NodeCommand<Histories> => ({
  name: 'read-history',
  params: { deployTo },
  summary: 'read the history',
  script: [
    `cd ${quote(deployTo)} 2>/dev/null || exit 0`,
    `[ ! -f ${layout.history} ] || sed 's/^/own /' ${layout.history}`,
    `[ ! -f ${layout.revisionsLog} ] || sed 's/^/log /' ${layout.revisionsLog}`,
  ].join('\n'),
  parse: (stdout) => {
    const lines = stdout.split('\n');
    const starting = (word: string): readonly string[] =>
      lines.filter((line) => line.startsWith(word)).map((line) => line.slice(word.length));
    return { own: starting('own '), revisions: starting('log ') };
  },
  timeoutMs: 30_000,
});
