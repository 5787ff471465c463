import {
  describe,
  type Field,
  listOf,
  optional,
  period,
  refine,
  scalar,
  withDefault,
} from '../src/core/field.ts';
import {
  livePool,
  liveRelease,
  mayReceive,
  nodeState,
  type Observation,
  poolNodes,
} from '../src/core/observation.ts';
import { type RelapseOptions, relapseOptions } from '../src/core/relapse.ts';
import { activate, check, drain, enable, flip, hold, prepare, preview } from '../src/core/step.ts';
import { type HoldTime, holdTime, outdated, strategyKind } from '../src/core/strategy.ts';
import type { Target } from '../src/core/target.ts';

interface BlueGreenOptions extends RelapseOptions {
  /** Milliseconds, or until a person promotes the run; null: no hold. */
  readonly hold: HoldTime | null;
  /** In percent, rising. */
  readonly shift: readonly number[];
  /** Milliseconds. */
  readonly shiftBake: number;
  /** Milliseconds, or until a person promotes the run. */
  readonly bake: HoldTime;
  /** Milliseconds. */
  readonly checkEvery: number;
}

const share: Field<number> = scalar(
  "a part of the traffic from '1%' to '99%'",
  { type: 'string', pattern: '^[1-9][0-9]?%$' },
  (value) =>
    typeof value === 'string' && /^[1-9]\d?%$/.test(value) ? Number.parseInt(value, 10) : undefined,
);

const rising: Field<readonly number[]> = refine(
  listOf(share),
  "a list of parts of the traffic such as ['5%', '25%'], each more than the one before",
  (shares) => shares.every((one, i) => i === 0 || one > shares[i - 1]!),
);

export const blueGreen = strategyKind<BlueGreenOptions>({
  summary: 'Renews the pool that gets no traffic, and flips all traffic to it at once.',
  options: {
    hold: describe(
      "What the flip waits for once the pool is proved, so that somebody can look at it: a time such as '10m', or " +
        "'promote' for a person, who says sluice promote.",
      optional(holdTime, 'nothing'),
    ),
    shift: describe(
      'The parts of the traffic that the pool gets first, one after the other, before all of it. Every balancer must have weights by pool.',
      withDefault(rising, [], 'all at once'),
    ),
    shiftBake: describe(
      'How long the pool must go on serving with each of these parts, judged as after the flip.',
      withDefault(period, 300_000, '5m'),
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
  create: ({ hold: holdFor, shift: shares, shiftBake, bake, checkEvery, ...relapse }) => ({
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
      if (isLive && !goesOn) return;
      // Of several bakes each has its part of the false alarms.
      const options = { ...relapse, falseAlarms: relapse.falseAlarms / (shares.length + 1) };
      const flipped = { release: target.release, checkEveryMs: checkEvery, options };
      if (!isLive) {
        yield preview(target.nodes, target);
        if (holdFor !== null) yield hold(target.nodes, target, { name: 'flip', forMs: msOf(holdFor) });
        for (const percent of goesBack(observed, target) || servesNothing(observed) ? [] : shares) {
          yield flip(poolNodes(observed, to), to, percent);
          yield hold(target.nodes, target, { name: `bake ${percent} %`, forMs: shiftBake, flipped });
        }
        yield flip(poolNodes(observed, to), to);
      }
      yield hold(target.nodes, target, { name: 'bake', forMs: msOf(bake), flipped });
    },
  }),
});

/** To a release that was live before: that is known, and is not to take its time. */
const goesBack = (observed: Observation, { release }: Target): boolean =>
  Object.values(observed.nodes).some((node) => (liveRelease(node) ?? '') > release.id);

/** The pool that gets the traffic never had a release: whatever it kept of the traffic would be lost. */
function servesNothing(observed: Observation): boolean {
  const pool = livePool(observed);
  const nodes = pool === null ? [] : poolNodes(observed, pool);
  return nodes.length > 0 && nodes.every((name) => liveRelease(nodeState(observed, name)) === null);
}

const msOf = (time: HoldTime): number | null => (time === 'promote' ? null : time);
