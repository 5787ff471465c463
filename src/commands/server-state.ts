import { assert } from '../core/assert.ts';
import type { NodeCommand } from '../core/command.ts';

/**
 * Replaces a balancer's file of states by what comes on standard input, at once: whoever reads it has the old or the new
 * one. It is made if it is not there; its directory is not, for then it is not the one that the balancer reads.
 */
export const writeServerState = (file: string): NodeCommand<void> => {
  assert(/^\/[\w./-]+$/.test(file), 'nothing in it means anything to sh');
  return {
    name: 'write-server-state',
    params: { file },
    summary: `write ${file}`,
    script: [
      // Another site, with servers of its own in it, may write it, too.
      `new=${file}.new.$$`,
      `trap 'rm -f "$new"' EXIT`,
      `[ ! -e ${file} ] || cp -p ${file} "$new"`,
      'cat > "$new"',
      'sync',
      `mv -f "$new" ${file}`,
    ].join('\n'),
    parse: () => undefined,
    timeoutMs: 10_000,
  };
};
