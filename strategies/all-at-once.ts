import { activate, check, drain, enable, prepare } from '../src/core/step.ts';
import { outdated, strategyKind } from '../src/core/strategy.ts';

export const allAtOnce = strategyKind<Record<never, never>>({
  summary: 'Renews all nodes in one batch: the fastest, for sites without a balancer or with servingMin: 0.',
  options: {},
  create: () => ({
    name: 'all-at-once',
    summary: 'Renew all nodes in one batch.',
    *steps({ observed, target }) {
      const nodes = outdated(observed, target);
      if (nodes.length === 0) return;
      yield prepare(nodes, target);
      yield drain(nodes);
      yield activate(nodes, target);
      yield check(nodes, target);
      yield enable(nodes);
    },
  }),
});
