import { count } from './errors.ts';
import {
  type Capacity,
  type FleetInstance,
  type FleetStep,
  type Goal,
  type GroupState,
  isAlive,
  isServing,
  type Machine,
  type Memory,
} from './fleet.ts';

/**
 * What would disturb a replacement: whoever else starts, ends or moves instances, and what sends requests to one before it was
 * proved. A group whose health checks are those of its balancers takes an instance that is not registered yet for unhealthy, and
 * never takes that back: so it does not look meanwhile.
 */
export const disturbing = [
  'AddToLoadBalancer',
  'AlarmNotification',
  'AZRebalance',
  'HealthCheck',
  'InstanceRefresh',
  'ReplaceUnhealthy',
  'ScheduledActions',
] as const;

/**
 * The next step of a group toward its goal: new instances start first, are proved, take traffic, and only then old ones leave,
 * as many as the floor allows. Everything follows from what is so now, so a run that died is gone on with by asking again, and
 * the way back is the same way to another goal.
 */
export function nextReplacement(
  state: GroupState,
  goal: Goal,
  { proved }: Pick<Memory, 'proved'>,
): FleetStep {
  const { leaving, staying } = sorted(state, goal, proved);
  const ready = staying.filter((one) => isReady(one, proved));
  if (leaving.length === 0 && ready.length >= goal.capacity.desired) return ending(state, goal);
  const missing = goal.suspends.filter((process) => !state.suspended.includes(process));
  if (missing.length > 0) return { kind: 'suspend', processes: missing };
  const size = sizeFor(goal, leaving.length, staying.length);
  if (!isSized(state, goal, size)) return { kind: 'size', version: goal.version, capacity: size };
  return (
    proof(staying, proved) ??
    entry(staying, proved) ??
    removal(leaving, state.capacity) ??
    exit(state, leaving, ready, goal) ?? { kind: 'wait', until: waitedFor(leaving, staying, ready, goal) }
  );
}

/** Grows as the replacement gets on, up to a bound; whatever goes back and forth does not make it grow again. */
export function progressOf(state: Pick<GroupState, 'instances'>, goal: Goal, { proved }: Memory): number {
  const { leaving, staying } = sorted(state, goal, proved);
  const inTraffic = leaving.filter(getsRequests).length;
  return staying.filter((one) => isReady(one, proved)).length - leaving.length - inTraffic;
}

const getsRequests = ({ traffic }: FleetInstance): boolean => traffic === 'in' || traffic === 'partly';

interface Sorted {
  readonly leaving: readonly FleetInstance[];
  readonly staying: readonly FleetInstance[];
}

/** Instances of another image leave, and those beyond the capacity, the least useful first. An operator's stay as they are. */
function sorted({ instances }: Pick<GroupState, 'instances'>, goal: Goal, proved: Memory['proved']): Sorted {
  const alive = instances.filter(isAlive);
  const fresh = alive
    .filter(({ image }) => image === goal.image)
    .toSorted((a, b) => worth(b, proved) - worth(a, proved) || (a.id < b.id ? -1 : 1));
  const staying = fresh.slice(0, goal.capacity.desired);
  return { staying, leaving: alive.filter((one) => !staying.includes(one)) };
}

const worth = (one: FleetInstance, proved: Memory['proved']): number =>
  [isServing(one), proved.has(one.id), one.phase === 'in service', one.traffic === 'in'].filter(Boolean)
    .length;

const isReady = (one: FleetInstance, proved: Memory['proved']): boolean =>
  isServing(one) && proved.has(one.id);

/** The capacity of before comes first, then what was suspended for the run; so whatever wakes up finds the group whole. */
function ending(state: GroupState, goal: Goal): FleetStep {
  if (!isSized(state, goal, goal.capacity))
    return { kind: 'size', version: goal.version, capacity: goal.capacity };
  const asleep = goal.suspends.filter((process) => state.suspended.includes(process));
  return asleep.length > 0 ? { kind: 'unsuspend', processes: asleep } : { kind: 'done' };
}

/** Room for those that leave, and for `surge` new ones at a time beyond the capacity. Never below the capacity. */
function sizeFor({ capacity, surge }: Goal, leaving: number, staying: number): Capacity {
  const room = capacity.desired + Math.max(1, surge) - leaving;
  const desired = leaving + Math.min(capacity.desired, Math.max(staying, room));
  return { min: capacity.min, desired, max: Math.max(capacity.max, desired) };
}

const isSized = ({ capacity, place }: GroupState, { version }: Goal, size: Capacity): boolean =>
  place.version === version &&
  capacity.min === size.min &&
  capacity.desired === size.desired &&
  capacity.max === size.max;

function proof(staying: readonly FleetInstance[], proved: Memory['proved']): FleetStep | null {
  const machines = staying.flatMap(({ id, address, phase }): readonly Machine[] =>
    phase === 'in service' && address !== null && !proved.has(id) ? [{ name: id, address }] : [],
  );
  return machines.length > 0 ? { kind: 'prove', machines } : null;
}

function entry(staying: readonly FleetInstance[], proved: Memory['proved']): FleetStep | null {
  const instances = staying.filter(
    ({ id, phase, traffic }) => phase === 'in service' && traffic !== 'in' && proved.has(id),
  );
  return instances.length > 0 ? { kind: 'enable', instances: idsOf(instances) } : null;
}

/** Each that ends takes one off the desired capacity, which AWS keeps at its minimum or above. */
function removal(leaving: readonly FleetInstance[], { desired, min }: Capacity): FleetStep | null {
  const instances = leaving.filter(({ traffic }) => traffic === 'out').slice(0, Math.max(1, desired - min));
  return instances.length > 0 ? { kind: 'end', instances: idsOf(instances) } : null;
}

/** Nobody leaves before one that was proved serves; those that do not serve leave first, for they lower nothing. */
function exit(
  { instances }: GroupState,
  leaving: readonly FleetInstance[],
  ready: readonly FleetInstance[],
  { capacity, servingMin }: Goal,
): FleetStep | null {
  if (ready.length === 0 && capacity.desired > 0) return null;
  const inTraffic = leaving.filter(getsRequests);
  const serving = inTraffic.filter(isServing);
  const spare = Math.max(0, instances.filter(isServing).length - servingMin);
  const chosen = [...inTraffic.filter((one) => !isServing(one)), ...serving.slice(0, spare)];
  return chosen.length > 0 ? { kind: 'drain', instances: idsOf(chosen) } : null;
}

function waitedFor(
  leaving: readonly FleetInstance[],
  staying: readonly FleetInstance[],
  ready: readonly FleetInstance[],
  { capacity, image }: Goal,
): string {
  const draining = leaving.filter(({ traffic }) => traffic === 'draining').length;
  const unready = staying.filter((one) => !ready.includes(one)).map(({ id }) => id);
  return [
    `${ready.length} of ${count(capacity.desired, 'instance')} of ${image} serve`,
    ...(unready.length > 0 ? [`${unready.join(', ')} not yet`] : []),
    ...(draining > 0 ? [`${draining} of the old drain`] : []),
    ...(leaving.length > draining ? [`${leaving.length - draining} of the old wait`] : []),
  ].join('; ');
}

const idsOf = (instances: readonly FleetInstance[]): readonly string[] => instances.map(({ id }) => id);
