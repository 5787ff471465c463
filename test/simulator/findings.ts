import type { HookPoint, HookSpec } from '../../src/core/hook.ts';
import type { DrainSettings } from '../../src/core/site.ts';
import type { Doom } from '../../src/simulator/session.ts';
import type { Simulation } from '../../src/simulator/simulate.ts';
import { twoPools } from './seeds.ts';

/** A defect that the simulator found once, and lives that bring it out again, were it there. */
export interface Finding {
  readonly found: string;
  /** Null: all of it is drawn by the seed. */
  readonly life: Partial<Simulation> | null;
  /** The first ones broke a promise when it was found; seeds move when scenarios change, so their neighbours live as well. */
  readonly seeds: readonly number[];
}

const hooks = (...points: readonly HookPoint[]): readonly HookSpec[] =>
  points.map((point, i) => ({
    name: `hook ${i}`,
    point,
    action: { kind: 'nodes', command: ['true'], role: null, once: true, timeoutMs: 60_000 },
  }));

const drain = (onTimeout: DrainSettings['onTimeout'], timeoutMs = 1000): DrainSettings => ({
  timeoutMs,
  onTimeout,
  enableTimeoutMs: 10_000,
  port: null,
});

const dies = (atCall: number, isSent: boolean): Doom => ({ death: { atCall, isSent }, signal: null });

export const findings: readonly Finding[] = [
  {
    found: 'A way back that was planned while a balancer could not be read changed nodes under traffic.',
    life: { faults: { balancerRestarts: 3, activateFails: 0.25, hookFails: 0.25 } },
    seeds: [248, 53, 230],
  },
  {
    found: 'A node whose time to drain was over once counted as drained in every later drain of the run.',
    life: { faults: { activateFails: 0.25 }, site: { drain: drain('force'), onFailure: 'rollback' } },
    seeds: [51, 53, 54],
  },
  {
    found: 'Between the look at the floor and the order to the balancers lay notes that may take seconds.',
    life: { faults: { lostReply: 0.1, flaps: 3, operatorActs: 3 } },
    seeds: [31, 449, 620],
  },
  {
    found: 'A run that did not get all locks left one behind, and did not say so.',
    life: { faults: { unreachable: 0.25, lostReply: 0.25, cutOffs: 3 } },
    seeds: [5, 31, 109],
  },
  {
    found: 'A resume that had to build anew ran the once-hooks of the same deploy a second time.',
    life: {
      faults: {},
      goesOn: 'resume',
      doom: dies(24, true),
      site: { hooks: hooks('before:deploy', 'before:prepare') },
    },
    seeds: [14, 3, 8],
  },
  {
    found: 'A resume that died while it took locks over left two dead runs, and nothing but unlock helped.',
    life: { faults: {}, doom: dies(32, true) },
    seeds: [158, 259, 272],
  },
  {
    found: 'A release that was still arriving when the lock was broken appeared on the node all the same.',
    life: { faults: { brokenLocks: 1, slow: 0.25, secondRuns: 3 } },
    seeds: [13, 6, 12],
  },
  {
    found: 'A node that could not be read at the end was left drained by a run that said all was safe.',
    life: {
      faults: { unreachable: 0.1, flaps: 3 },
      doom: { death: null, signal: { atCall: 52, name: 'SIGTERM' } },
    },
    seeds: [6, 43, 61],
  },
  {
    found:
      'A switch whose reply was lost was repeated without a look at balancers that had restarted meanwhile.',
    life: { faults: { lostReply: 0.25, balancerRestarts: 3 } },
    seeds: [33, 40, 45, 277, 325, 440],
  },
  {
    found:
      'A node that an operator held out was changed after its balancer had restarted and forgotten that.',
    life: { faults: { operatorActs: 3, balancerRestarts: 3 } },
    seeds: [12, 17, 27, 60],
  },
  {
    found:
      'Two deliveries of one release could remove what was live: the second one took the first for half-made.',
    life: { faults: { lostReply: 0.25, duplicate: 0.25 } },
    seeds: [1, 2, 3],
  },
  {
    found:
      'A run that stood still, and was locked out of most nodes, went on to mend the one that it still held.',
    life: { faults: { pauses: 3, brokenLocks: 1, secondRuns: 3, unreachable: 0.1 } },
    seeds: [55],
  },
  {
    found:
      'A node whose time was over was switched while a balancer that knows two drains was still draining it.',
    life: { faults: { balancerRestarts: 3 }, site: { drain: drain('force') } },
    seeds: [312],
  },
  {
    found: 'A node that a balancer had forgotten was taken out again without a look at the floor.',
    life: { faults: { operatorActs: 3, balancerRestarts: 3, flaps: 3 } },
    seeds: [71],
  },
  {
    found: 'A run that stood still acted on what it had seen before that.',
    life: { faults: { pauses: 3, operatorActs: 3, balancerRestarts: 3 } },
    seeds: [499, 12, 33],
  },
  {
    found: 'Forgotten nodes of one batch were taken out again each with the floor in view, and all below it.',
    life: { faults: { balancerRestarts: 3, flaps: 3, reboots: 2 }, nodes: 6 },
    seeds: [1, 2, 3],
  },
  {
    found: 'A node that a failed drain by hand had left draining was switched as if it were out.',
    life: { faults: { secondRuns: 3, operatorActs: 3, killAtCall: 20 }, site: { drain: drain('put-back') } },
    seeds: [1, 2, 3],
  },
  {
    found: 'A run that stood still told a balancer something after its lock had been taken over.',
    life: { faults: { pauses: 3, brokenLocks: 1, secondRuns: 3 } },
    seeds: [64, 132, 224],
  },
  {
    found: 'The time to drain ran from the beginning of the step for a node that left rotation only then.',
    life: { faults: { operatorActs: 3 }, site: { drain: drain('force', 3000) } },
    seeds: [1, 2, 3],
  },
  {
    found: 'The way back put a node into rotation on which nothing was ever live.',
    life: { faults: { joins: 0.6, activateFails: 0.25 } },
    seeds: [9, 68, 86],
  },
  {
    found: 'An abort was refused: it meant to drain nodes that had had nothing before, for nothing.',
    life: { faults: { joins: 0.6 }, goesOn: 'abort', doom: dies(46, true) },
    seeds: [40, 31, 116],
  },
  {
    found:
      'A switch that still waited for its turn, its reply lost, ran after the checks of the one that was repeated.',
    life: null,
    seeds: [7942],
  },
  {
    found: 'A resume that had to build anew removed what a node had before the deploy that it went on for.',
    life: null,
    seeds: [5542],
  },
  {
    found: 'A flip that a balancer refused was taken back to a pool in which nothing served.',
    life: null,
    seeds: [50199],
  },
  {
    found:
      'What a balancer that was back still had in flight got only the time that was left of a drain which it had missed.',
    life: null,
    seeds: [2814],
  },
  {
    found: 'A balancer was gone on without a moment after it was seen to have requests in flight.',
    life: null,
    seeds: [7862],
  },
  {
    found:
      'Whoever went on for a dead run took nodes that had joined since, from an image, for nodes of that run.',
    life: null,
    seeds: [4000, 4738],
  },
  {
    found: 'On the way back a balancer that had forgotten the weight of a trial was told it again.',
    life: { faults: { lostReply: 0.25, balancerRestarts: 3 } },
    seeds: [326],
  },
  {
    found: 'What was left of a lock on a node that had joined was not said.',
    life: null,
    seeds: [7161],
  },
  {
    found:
      'A run was blamed for not knowing what a look had shown, though the look that it went by was heard after it: one answer had overtaken the other.',
    life: null,
    seeds: [15302],
  },
  {
    found:
      'A flip that two balancers had forgotten was told them again only once a node of its pool that was lost had answered.',
    life: { nodes: 6, strategy: twoPools },
    seeds: [329],
  },
];
