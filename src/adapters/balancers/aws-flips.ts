import type { Action, ElasticLoadBalancingV2 } from '@aws-sdk/client-elastic-load-balancing-v2';
import { failure } from '../../core/errors.ts';
import type { PoolName } from '../../core/node.ts';
import type { BalancerName } from '../../core/site.ts';
import type { AwsApi } from '../aws/api.ts';
import {
  aimedAt,
  aimOf,
  hasShare,
  hasStrangers,
  isSticky,
  type PoolGroups,
  partsOf,
  sharedWith,
} from './aws-forward.ts';
import type { Pools } from './aws-groups.ts';
import { type Flips, settled } from './hosted.ts';
import { readBack } from './read-back.ts';

/**
 * Where listeners and rules send new requests. A flip changes every one that forwards to the pools, each by one call, and
 * reads back that all took it.
 */
export function awsFlips(
  balancer: BalancerName,
  api: AwsApi<ElasticLoadBalancingV2>,
  readPools: (signal?: AbortSignal) => Promise<Pools>,
): Flips {
  const read = async (signal?: AbortSignal) => {
    const { groups, loadBalancers } = await readPools(signal);
    const listed = await Promise.all(loadBalancers.map((arn) => forwardersOf(api, arn, signal)));
    const forwarders = listed.flat().filter(({ actions }) => aimOf(actions, groups).at !== 'none');
    return { groups, forwarders };
  };
  return {
    async aim(signal) {
      const { groups, forwarders } = await read(signal);
      const pool = poolOf(forwarders, groups);
      const actions = forwarders.flatMap((forwarder) => forwarder.actions);
      const parts = pool === null ? partsOf(actions, groups) : null;
      return { pool, ...(parts && { parts }) };
    },
    async flip(to, signal) {
      const { groups, forwarders } = await read(signal);
      mustBeFlippable(balancer, `flip to ${to}`, { to, groups, forwarders });
      const stray = forwarders.filter(({ actions }) => poolOf([{ actions }], groups) !== to);
      await settled(stray.map((one) => modify(api, one, aimedAt(one.actions, groups, to), signal)));
      const seen = await readBack(
        async () => poolOf((await read(signal)).forwarders, groups),
        (pool) => pool === to,
        signal,
      );
      if (seen === to) return;
      throw failure('BALANCER_NOT_APPLIED', {
        balancer,
        server: api.address,
        wanted: to,
        seen: seen ?? 'several pools',
      });
    },
    async share(to, percent, signal) {
      const { groups, forwarders } = await read(signal);
      const wanted = `${percent} % to ${to}`;
      mustBeFlippable(balancer, wanted, { to, groups, forwarders });
      mustBeShareable(balancer, wanted, { groups, forwarders });
      const isStray = (one: Forwarder): boolean => !hasShare(one.actions, groups, { to, percent });
      const changes = forwarders.filter(isStray).map((one) => {
        const actions = sharedWith(one.actions, groups, { to, percent });
        return modify(api, one, actions, signal);
      });
      await settled(changes);
      const stray = await readBack(
        async () => (await read(signal)).forwarders.filter(isStray),
        (left) => left.length === 0,
        signal,
      );
      if (stray.length === 0) return;
      throw failure('BALANCER_NOT_APPLIED', {
        balancer,
        server: stray[0]!.arn,
        wanted,
        seen: 'another share',
      });
    },
  };
}

function poolOf(forwarders: readonly Pick<Forwarder, 'actions'>[], groups: PoolGroups): PoolName | null {
  const aims = forwarders.map(({ actions }) => aimOf(actions, groups));
  const pools = new Set(aims.map((aim) => (aim.at === 'pool' ? aim.pool : null)));
  const [pool = null] = pools;
  return pools.size === 1 ? pool : null;
}

interface Front {
  readonly groups: PoolGroups;
  readonly forwarders: readonly Forwarder[];
}

function mustBeShareable(balancer: BalancerName, request: string, { groups, forwarders }: Front): void {
  const mixed = forwarders.find(({ actions }) => hasStrangers(actions, groups));
  if (mixed) {
    const answer = `${mixed.arn} forwards to a target group of neither pool as well`;
    throw failure('BALANCER_REFUSED', { balancer, request, answer });
  }
}

function mustBeFlippable(
  balancer: BalancerName,
  request: string,
  { to, groups, forwarders }: Front & { readonly to: PoolName },
): void {
  const refused = (answer: string) => failure('BALANCER_REFUSED', { balancer, request, answer });
  if (!groups.has(to)) throw refused('the settings name no target group of that pool');
  if (forwarders.length === 0) throw refused('no listener and no rule forwards to the target groups');
  const sticky = forwarders.find(({ actions }) => isSticky(actions, groups));
  if (sticky)
    throw refused(
      `target group stickiness is on at ${sticky.arn}: clients would stay with the pool that they are on`,
    );
}

/** Whatever has a list of actions. */
interface Forwarder {
  readonly kind: 'listener' | 'rule';
  readonly arn: string;
  readonly actions: readonly Action[];
}

/** Of all listeners the default actions, and all rules, of which only those of HTTP have more than the default one. */
async function forwardersOf(
  api: AwsApi<ElasticLoadBalancingV2>,
  LoadBalancerArn: string,
  signal?: AbortSignal,
): Promise<readonly Forwarder[]> {
  const listeners = await pagesOf(async (page) => {
    const answer = await api.ask(
      `DescribeListeners ${LoadBalancerArn}`,
      (client, options) => client.describeListeners({ LoadBalancerArn, ...page }, options),
      signal,
    );
    return { items: answer.Listeners ?? [], next: answer.NextMarker };
  });
  const rules = await Promise.all(
    listeners
      .filter(({ Protocol }) => Protocol === 'HTTP' || Protocol === 'HTTPS')
      .map(({ ListenerArn }) => rulesOf(api, ListenerArn!, signal)),
  );
  return [
    ...listeners.map(
      ({ ListenerArn, DefaultActions = [] }): Forwarder => ({
        kind: 'listener',
        arn: ListenerArn!,
        actions: DefaultActions,
      }),
    ),
    ...rules.flat(),
  ];
}

async function rulesOf(
  api: AwsApi<ElasticLoadBalancingV2>,
  ListenerArn: string,
  signal?: AbortSignal,
): Promise<readonly Forwarder[]> {
  const rules = await pagesOf(async (page) => {
    const answer = await api.ask(
      `DescribeRules ${ListenerArn}`,
      (client, options) => client.describeRules({ ListenerArn, ...page }, options),
      signal,
    );
    return { items: answer.Rules ?? [], next: answer.NextMarker };
  });
  return rules
    .filter(({ IsDefault }) => IsDefault !== true)
    .map(({ RuleArn, Actions = [] }): Forwarder => ({ kind: 'rule', arn: RuleArn!, actions: Actions }));
}

interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | undefined;
}

async function pagesOf<T>(
  read: (page: { readonly Marker?: string }) => Promise<Page<T>>,
): Promise<readonly T[]> {
  const first = await read({});
  const items = [...first.items];
  for (let next = first.next; next !== undefined; ) {
    const page = await read({ Marker: next });
    items.push(...page.items);
    next = page.next;
  }
  return items;
}

const modify = (
  api: AwsApi<ElasticLoadBalancingV2>,
  { kind, arn }: Forwarder,
  actions: Action[],
  signal?: AbortSignal,
): Promise<unknown> =>
  kind === 'listener'
    ? api.ask(
        `ModifyListener ${arn}`,
        (client, options) => client.modifyListener({ ListenerArn: arn, DefaultActions: actions }, options),
        signal,
      )
    : api.ask(
        `ModifyRule ${arn}`,
        (client, options) => client.modifyRule({ RuleArn: arn, Actions: actions }, options),
        signal,
      );
