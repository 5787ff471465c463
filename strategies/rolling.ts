import { describe, withDefault } from '../src/core/field.ts';
import { activate, check, drain, enable, prepare } from '../src/core/step.ts';
import {
  type BatchSize,
  batches,
  batchSizes,
  outdated,
  strategyKind,
  weakestFirst,
} from '../src/core/strategy.ts';

interface RollingOptions {
  readonly batch: readonly BatchSize[];
}

export const rolling = strategyKind<RollingOptions>({
  summary: 'Renews one batch of nodes after the other, each out of rotation while it changes.',
  options: {
    batch: describe(
      "Nodes out of rotation at a time: a count, a part such as '30%', or a list of both of which the last repeats.",
      withDefault(batchSizes, [1], '1'),
    ),
  },
  create: ({ batch: sizes }) => ({
    name: 'rolling',
    summary: `Renew ${sizes.join(', then ')} ${sizes.length === 1 && sizes[0] === 1 ? 'node' : 'nodes'} at a time, each out of rotation while it changes.`,
    *steps({ observed, target }) {
      const nodes = weakestFirst(observed, outdated(observed, target));
      if (nodes.length === 0) return;
      yield prepare(nodes, target);
      for (const batch of batches(nodes, sizes)) {
        yield drain(batch);
        yield activate(batch, target);
        yield check(batch, target);
        yield enable(batch);
      }
    },
  }),
});
