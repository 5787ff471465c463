import type { SimulatedNode } from './node.ts';
import type { SeededRandom } from './random.ts';

/** What goes wrong in a simulation: each seed draws its own mix, so that rare meetings of faults are not drowned. */
export interface FaultMix {
  /** Probabilities, for each command that is sent to a node. */
  readonly unreachable: number;
  readonly lostRequest: number;
  /** The connection breaks while the command runs, or just after: it does its work, and nobody hears of it. */
  readonly lostReply: number;
  readonly slow: number;
  /** It arrives twice, and both are at work at the same time. */
  readonly duplicate: number;
  /** For each question to a balancer. */
  readonly balancerError: number;
  readonly staleRead: number;
  /** For each hook, and each restart of the application by an activate command. */
  readonly hookFails: number;
  readonly activateFails: number;
  /** For each question to the source. */
  readonly sourceFails: number;
  /** How often each of these happens in a simulation, at most. */
  readonly reboots: number;
  readonly balancerRestarts: number;
  readonly flaps: number;
  readonly cutOffs: number;
  readonly fullDisks: number;
  readonly operatorActs: number;
  readonly branchMoves: number;
  readonly secondRuns: number;
  /** A process stands still for a while, and then goes on as if nothing had been. */
  readonly pauses: number;
  readonly brokenLocks: number;
  /** The clock of a node is set, back or ahead. */
  readonly clockJumps: number;
  /** Machines that are lost for good; at most fewer than half. */
  readonly leaves: number;
  /** On which part of the nodes nothing was ever deployed. */
  readonly joins: number;
  /** Machines that the list of nodes has only later; at most, and as the floor can do without. */
  readonly lateJoins: number;
  /** On which part of the nodes the new release fails its checks. */
  readonly brokenRelease: number;
  /** Which part of its answers the new release fails, though it passes its checks. */
  readonly erringRelease: number;
  /** How long the old code may go on answering from a cache, in milliseconds. */
  readonly staleCodeMs: number;
  /** Of balancers behind an address: one dies, loses its connection to operators, or gets the address. */
  readonly balancerDeaths: number;
  readonly balancerCutOffs: number;
  readonly addressMoves: number;
  /** The engine dies, or is interrupted, at its n-th call of a port, or not at all. */
  readonly killAtCall: number | null;
  readonly signalAtCall: number | null;
}

export const noFaults: FaultMix = {
  unreachable: 0,
  lostRequest: 0,
  lostReply: 0,
  slow: 0,
  duplicate: 0,
  balancerError: 0,
  staleRead: 0,
  hookFails: 0,
  activateFails: 0,
  sourceFails: 0,
  reboots: 0,
  balancerRestarts: 0,
  flaps: 0,
  cutOffs: 0,
  fullDisks: 0,
  operatorActs: 0,
  branchMoves: 0,
  secondRuns: 0,
  pauses: 0,
  brokenLocks: 0,
  clockJumps: 0,
  leaves: 0,
  joins: 0,
  lateJoins: 0,
  brokenRelease: 0,
  erringRelease: 0,
  staleCodeMs: 0,
  balancerDeaths: 0,
  balancerCutOffs: 0,
  addressMoves: 0,
  killAtCall: null,
  signalAtCall: null,
};

/** Each fault is in the mix of about every fourth seed, now rare and now often. */
export function drawFaults(random: SeededRandom): FaultMix {
  const sometimes = <T>(none: T, draw: () => T): T => (random.chance(0.25) ? draw() : none);
  const probability = (): number => sometimes(0, () => random.pick([0.01, 0.03, 0.1, 0.25]));
  const times = (): number => sometimes(0, () => random.integer({ min: 1, max: 3 }));
  const call = (): number | null =>
    sometimes<number | null>(null, () => random.integer({ min: 1, max: 120 }));
  return {
    unreachable: probability(),
    lostRequest: probability(),
    lostReply: probability(),
    slow: probability(),
    balancerError: sometimes(0, () => random.pick([0.005, 0.02, 0.05])),
    staleRead: probability(),
    hookFails: probability(),
    activateFails: probability(),
    sourceFails: sometimes(0, () => 0.1),
    reboots: times(),
    balancerRestarts: times(),
    flaps: times(),
    cutOffs: times(),
    fullDisks: times(),
    operatorActs: times(),
    branchMoves: times(),
    secondRuns: times(),
    pauses: times(),
    brokenLocks: sometimes(0, () => 1),
    brokenRelease: sometimes(0, () => random.pick([0.3, 1])),
    staleCodeMs: sometimes(0, () => random.pick([300, 3000, 60_000])),
    killAtCall: call(),
    signalAtCall: call(),
    duplicate: probability(),
    clockJumps: times(),
    leaves: sometimes(0, () => random.integer({ min: 1, max: 2 })),
    joins: sometimes(0, () => random.pick([0.2, 0.6])),
    erringRelease: sometimes(0, () => random.pick([0.02, 0.2, 0.8])),
    lateJoins: times(),
    balancerDeaths: times(),
    balancerCutOffs: times(),
    addressMoves: times(),
  };
}

/** What becomes of one command that is sent to a node. */
export type Fate = 'arrives' | 'unreachable' | 'lost request' | 'lost reply' | 'slow';

/** The faults of a simulation, which end when the world is healed. */
export interface Faults {
  readonly mix: FaultMix;
  /** When it was; null: not yet. */
  healedAtMs: number | null;
  fate(): Fate;
  arrivesTwice(): boolean;
  hookFails(node: SimulatedNode): boolean;
  activateFails(node: SimulatedNode): boolean;
  sourceFails(): boolean;
  balancerFails(): boolean;
  readIsStale(): boolean;
  /** How often each fault struck. */
  readonly struck: ReadonlyMap<string, number>;
  /** Counts one. */
  strike(what: string): void;
}

export function faultsOf(mix: FaultMix, random: SeededRandom): Faults {
  const struck = new Map<string, number>();
  const strike = (what: string): void => {
    struck.set(what, (struck.get(what) ?? 0) + 1);
  };
  const strikes = (what: string, probability: number): boolean => {
    if (faults.healedAtMs !== null || probability === 0 || !random.chance(probability)) return false;
    strike(what);
    return true;
  };
  const faults: Faults = {
    mix,
    struck,
    strike,
    healedAtMs: null,
    fate() {
      if (strikes('unreachable', mix.unreachable)) return 'unreachable';
      if (strikes('lost request', mix.lostRequest)) return 'lost request';
      if (strikes('lost reply', mix.lostReply)) return 'lost reply';
      return strikes('slow', mix.slow) ? 'slow' : 'arrives';
    },
    arrivesTwice: () => strikes('duplicate', mix.duplicate),
    hookFails: () => strikes('hook fails', mix.hookFails),
    activateFails: () => strikes('activate fails', mix.activateFails),
    sourceFails: () => strikes('source fails', mix.sourceFails),
    balancerFails: () => strikes('balancer error', mix.balancerError),
    readIsStale: () => strikes('stale read', mix.staleRead),
  };
  return faults;
}
