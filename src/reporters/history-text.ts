import type { NodeName } from '../core/node.ts';
import { names } from './amount.ts';
import type { Paint } from './paint.ts';
import { table } from './table.ts';

/** Oldest first, as logs are read. Nodes are named where not all of the site's have the entry. */
export function historyText(
  entries: readonly { readonly at: string; readonly text: string; readonly nodes: readonly NodeName[] }[],
  nodes: readonly NodeName[],
  paint: Paint,
): string {
  if (entries.length === 0) return 'Nothing was deployed yet.\n';
  const rows = entries.map((entry) => [
    paint.dim(entry.at),
    entry.text,
    nodes.every((name) => entry.nodes.includes(name)) ? '' : paint.warn(`only on ${names(entry.nodes, 6)}`),
  ]);
  return `${table(rows)}\n`;
}
