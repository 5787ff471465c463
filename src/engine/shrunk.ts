import { readHistory } from '../commands/read-history.ts';
import { count, isDeployError, list } from '../core/errors.ts';
import { isPlainObject } from '../core/field.ts';
import type { Site } from '../core/site.ts';
import type { Ports } from '../ports.ts';
import { onNode } from './run.ts';

/**
 * What is to be said of a list of nodes that lost more than half of them since the last run: it may be right, or a list that was
 * read amiss. Nodes that cannot be read are asked in vain: others have the same history.
 */
export async function shrunk(site: Site, ports: Ports, signal?: AbortSignal): Promise<readonly string[]> {
  if (site.lists.length === 0) return [];
  const before = await nodesBefore(site, ports, signal);
  const now = site.nodes.length;
  if (before === null || now * 2 >= before) return [];
  const lists = list(site.lists.map(({ shown }) => shown));
  return [`The site had ${count(before, 'node')} at its last run, and has ${now} by ${lists}.`];
}

/** How many nodes the site had at the last run that wrote it down; null: none did. */
async function nodesBefore(
  { nodes, deployTo }: Site,
  ports: Ports,
  signal?: AbortSignal,
): Promise<number | null> {
  const results = await Promise.allSettled(
    nodes.map((node) => onNode(ports, node, readHistory(deployTo), signal ? { signal } : {})),
  );
  const entries = results.flatMap((result) => {
    if (result.status === 'fulfilled') return result.value.own.flatMap(entryIn);
    if (!isDeployError(result.reason)) throw result.reason;
    return [];
  });
  return entries.toSorted((a, b) => (a.at < b.at ? -1 : 1)).at(-1)?.nodes ?? null;
}

/** Half a line, from a disk that was full, says nothing. */
function entryIn(line: string): readonly { readonly at: string; readonly nodes: number }[] {
  try {
    const value: unknown = JSON.parse(line);
    if (!isPlainObject(value)) return [];
    const { at, nodes } = value;
    return typeof at === 'string' && typeof nodes === 'number' ? [{ at, nodes }] : [];
  } catch {
    return [];
  }
}
