import { type Histories, readHistory } from '../commands/read-history.ts';
import { isPlainObject } from '../core/field.ts';
import { isoTime, timeOfCompact } from '../core/instant.ts';
import type { NodeName } from '../core/node.ts';
import type { Site } from '../core/site.ts';
import type { Ports } from '../ports.ts';
import { emit, expected, type NodeFailure, onNode, together } from './run.ts';

/** One thing that was done to the site. */
export interface HistoryEntry {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly text: string;
  /** The nodes whose log has it. */
  readonly nodes: readonly NodeName[];
}

/**
 * What the nodes' logs tell, oldest first; deploys by Capistrano among them. A node that cannot be read is a warning,
 * for the others have the same log; rejects only if none can be.
 */
export async function history(site: Site, ports: Ports): Promise<readonly HistoryEntry[]> {
  const results = await Promise.allSettled(
    site.nodes.map((node) => onNode(ports, node, readHistory(site.deployTo))),
  );
  const merged = new Map<string, HistoryEntry>();
  const failures: NodeFailure[] = [];
  for (const [index, result] of results.entries()) {
    const node = site.nodes[index]!.name;
    if (result.status === 'rejected') {
      failures.push({ node, error: expected(neverAborted, result.reason) });
      continue;
    }
    for (const { at, text } of entriesOf(result.value)) {
      const key = `${at} ${text}`;
      merged.set(key, { at, text, nodes: [...(merged.get(key)?.nodes ?? []), node] });
    }
  }
  if (failures.length === site.nodes.length) throw together(failures);
  for (const { error } of failures) emit(ports, { type: 'note', level: 'warning', text: error.message });
  return [...merged.values()].toSorted((a, b) =>
    a.at < b.at ? -1 : a.at > b.at ? 1 : a.text < b.text ? -1 : 1,
  );
}

const neverAborted = new AbortController().signal;

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
