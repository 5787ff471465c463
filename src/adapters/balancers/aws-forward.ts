import type { Action, TargetGroupTuple } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { PoolName } from '../../core/node.ts';
import type { PoolParts } from '../../core/observation.ts';

/** The target groups of each pool, by ARN. Those at one place in their lists take turns: the one for port 80, say. */
export type PoolGroups = ReadonlyMap<PoolName, readonly string[]>;

/** Where a list of actions sends new requests: to nothing of these pools, to several of them, or to one. */
export type Aim =
  | { readonly at: 'none' }
  | { readonly at: 'several' }
  | { readonly at: 'pool'; readonly pool: PoolName };

export function aimOf(actions: readonly Action[], pools: PoolGroups): Aim {
  const groups = actions.flatMap(groupsIn).filter(({ TargetGroupArn }) => poolWith(pools, TargetGroupArn));
  if (groups.length === 0) return { at: 'none' };
  const live = new Set(
    groups
      .filter(({ Weight }) => weightOf(Weight) > 0)
      .map(({ TargetGroupArn }) => poolWith(pools, TargetGroupArn)!),
  );
  const [pool, ...others] = live;
  return pool !== undefined && others.length === 0 ? { at: 'pool', pool } : { at: 'several' };
}

/**
 * The same actions, with the weight of all pools on one of them. The API takes the whole list and nothing less
 * (API Reference, ModifyListener and ModifyRule), so what else stands in it is sent as it was read.
 */
export const aimedAt = (actions: readonly Action[], pools: PoolGroups, to: PoolName): Action[] =>
  reweighted(actions, pools, (groups) => turned(groups, pools, to));

/** The same, with so many percent of their weight on one of two pools, and the others on the other one. */
export const sharedWith = (actions: readonly Action[], pools: PoolGroups, share: Share): Action[] =>
  reweighted(actions, pools, (groups) => shared(groups, pools, share));

export interface Share {
  readonly to: PoolName;
  readonly percent: number;
}

/** Whether a list of actions that forwards to the pools sends this one so much. */
export const hasShare = (actions: readonly Action[], pools: PoolGroups, { to, percent }: Share): boolean =>
  actions
    .filter((action) => isForward(action, pools))
    .every((action) => {
      const groups = groupsIn(action);
      const own = groups.filter(({ TargetGroupArn }) => poolWith(pools, TargetGroupArn) === to);
      return weightIn(own) * 100 === percent * weightIn(groups);
    });

/** What each pool gets by a list of actions, in percent to a tenth; null: they do not divide requests alike, or one sends some elsewhere. */
export function partsOf(actions: readonly Action[], pools: PoolGroups): PoolParts | null {
  if (hasStrangers(actions, pools)) return null;
  const all = actions
    .filter((action) => isForward(action, pools))
    .map((action) =>
      Object.fromEntries([...pools.keys()].map((pool) => [pool, percentOf(groupsIn(action), pools, pool)])),
    );
  const [first] = all;
  return first && new Set(all.map((parts) => JSON.stringify(parts))).size === 1 ? first : null;
}

function percentOf(groups: readonly TargetGroupTuple[], pools: PoolGroups, pool: PoolName): number {
  const own = groups.filter(({ TargetGroupArn }) => poolWith(pools, TargetGroupArn) === pool);
  return Math.round((1000 * weightIn(own)) / Math.max(1, weightIn(groups))) / 10;
}

const weightIn = (groups: readonly TargetGroupTuple[]): number =>
  groups.reduce((total, { Weight }) => total + weightOf(Weight), 0);

/** A group of neither pool has a part of its own, which whole weights could not keep beside a share. */
export const hasStrangers = (actions: readonly Action[], pools: PoolGroups): boolean =>
  actions.some(
    (action) =>
      isForward(action, pools) &&
      groupsIn(action).some(
        ({ TargetGroupArn, Weight }) => weightOf(Weight) > 0 && poolWith(pools, TargetGroupArn) === undefined,
      ),
  );

const reweighted = (
  actions: readonly Action[],
  pools: PoolGroups,
  weigh: (groups: readonly TargetGroupTuple[]) => TargetGroupTuple[],
): Action[] =>
  actions.map((action) => {
    if (!isForward(action, pools)) return resent(action);
    const { TargetGroupArn: _, ...rest } = action;
    return { ...rest, ForwardConfig: { ...action.ForwardConfig, TargetGroups: weigh(groupsIn(action)) } };
  });

/** Clients stay for a time with the target group that they were sent to first, whatever the weights say. */
export const isSticky = (actions: readonly Action[], pools: PoolGroups): boolean =>
  actions.some(
    (action) =>
      isForward(action, pools) && action.ForwardConfig?.TargetGroupStickinessConfig?.Enabled === true,
  );

const groupsIn = ({ Type, TargetGroupArn, ForwardConfig }: Action): readonly TargetGroupTuple[] => {
  if (Type !== 'forward') return [];
  return ForwardConfig?.TargetGroups ?? (TargetGroupArn === undefined ? [] : [{ TargetGroupArn, Weight: 1 }]);
};

const isForward = (action: Action, pools: PoolGroups): boolean =>
  groupsIn(action).some(({ TargetGroupArn }) => poolWith(pools, TargetGroupArn) !== undefined);

const poolWith = (pools: PoolGroups, arn: string | undefined): PoolName | undefined =>
  [...pools].find(([, arns]) => arn !== undefined && arns.includes(arn))?.[0];

const weightOf = (weight: number | undefined): number => weight ?? 1;

/** Groups that are no pool's keep their weight, and so does the sum of those that take turns. */
function turned(groups: readonly TargetGroupTuple[], pools: PoolGroups, to: PoolName): TargetGroupTuple[] {
  const weights = new Map(groups.map(({ TargetGroupArn, Weight }) => [TargetGroupArn!, weightOf(Weight)]));
  for (const [place, target] of (pools.get(to) ?? []).entries()) {
    const turns = [...pools.values()].map((arns) => arns[place]!).filter((arn) => weights.has(arn));
    if (turns.length === 0) continue;
    const sum = turns.reduce((total, arn) => total + weights.get(arn)!, 0);
    for (const arn of turns) weights.set(arn, 0);
    weights.set(target, Math.min(Math.max(sum, 1), weightMax));
  }
  return [...weights].map(([TargetGroupArn, Weight]) => ({ TargetGroupArn, Weight }));
}

const weightMax = 999;

function shared(
  groups: readonly TargetGroupTuple[],
  pools: PoolGroups,
  { to, percent }: Share,
): TargetGroupTuple[] {
  const weights = new Map(groups.map(({ TargetGroupArn, Weight }) => [TargetGroupArn!, weightOf(Weight)]));
  for (const [place, target] of (pools.get(to) ?? []).entries()) {
    const turns = [...pools.values()].map((arns) => arns[place]!);
    if (!turns.some((arn) => weights.has(arn))) continue;
    for (const arn of turns) weights.set(arn, arn === target ? percent : 100 - percent);
  }
  return [...weights].map(([TargetGroupArn, Weight]) => ({ TargetGroupArn, Weight }));
}

/** The secret of an OIDC client is never shown: the API is asked to keep it. */
const resent = (action: Action): Action =>
  action.AuthenticateOidcConfig === undefined
    ? action
    : {
        ...action,
        AuthenticateOidcConfig: { ...action.AuthenticateOidcConfig, UseExistingClientSecret: true },
      };
