import type { Checker } from './checker.ts';

/** A run changes a node only while it holds its lock. */
export const fencing: Checker = {
  name: 'fencing',
  watch: () => (event) => {
    if (event.kind !== 'effect') return null;
    const holder = event.node.disk.lock?.run ?? 'nobody';
    // What a command says of itself counts only where nothing else is known: work by hand does not name its run.
    if (holder === (event.by.run ?? event.run)) return null;
    return `${event.by.name} changed ${event.node.name} (${event.what}), whose lock ${holder} has`;
  },
};
