import { assert } from '../core/assert.ts';
import type { NodeCommand } from '../core/command.ts';

/**
 * Counts the established TCP connections to a port of the node, as the kernel shows them (proc(5), `/proc/net/tcp`): of
 * clients and balancers alike, idle ones too, but none that the node has with itself.
 */
export const countConnections = (port: number): NodeCommand<number> => ({
  name: 'count-connections',
  params: { port },
  summary: `count the connections to port ${port}`,
  script: [
    '[ -r /proc/net/tcp ] || { echo "/proc/net/tcp cannot be read" >&2; exit 1; }',
    `cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep '${established(port)}' | grep -vc '${withItself}' || [ $? = 1 ]`,
  ].join('\n'),
  parse(stdout) {
    const count = stdout.trim();
    assert(/^\d+$/.test(count), `grep -c prints a number, and this is ${count}`);
    return Number(count);
  },
  timeoutMs: 10_000,
});

/** `0: 0100007F:1F90 0200007F:C350 01 …`: local and remote address, each with its port in hexadecimal, and the state. */
const established = (port: number): string =>
  `^ *[0-9]*: [0-9A-F]*:${port.toString(16).toUpperCase().padStart(4, '0')} [0-9A-F]*:[0-9A-F]* 01 `;

const withItself = '^ *[0-9]*: \\([0-9A-F]*\\):[0-9A-F]* \\1:';
