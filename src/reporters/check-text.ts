import { count } from '../core/errors.ts';
import type { NodeListing } from '../core/site.ts';
import { listsText } from './lists-text.ts';
import type { Paint } from './paint.ts';

/** A preflight without problems; those that have some are shown as the failure that they are. */
export const checkText = (
  input: {
    readonly wanted: string;
    readonly nodes: number;
    readonly balancers: number;
    readonly warnings: readonly string[];
    readonly lists: readonly NodeListing[];
  },
  paint: Paint,
): string =>
  [
    ...input.warnings.map((text) => `${paint.warn('warning:')} ${text}`),
    ...(input.lists.length === 0 ? [] : [listsText(input.lists)]),
    `${paint.good('Ready:')} ${input.wanted} can be deployed to (${count(input.nodes, 'node')}, ${count(input.balancers, 'balancer')} read).`,
    '',
  ].join('\n');
