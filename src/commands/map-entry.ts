import { assert } from '../core/assert.ts';
import type { NodeCommand } from '../core/command.ts';
import { words } from './shell.ts';

export interface MapEntry {
  /** Absolute path of the file on the balancer's machine: a line for each entry, its key first. */
  readonly file: string;
  readonly key: string;
  readonly value: string;
}

/**
 * Writes one entry of a map file, all others as they are, one at a time, and replaces the file at once: whoever reads it has
 * the old or the new one. A file that is not there is an error, for then it is not the one that the balancer reads.
 */
export const writeMapEntry = ({ file, key, value }: MapEntry): NodeCommand<void> => {
  assert(/^\/[\w./-]+$/.test(file) && /^[\w-]+$/.test(key), 'nothing in them means anything to sh or grep');
  return {
    name: 'write-map-entry',
    params: { file, key, value },
    summary: `write ${key} ${value} to ${file}`,
    script: [
      // Another site may have an entry in the same file.
      `exec 9< ${file.replace(/\/[^/]*$/, '/')}`,
      'flock 9',
      `trap 'rm -f ${file}.new' EXIT`,
      `cp -p ${file} ${file}.new`,
      `{ grep -Ev '^[[:space:]]*${key}([[:space:]]|$)' ${file} || [ $? = 1 ]; ${words('printf', '%s %s\\n', key, value)}; } > ${file}.new`,
      'sync',
      `mv -f ${file}.new ${file}`,
    ].join('\n'),
    parse: () => undefined,
    timeoutMs: 10_000,
  };
};
