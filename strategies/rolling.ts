import { describe, optional, withDefault } from '../src/core/field.ts';
import { activate, check, drain, enable, hold, prepare } from '../src/core/step.ts';
import {
  type BatchSize,
  batches,
  batchSizes,
  type HoldTime,
  holdTime,
  outdated,
  strategyKind,
  weakestFirst,
} from '../src/core/strategy.ts';

interface RollingOptions {
  readonly batch: readonly BatchSize[];
  /** Milliseconds, or until a person promotes the run; null: no hold. */
  readonly hold: HoldTime | null;
}

export const rolling = strategyKind<RollingOptions>({
  summary: 'Renews one batch of nodes after the other, each out of rotation while it changes.',
  options: {
    batch: describe(
      "Nodes out of rotation at a time: a count, a part such as '30%', or a list of both of which the last repeats.",
      withDefault(batchSizes, [1], '1'),
    ),
    hold: describe(
      "What the other batches wait for once the first one serves: a time such as '10m', in which it must go on " +
        "serving, or 'promote' for a person, who says sluice promote.",
      optional(holdTime, 'nothing'),
    ),
  },
  create: ({ batch: sizes, hold: holdFor }) => ({
    name: 'rolling',
    summary: `Renew ${sizes.join(', then ')} ${sizes.length === 1 && sizes[0] === 1 ? 'node' : 'nodes'} at a time, each out of rotation while it changes.`,
    *steps({ observed, target }) {
      const nodes = weakestFirst(observed, outdated(observed, target));
      if (nodes.length === 0) return;
      yield prepare(nodes, target);
      const renewed = target.nodes.filter((node) => !nodes.includes(node));
      const all = batches(nodes, sizes);
      // A run that goes on after its first batch begins with the hold.
      const [shown, next] = renewed.length > 0 ? [renewed, all[0]] : [all[0]!, all[1]];
      for (const batch of all) {
        if (holdFor !== null && batch === next)
          yield hold(shown, target, { name: 'first batch', forMs: holdFor === 'promote' ? null : holdFor });
        yield drain(batch);
        yield activate(batch, target);
        yield check(batch, target);
        yield enable(batch);
      }
    },
  }),
});
