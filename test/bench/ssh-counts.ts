import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from '../lab/lab.ts';

/** On each node. */
export interface SshCounts {
  readonly connections: readonly number[];
  /** Commands and subsystems that were started in them. */
  readonly sessions: readonly number[];
}

/** A function that counts what the SSH servers have noted since it was called last. They log at VERBOSE. */
export function sshCounter({ folder, nodes }: Lab): () => Promise<SshCounts> {
  const read = new Map<string, number>();
  const news = async (node: string): Promise<string> => {
    const log = await readFile(join(folder, node, 'sshd.log'), 'utf8');
    const from = read.get(node) ?? 0;
    read.set(node, log.length);
    return log.slice(from);
  };
  return async () => {
    const logs = await Promise.all(nodes.map(({ name }) => news(name)));
    const each = (pattern: RegExp): readonly number[] => logs.map((log) => log.match(pattern)?.length ?? 0);
    return { connections: each(/^Accepted publickey /gm), sessions: each(/^Starting session: /gm) };
  };
}
