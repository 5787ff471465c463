import type { Checker } from './checker.ts';

/** Until a deploy is over, every node keeps the release that it had before. */
export const wayBack: Checker = {
  name: 'way-back',
  watch: () => (event) =>
    event.kind === 'removed' && event.by.before.get(event.node.name) === event.release
      ? `${event.by.name} deleted ${event.release} from ${event.node.name}, the way back`
      : null,
};
