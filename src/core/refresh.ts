import {
  type FleetStep,
  type Goal,
  isAlive,
  isServing,
  type Machine,
  type Memory,
  type RefreshedState,
} from './fleet.ts';

/** What else would change the size or the places of a group while AWS refreshes it. */
export const disturbingRefresh = ['AlarmNotification', 'AZRebalance', 'ScheduledActions'] as const;

/**
 * The next step of a group that an instance refresh brings to its goal. AWS replaces, within the bounds that it is given; instances
 * are proved as they come, and one that is not stops it.
 */
export function nextRefresh(state: RefreshedState, goal: Goal, { proved, ordered }: Memory): FleetStep {
  const { refresh, suspended } = state;
  const isActive = refresh?.state === 'under way' || refresh?.state === 'ending';
  const unproved = strangers(state, goal, proved);
  if (!isActive && isRefreshed(state, goal) && unproved.length === 0) return ending(state, goal);
  const missing = goal.suspends.filter((process) => !suspended.includes(process));
  if (missing.length > 0) return { kind: 'suspend', processes: missing };
  if (refresh?.state === 'ending') return { kind: 'wait', until: 'the instance refresh of before ends' };
  if (refresh?.state === 'under way' && refresh.version !== goal.version) return { kind: 'cancel refresh' };
  if (unproved.length > 0) return { kind: 'prove', machines: unproved };
  if (refresh?.state === 'under way')
    return { kind: 'wait', until: `the instance refresh has replaced ${refresh.percent} %` };
  if (isMade(state, goal)) return { kind: 'wait', until: 'every instance is healthy' };
  const isLost = refresh?.version === goal.version && ordered.has(orderOf(goal));
  if (isLost) return { kind: 'fail', reason: refresh.reason ?? `the instance refresh is ${refresh.state}` };
  return { kind: 'refresh', version: goal.version, ...boundsOf(state, goal) };
}

/** What a refresh to the goal is remembered by. */
export const orderOf = ({ version }: Pick<Goal, 'version'>): string => `refresh ${version}`;

function ending({ suspended }: RefreshedState, { suspends }: Goal): FleetStep {
  const asleep = suspends.filter((process) => suspended.includes(process));
  return asleep.length > 0 ? { kind: 'unsuspend', processes: asleep } : { kind: 'done' };
}

const isMade = ({ place, instances }: RefreshedState, { version, image }: Goal): boolean =>
  place.version === version && instances.filter(isAlive).every((one) => one.image === image);

const isRefreshed = (state: RefreshedState, goal: Goal): boolean =>
  isMade(state, goal) && state.instances.filter(isServing).length >= state.capacity.desired;

const strangers = (
  { instances }: RefreshedState,
  { image }: Goal,
  proved: Memory['proved'],
): readonly Machine[] =>
  instances.flatMap((one) =>
    one.phase === 'in service' && one.image === image && one.address !== null && !proved.has(one.id)
      ? [{ name: one.id, address: one.address }]
      : [],
  );

/** In percent of the desired capacity, as AWS takes them: at most 100 apart. */
function boundsOf(
  { capacity }: RefreshedState,
  { servingMin, surge }: Goal,
): { readonly healthyMin: number; readonly healthyMax: number } {
  const of = Math.max(1, capacity.desired);
  const healthyMin = Math.min(100, Math.ceil((100 * servingMin) / of));
  const healthyMax = Math.min(200, 100 + healthyMin, 100 + Math.ceil((100 * Math.max(1, surge)) / of));
  return { healthyMin, healthyMax };
}
