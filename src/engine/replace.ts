import { nextEnvironment, swapTo, updateOf } from '../core/environments.ts';
import { type DeployError, failure, isDeployError, messageOf } from '../core/errors.ts';
import {
  type FleetSite,
  type FleetState,
  type FleetStep,
  type Goal,
  type Memory,
  type Place,
  shareOf,
} from '../core/fleet.ts';
import type { FleetEntry } from '../core/fleet-log.ts';
import { nextRefresh, orderOf } from '../core/refresh.ts';
import { nextReplacement, progressOf } from '../core/replacement.ts';
import type { FleetPorts } from '../ports.ts';
import type { FleetHold } from './fleet-log.ts';
import { interruption } from './run.ts';
import { prove } from './steps/check.ts';

/**
 * Brings a fleet to a place: looks, does the one thing that is next, and looks again, until nothing is left to do. Rejects if
 * something failed, or nothing got on for as long as the site's patience; the fleet is then as it is.
 */
export async function replace(
  site: FleetSite,
  ports: FleetPorts,
  { hold, to, signal }: { readonly hold: FleetHold; readonly to: Place; readonly signal: AbortSignal },
): Promise<void> {
  const { fleet } = ports;
  const goal = goalOf(site, hold.entry(), to);
  const say = speaker(ports);
  const patience = patienceOf(site, ports);
  const news = newsReader(ports, say, signal);
  const memory = { proved: new Set<string>(), ordered: new Set<string>() };
  let last: FleetStep | null = null;
  for (;;) {
    if (signal.aborted) throw interruption(signal);
    const step: FleetStep = await passing(say, signal, async (): Promise<FleetStep> => {
      await hold.renew();
      const state = await fleet.observe(signal);
      // An environment keeps its name whatever becomes of its machines, and nobody looked meanwhile.
      if (state.kind === 'environments' && last?.kind === 'wait') memory.proved.clear();
      const next = nextStep(state, goal, memory);
      patience.note(state, goal, memory);
      await news();
      await carryOut(site, ports, { step: next, memory, say, signal });
      return next;
    });
    if (step.kind === 'done') return;
    if (step.kind === 'fail') throw failure('FLEET_FAILED', { fleet: fleet.name, reason: step.reason });
    // What is asked for once more was not seen yet.
    const isNew = step.kind !== 'wait' && !isSame(step, last);
    last = step;
    if (isNew) continue;
    patience.mustHold(sentence(step));
    await ports.clock.sleep(lookEveryMs, signal);
  }
}

const lookEveryMs = 5000;

const isSame = (a: FleetStep, b: FleetStep | null): boolean => JSON.stringify(a) === JSON.stringify(b);

/** What a run leads to, from what it wrote down. */
export function goalOf(
  { fleet }: Pick<FleetSite, 'fleet'>,
  { intent }: Pick<FleetEntry, 'intent'>,
  to: Place,
): Goal {
  const { capacity, suspends } = intent;
  return {
    ...to,
    capacity,
    suspends,
    servingMin: Math.min(capacity.desired, shareOf(fleet.servingMin, capacity.desired)),
    surge: shareOf(fleet.surge, capacity.desired),
  };
}

/** One table for all kinds of fleets. Pure. */
export const nextStep = (state: FleetState, goal: Goal, memory: Memory): FleetStep => {
  if (state.kind === 'group') return nextReplacement(state, goal, memory);
  return state.kind === 'environments'
    ? nextEnvironment(state, goal, memory)
    : nextRefresh(state, goal, memory);
};

type Say = (text: string, level?: 'info' | 'warning') => void;

/** Says nothing twice in a row. */
function speaker({ emit, clock }: FleetPorts): Say {
  let last = '';
  return (text, level = 'info') => {
    if (text !== last) emit({ type: 'note', level, text, atMs: clock.nowMs() });
    last = text;
  };
}

/** An API that does not answer now may do so at the next look, and every step may be done again. */
async function passing(say: Say, signal: AbortSignal, work: () => Promise<FleetStep>): Promise<FleetStep> {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted && !isDeployError(error)) throw interruption(signal);
    if (!isDeployError(error, 'FLEET_UNREACHABLE')) throw error;
    say(error.message, 'warning');
    return { kind: 'wait', until: messageOf(error) };
  }
}

/** Does what may be done again until AWS has answered, for as long as the site's patience. */
export async function lasting<T>(
  { fleet: { patienceMs } }: FleetSite,
  { clock }: FleetPorts,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const untilMs = clock.nowMs() + patienceMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isDeployError(error, 'FLEET_UNREACHABLE') || clock.nowMs() > untilMs) throw error;
      await clock.sleep(lookEveryMs, signal);
      if (signal.aborted) throw interruption(signal);
    }
  }
}

interface Patience {
  note(state: FleetState, goal: Goal, memory: Memory): void;
  /** Rejects with `FLEET_STUCK` if nothing got on for too long. */
  mustHold(until: string): void;
}

function patienceOf({ fleet: { patienceMs } }: FleetSite, { clock, fleet }: FleetPorts): Patience {
  let best = Number.NEGATIVE_INFINITY;
  let sinceMs = clock.nowMs();
  return {
    note(state, goal, memory) {
      const progress = memory.ordered.size + ('instances' in state ? progressOf(state, goal, memory) : 0);
      if (progress <= best) return;
      best = progress;
      sinceMs = clock.nowMs();
    },
    mustHold(until) {
      const forMs = clock.nowMs() - sinceMs;
      if (forMs > patienceMs) throw failure('FLEET_STUCK', { fleet: fleet.name, forMs, until });
    },
  };
}

/** What AWS says by itself is passed on as it comes. */
function newsReader({ fleet, clock }: FleetPorts, say: Say, signal: AbortSignal): () => Promise<void> {
  let sinceMs = clock.nowMs();
  return async () => {
    for (const { atMs, text } of await fleet.news(sinceMs, signal)) {
      say(`AWS: ${text}`);
      sinceMs = Math.max(sinceMs, atMs + 1);
    }
  };
}

interface Doing {
  readonly step: FleetStep;
  readonly memory: { readonly proved: Set<string>; readonly ordered: Set<string> };
  readonly say: Say;
  readonly signal: AbortSignal;
}

async function carryOut(
  site: FleetSite,
  ports: FleetPorts,
  { step, memory, say, signal }: Doing,
): Promise<void> {
  if (step.kind === 'done' || step.kind === 'fail') return;
  say(sentence(step));
  if (step.kind === 'wait') return;
  if (step.kind === 'prove') {
    await proveAll(site, ports, step, signal);
    for (const { name } of step.machines) memory.proved.add(name);
    return;
  }
  await ports.fleet.perform(step, signal);
  if (step.kind === 'refresh') memory.ordered.add(orderOf(step));
  if (step.kind === 'swap') memory.ordered.add(swapTo(step.to));
  if (step.kind === 'update') memory.ordered.add(updateOf(step.environment, step.image));
}

async function proveAll(
  { checks }: FleetSite,
  ports: FleetPorts,
  { machines }: Extract<FleetStep, { readonly kind: 'prove' }>,
  signal: AbortSignal,
): Promise<void> {
  const questions = machines.flatMap(({ name, address }) =>
    checks.map((one) => prove({ ports, signal }, { name, address, port: null, user: null }, one, null)),
  );
  const failed = (await Promise.allSettled(questions)).find((result) => result.status === 'rejected');
  if (failed) throw failed.reason as DeployError;
}

type Sentences = {
  readonly [K in FleetStep['kind']]: (step: Extract<FleetStep, { readonly kind: K }>) => string;
};

const sentences: Sentences = {
  suspend: ({ processes }) => `suspends ${processes.join(', ')}`,
  unsuspend: ({ processes }) => `resumes ${processes.join(', ')}`,
  size: ({ version, capacity }) =>
    `launch template version ${version}; ${capacity.desired} instances (${capacity.min} to ${capacity.max})`,
  prove: ({ machines }) => `checks ${machines.map(({ name }) => name).join(', ')}`,
  enable: ({ instances }) => `lets ${instances.join(', ')} take traffic`,
  drain: ({ instances }) => `drains ${instances.join(', ')}`,
  end: ({ instances }) => `ends ${instances.join(', ')}`,
  refresh: ({ version, healthyMin, healthyMax }) =>
    `instance refresh to launch template version ${version}, ${healthyMin} to ${healthyMax} % healthy`,
  'cancel refresh': () => 'cancels the instance refresh',
  update: ({ environment, image }) => `gives ${environment} image ${image}`,
  swap: ({ from, to }) => `swaps the names of ${from} and ${to}`,
  wait: ({ until }) => until,
  fail: ({ reason }) => reason,
  done: () => 'done',
};

/** What a step does, for people. */
export const sentence = (step: FleetStep): string =>
  // The table has a row for each kind, which takes steps of that kind.
  (sentences[step.kind] as (step: FleetStep) => string)(step);
