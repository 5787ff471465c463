import { type Histories, readHistory } from '../commands/read-history.ts';
import { isPlainObject } from '../core/field.ts';
import { isoTime, timeOfCompact } from '../core/instant.ts';
import type { NodeName } from '../core/node.ts';
import type { Site } from '../core/site.ts';
import type { Ports } from '../ports.ts';
import { onNode } from './run.ts';

/** One thing that was done to the site. */
export interface HistoryEntry {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly text: string;
  /** The nodes whose log has it. */
  readonly nodes: readonly NodeName[];
}

/** What the nodes' logs tell, oldest first; deploys by Capistrano among them. Rejects if a node cannot be read. */
export async function history(site: Site, ports: Ports): Promise<readonly HistoryEntry[]> {
  const merged = new Map<string, HistoryEntry>();
  await Promise.all(
    site.nodes.map(async (node) => {
      for (const { at, text } of entriesOf(await onNode(ports, node, readHistory(site.deployTo)))) {
        const key = `${at} ${text}`;
        merged.set(key, { at, text, nodes: [...(merged.get(key)?.nodes ?? []), node.name] });
      }
    }),
  );
  return [...merged.values()]
    .map((entry) => ({ ...entry, nodes: entry.nodes.toSorted() }))
    .toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : a.text < b.text ? -1 : 1));
}

type Line = Pick<HistoryEntry, 'at' | 'text'>;

/** `revisions.log` also has what sluice did; those lines are left out, its own log says more of them. */
function entriesOf({ own, revisions }: Histories): readonly Line[] {
  const entries = own.flatMap(parseOwn);
  const known = (line: string): boolean =>
    entries.some(({ text }) => releasesIn(line).some((id) => text.includes(id)));
  return [...revisions.filter((line) => !known(line)).map(parseRevision), ...entries];
}

function parseOwn(line: string): readonly Line[] {
  try {
    const value: unknown = JSON.parse(line);
    if (isPlainObject(value) && typeof value.at === 'string' && typeof value.text === 'string') {
      return [{ at: value.at, text: value.text }];
    }
  } catch {
    // Half a line, from a disk that was full: the others still count.
  }
  return [];
}

const parseRevision = (text: string): Line => ({
  at: isoTime(timeOfCompact(releasesIn(text)[0] ?? '')),
  text,
});

const releasesIn = (line: string): readonly string[] => line.match(/\b\d{14}\b/g) ?? [];
