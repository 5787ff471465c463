import { assert } from './assert.ts';
import type { Environment, EnvironmentsState, FleetStep, Goal, Memory } from './fleet.ts';

/**
 * The next step of environments of Elastic Beanstalk toward an image: of one, in place, as its own rolling updates go; of two, the
 * one that is not live, which then gets the name of the other.
 */
export function nextEnvironment(
  { environments }: EnvironmentsState,
  goal: Pick<Goal, 'image'>,
  { proved, ordered }: Memory,
): FleetStep {
  const gone = environments.find(({ status }) => status === 'gone');
  if (gone) return { kind: 'fail', reason: `environment ${gone.name} is terminated` };
  const changing = environments.find(({ status }) => status === 'changing');
  if (changing) return { kind: 'wait', until: `environment ${changing.name} is ready` };
  const live = environments.find(({ isLive }) => isLive);
  if (live === undefined) return { kind: 'fail', reason: 'no environment has the name that visitors use' };
  const target = live.image === goal.image ? live : (environments.find((one) => one !== live) ?? live);
  if (target.image !== goal.image) {
    return ordered.has(updateOf(target.name, goal.image))
      ? { kind: 'fail', reason: `Elastic Beanstalk took ${target.name} back to ${target.image}` }
      : { kind: 'update', environment: target.name, image: goal.image };
  }
  if (target.health !== 'good') return { kind: 'wait', until: `environment ${target.name} is healthy` };
  const machine = { name: target.name, address: target.address };
  if (machine.address !== null && !proved.has(target.name))
    return { kind: 'prove', machines: [{ ...machine, address: machine.address }] };
  if (target.isLive) return { kind: 'done' };
  if (machine.address === null) return { kind: 'wait', until: `environment ${target.name} has an address` };
  return ordered.has(swapTo(target.name))
    ? { kind: 'wait', until: `visitors get ${target.name}` }
    : { kind: 'swap', from: live.name, to: target.name };
}

/** What an update is remembered by. */
export const updateOf = (environment: string, image: string): string => `update ${environment} ${image}`;

/** What a swap is remembered by: done twice it would be undone. */
export const swapTo = (environment: string): string => `swap to ${environment}`;

/** Which one visitors get. */
export function liveEnvironment(environments: readonly Environment[]): Environment {
  const live = environments.find(({ isLive }) => isLive) ?? environments[0];
  assert(live, 'a fleet has an environment at least');
  return live;
}

/** What Elastic Beanstalk calls the state of an environment. */
export const statusOf = (status: string): Environment['status'] =>
  status === 'Ready' ? 'ready' : gone.has(status) ? 'gone' : 'changing';

const gone: ReadonlySet<string> = new Set(['Terminating', 'Terminated']);

/** What it calls its health: of Yellow and Red some machines or all do not do what they are there for. */
export const healthOf = (health: string): Environment['health'] => healths[health] ?? 'poor';

const healths: Readonly<Record<string, Environment['health']>> = { Green: 'good', Grey: 'unknown' };
