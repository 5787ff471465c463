import type { ElasticLoadBalancingV2, TargetDescription } from '@aws-sdk/client-elastic-load-balancing-v2';
import { type DeployError, failure } from '../../core/errors.ts';
import type { NodeName, PoolName } from '../../core/node.ts';
import type { BalancerName } from '../../core/site.ts';
import type { RotationChange } from '../../ports.ts';
import { type AwsApi, awsApi, balancerAsker } from '../aws/api.ts';
import { elbv2 } from '../aws/clients.ts';
import { awsFlips } from './aws-flips.ts';
import { groupReader, type TargetGroupReading } from './aws-groups.ts';
import { type AwsOptions, type AwsServer, awsOptions, serverNamed, shownServer } from './aws-options.ts';
import { hostedBalancer, hostedCapabilities, settled, slowest, type TargetState } from './hosted.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import type { Ordered, Target } from './target.ts';

const capabilities = { ...hostedCapabilities, drain: 'hard', weights: 'pool', flip: 'kept' } as const;

/**
 * Target groups of an Application or a Network Load Balancer (Elastic Load Balancing API 2015-12-01). A node is in
 * rotation while it is registered. One that was deregistered gets no new request, and nobody tells how many are still
 * in flight there: it is `draining` for the whole deregistration delay of its group, and only then there are none.
 */
export const aws: BalancerKind = balancerKind<AwsOptions>({
  summary: 'Target groups of an Application or Network Load Balancer of AWS, through the AWS SDK.',
  options: awsOptions,
  capabilities,
  create({ name: balancer, options, nodes, pools = {} }) {
    const api = awsApi(balancerAsker(balancer), options, elbv2);
    const groups = groupReader(balancer, api, options);
    const flips = isList(options.targetGroup) ? null : awsFlips(balancer, api, groups.pools);
    return hostedBalancer<AwsTarget, readonly TargetGroupReading[]>({
      balancer,
      address: api.address,
      targets: targetsOf(balancer, options, nodes, pools),
      capabilities: {
        ...capabilities,
        settleMs: options.settle,
        weights: flips === null ? 'none' : capabilities.weights,
        flip: flips === null ? 'none' : capabilities.flip,
      },
      read: groups.read,
      stateOf: (target, reading) => stateOf(balancer, target, reading),
      send: (orders, reading, signal) => send(balancer, api, { orders, reading }, signal),
      describe: ({ to, node, group, server }) =>
        `${verbFor(to)} ${nameIn(group)} ${shownOf(server)} (${node})`,
      noticesDeadWithinMs: (reading) => slowest(reading.map((group) => group.noticesDeadWithinMs)),
      flips,
      close: api.close,
    });
  },
});

interface AwsTarget extends Target {
  /** As the settings name it. */
  readonly group: string;
  /** What the settings name, or the node's own name, which may be no target at all. */
  readonly server: AwsServer | string;
}

function targetsOf(
  balancer: BalancerName,
  { targetGroup, servers }: AwsOptions,
  nodes: readonly NodeName[],
  pools: Readonly<Record<NodeName, PoolName>>,
): readonly AwsTarget[] {
  const targets = (groups: readonly string[], names: readonly NodeName[]): readonly AwsTarget[] =>
    groups.flatMap((group) =>
      names.map((node) => {
        const server = servers[node] ?? serverNamed(node) ?? node;
        return { node, group, server, id: `${balancer} ${nameIn(group)}/${shownOf(server)}` };
      }),
    );
  return isList(targetGroup)
    ? targets(targetGroup, nodes)
    : Object.entries(targetGroup).flatMap(([pool, groups]) =>
        targets(
          groups,
          nodes.filter((node) => pools[node] === pool),
        ),
      );
}

const isList = (groups: AwsOptions['targetGroup']): groups is readonly string[] => Array.isArray(groups);

/** An ARN ends with `targetgroup/<name>/<id>`. */
const nameIn = (group: string): string => group.split('/').at(-2) ?? group;

const shownOf = (server: AwsServer | string): string =>
  typeof server === 'string' ? server : shownServer(server);

const verbFor = (to: RotationChange['to']): string => (to === 'in' ? 'RegisterTargets' : 'DeregisterTargets');

/** What is not registered is not in the list. */
function stateOf(
  balancer: BalancerName,
  target: AwsTarget,
  reading: readonly TargetGroupReading[],
): TargetState {
  const group = groupOf(target, reading);
  const { Id, Port } = described(balancer, target, group);
  const seen = group.targets.find(({ Target: one }) => one?.Id === Id && one?.Port === Port);
  const { State = 'unused', Reason } = seen?.TargetHealth ?? {};
  return Reason === 'Target.NotInUse' ? unusedByAll : states[State];
}

/**
 * Of TargetHealth.State (API Reference, TargetHealth). A target in rotation may have requests in flight, and so may one
 * that drains.
 */
const states = {
  initial: { rotation: 'in', health: 'starting', sessions: null },
  healthy: { rotation: 'in', health: 'up', sessions: null },
  unhealthy: { rotation: 'in', health: 'down', sessions: null },
  'unhealthy.draining': { rotation: 'in', health: 'down', sessions: null },
  unavailable: { rotation: 'in', health: 'unchecked', sessions: null },
  draining: { rotation: 'out', health: 'unchecked', sessions: null },
  unused: { rotation: 'out', health: 'unchecked', sessions: 0 },
} as const satisfies Record<string, TargetState>;

/** Registered, but no listener sends anything to the group, and so nothing checks it. */
const unusedByAll: TargetState = { rotation: 'in', health: 'down', sessions: null };

const groupOf = ({ group }: AwsTarget, reading: readonly TargetGroupReading[]): TargetGroupReading =>
  reading.find(({ option }) => option === group)!;

/** As the API names it. A name that can be none is one that the group does not know. */
function described(
  balancer: BalancerName,
  { node, server }: AwsTarget,
  group: TargetGroupReading,
): TargetDescription {
  if (typeof server === 'string') throw unknownTarget(balancer, { node, server }, group);
  const port = server.port ?? group.port;
  return { Id: server.id, ...(port === null ? {} : { Port: port }) };
}

const unknownTarget = (
  balancer: BalancerName,
  { node, server }: { readonly node: NodeName; readonly server: string },
  { targets }: TargetGroupReading,
): DeployError =>
  failure('BALANCER_SERVER_UNKNOWN', {
    balancer,
    server,
    node,
    known: targets.map(({ Target: one }) => shownServer({ id: one?.Id ?? '', port: one?.Port ?? null })),
  });

/** One call for each group and direction. To register what drains is right, and ends the draining. */
async function send(
  balancer: BalancerName,
  api: AwsApi<ElasticLoadBalancingV2>,
  { orders, reading }: Sending,
  signal?: AbortSignal,
): Promise<void> {
  const calls = reading.flatMap((group) =>
    (['in', 'out'] as const).map((to) => ({
      group,
      to,
      own: orders.filter((order) => order.group === group.option && (order.to === 'in') === (to === 'in')),
    })),
  );
  await settled(
    calls
      .filter(({ own }) => own.length > 0)
      .map(({ group, to, own }) => {
        const Targets = own.map((target) => described(balancer, target, group));
        const question = { TargetGroupArn: group.arn, Targets };
        const names = own.map(({ server }) => shownOf(server));
        return api.ask(
          `${verbFor(to)} ${nameIn(group.option)} ${names.join(' ')}`,
          (client, options): Promise<unknown> =>
            to === 'in'
              ? client.registerTargets(question, options)
              : client.deregisterTargets(question, options),
          signal,
          (refusal) =>
            refusal === 'InvalidTarget'
              ? unknownTarget(balancer, { node: own[0]!.node, server: names.join(', ') }, group)
              : null,
        );
      }),
  );
}

interface Sending {
  readonly orders: readonly Ordered<AwsTarget>[];
  readonly reading: readonly TargetGroupReading[];
}
