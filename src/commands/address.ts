import { assert } from '../core/assert.ts';
import type { NodeCommand } from '../core/command.ts';
import { quote, words } from './shell.ts';

/**
 * Whether the machine has the IP address on one of its interfaces, as ip-address(8) shows it. One that is still being
 * tried out, or was found to be another machine's (IPv6), is not held.
 */
export const showAddress = (ip: string): NodeCommand<boolean> => ({
  name: 'show-address',
  params: { ip },
  summary: `look whether it holds ${ip}`,
  script: words('ip', '-o', ip.includes(':') ? '-6' : '-4', 'addr', 'show', 'to', ip),
  parse: (stdout) =>
    stdout.split('\n').some((line) => line.includes(' inet') && !/ (tentative|dadfailed)\b/.test(line)),
  timeoutMs: 10_000,
});

/** Writes the file that a VRRP instance of keepalived tracks: as it stands, for keepalived watches that very file. */
export const writeTrackFile = (file: string, value: 0 | 1): NodeCommand<void> => ({
  name: 'write-track-file',
  params: { file, value },
  summary: `write ${value} to ${file}`,
  script: `${words('printf', '%s\\n', String(value))} > ${quote(file)}`,
  parse: () => undefined,
  timeoutMs: 10_000,
});

export interface ResourceMove {
  /** As Pacemaker calls them: nothing in these names means anything to sh or grep. */
  readonly resource: string;
  readonly to: string;
  readonly withinMs: number;
}

/**
 * Moves a resource of Pacemaker, and takes back the constraint by which it was moved: pcs from 0.11 on does so itself
 * unless the move fails, pcs up to 0.10 leaves it for good, where it would stand in the way of the next failover.
 * The result are the constraints of moves of this resource that stand all the same.
 */
export const moveResource = ({ resource, to, withinMs }: ResourceMove): NodeCommand<readonly string[]> => {
  assert(isResourceName(resource) && isResourceName(to), 'only names are given to pcs as names');
  const seconds = Math.ceil(withinMs / 1000);
  return {
    name: 'move-resource',
    params: { resource, to },
    summary: `pcs resource move ${resource} ${to}`,
    script: [
      `ended=0; ${words('pcs', 'resource', 'move', resource, to, `--wait=${seconds}`)} >&2 || ended=$?`,
      `if pcs constraint --full | grep -q 'cli-prefer-${resource})'; then ${words('pcs', 'resource', 'clear', resource, to)} >&2; fi`,
      'pcs constraint --full',
      'exit "$ended"',
    ].join('\n'),
    parse: (stdout) => stdout.match(new RegExp(`cli-prefer-${resource}(?=\\))`, 'g')) ?? [],
    timeoutMs: withinMs + 20_000,
  };
};

/** No dot: it would stand for any character in what is looked for. */
export const isResourceName = (text: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9_-]*$/.test(text);
