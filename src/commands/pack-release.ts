import type { NodeCommand } from '../core/command.ts';
import type { ReleaseId } from '../core/release.ts';
import { layout } from './layout.ts';
import { quote, words } from './shell.ts';

/** Writes a release, whole as its record says, to standard output as a gzip-compressed tar. Changes nothing. */
export const packRelease = (deployTo: string, id: ReleaseId): NodeCommand<void> => ({
  name: 'pack-release',
  params: { deployTo, id },
  summary: `pack release ${id}`,
  script: [
    `cd ${quote(deployTo)}`,
    `[ ! -e ${layout.record(id)} ] || grep -q '^complete' ${layout.record(id)} || { echo ${quote(`release ${id} is not whole`)} >&2; exit 1; }`,
    words('tar', '-czf', '-', '-C', layout.release(id), '.'),
  ].join('\n'),
  parse: () => undefined,
  timeoutMs: 30 * 60_000,
});
