import { describe, optional, period, withDefault } from '../src/core/field.ts';
import { livePool, mayReceive, nodeState, poolNodes } from '../src/core/observation.ts';
import { type RelapseOptions, relapseOptions } from '../src/core/relapse.ts';
import { activate, check, drain, enable, flip, hold, prepare, preview } from '../src/core/step.ts';
import { type HoldTime, holdTime, outdated, strategyKind } from '../src/core/strategy.ts';

interface BlueGreenOptions extends RelapseOptions {
  /** Milliseconds, or until a person promotes the run; null: no hold. */
  readonly hold: HoldTime | null;
  /** Milliseconds, or until a person promotes the run. */
  readonly bake: HoldTime;
  /** Milliseconds. */
  readonly checkEvery: number;
}

export const blueGreen = strategyKind<BlueGreenOptions>({
  summary: 'Renews the pool that gets no traffic, and flips all traffic to it at once.',
  options: {
    hold: describe(
      "What the flip waits for once the pool is proved, so that somebody can look at it: a time such as '10m', or " +
        "'promote' for a person, who says sluice promote.",
      optional(holdTime, 'nothing'),
    ),
    bake: describe(
      "How long the pool must go on serving after the flip, with the way back armed: a time such as '10m', or " +
        "'promote' for a person, who says sluice promote.",
      withDefault(holdTime, 30_000, '30s'),
    ),
    checkEvery: describe(
      'How often each node of the pool is asked its checks again meanwhile; one that fails them twice sends all traffic back.',
      withDefault(period, 10_000, '10s'),
    ),
    ...relapseOptions,
  },
  create: ({ hold: holdFor, bake, checkEvery, ...options }) => ({
    name: 'blue-green',
    summary: 'Renew the pool that gets no traffic, and flip all traffic to it at once.',
    flips: true,
    *steps({ observed, target }) {
      const nodes = outdated(observed, target);
      const to = target.nodes.map((name) => nodeState(observed, name).pool)[0] ?? null;
      const isLive = to === null || livePool(observed) === to;
      // Of a run that died nobody knows how long its pool was watched: whoever goes on for it bakes for all of the time.
      const goesOn = target.onceAs !== undefined;
      if (nodes.length === 0 && isLive && !goesOn) return;
      // What an earlier run left out of rotation, or where a request from before the last flip is still in flight.
      const busy = nodes.filter(
        (name) => mayReceive(observed, name) || nodeState(observed, name).drained.length > 0,
      );
      yield prepare(nodes, target);
      yield drain(busy);
      yield activate(nodes, target);
      yield check(isLive ? nodes : target.nodes, target);
      yield enable(busy);
      if (!isLive) {
        yield preview(target.nodes, target);
        if (holdFor !== null) yield hold(target.nodes, target, { name: 'flip', forMs: msOf(holdFor) });
        yield flip(poolNodes(observed, to), to);
      }
      if (isLive && !goesOn) return;
      const flipped = { release: target.release, checkEveryMs: checkEvery, options };
      yield hold(target.nodes, target, { name: 'bake', forMs: msOf(bake), flipped });
    },
  }),
});

const msOf = (time: HoldTime): number | null => (time === 'promote' ? null : time);
