import { count, list } from '../core/errors.ts';
import type { NodeListing } from '../core/site.ts';

/** Where the nodes of a site come from, a sentence; empty where the config names them all. */
export const listsText = (lists: readonly NodeListing[]): string =>
  lists.length === 0
    ? ''
    : `Nodes come from ${list(lists.map(({ shown, nodes }) => `${shown} (${count(nodes, 'node')})`))}.`;
