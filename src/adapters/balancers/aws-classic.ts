import type { ElasticLoadBalancing, InstanceState } from '@aws-sdk/client-elastic-load-balancing';
import { failure } from '../../core/errors.ts';
import { describe, type Field, mapOf, oneOrMore, textLike, withDefault } from '../../core/field.ts';
import type { NodeName } from '../../core/node.ts';
import type { BalancerName } from '../../core/site.ts';
import type { RotationChange } from '../../ports.ts';
import { type AwsAccess, awsAccess } from '../aws/access.ts';
import { type AwsApi, awsApi, balancerAsker } from '../aws/api.ts';
import { classicElb } from '../aws/clients.ts';
import { instanceId } from './aws-options.ts';
import { hostedBalancer, hostedCapabilities, settle, settled, type TargetState } from './hosted.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import type { Ordered, Target } from './target.ts';

const capabilities = { ...hostedCapabilities, drain: 'hard' } as const;

/**
 * A Classic Load Balancer (Elastic Load Balancing API 2012-06-01). A node is in rotation while its instance is registered.
 * Requests in flight at one that is deregistered end only if connection draining is on, so it must be.
 */
export const awsClassic: BalancerKind = balancerKind<ClassicOptions>({
  summary: 'A Classic Load Balancer of AWS, through the AWS SDK. Connection draining must be on.',
  options: {
    loadBalancer: describe(
      'The name of the load balancer, or a list of such.',
      oneOrMore(textLike('the name of a load balancer', /^[A-Za-z0-9-]{1,32}$/)),
    ),
    servers: describe(
      'The instance of a node. Not needed where the node is named so.',
      withDefault(mapOf(instance(), 'the name of a node'), {}),
    ),
    settle,
    ...awsAccess,
  },
  capabilities,
  create({ name: balancer, options, nodes }) {
    const api = awsApi(balancerAsker(balancer), options, classicElb);
    const targets = targetsOf(balancer, options, nodes);
    const mustDrain = drainCheck(balancer, api, options.loadBalancer);
    return hostedBalancer<ClassicTarget, readonly Reading[]>({
      balancer,
      address: api.address,
      targets,
      capabilities: { ...capabilities, settleMs: options.settle },
      async read(signal) {
        await mustDrain(signal);
        return Promise.all(options.loadBalancer.map((name) => read(balancer, api, name, targets, signal)));
      },
      stateOf,
      send: (orders, _, signal) => send(api, orders, signal),
      describe: ({ to, node, loadBalancer, instance: id }) =>
        `${verbFor(to)} ${loadBalancer} ${id} (${node})`,
      flips: null,
      close: api.close,
    });
  },
});

interface ClassicOptions extends AwsAccess {
  readonly loadBalancer: readonly string[];
  readonly servers: Readonly<Record<NodeName, string>>;
  readonly settle: number;
}

function instance(): Field<string> {
  return textLike("an instance such as 'i-0abc1234def567890'", instanceId);
}

interface ClassicTarget extends Target {
  readonly loadBalancer: string;
  /** Or the node's own name, which may be no instance at all. */
  readonly instance: string;
}

const targetsOf = (
  balancer: BalancerName,
  { loadBalancer: names, servers }: ClassicOptions,
  nodes: readonly NodeName[],
): readonly ClassicTarget[] =>
  names.flatMap((loadBalancer) =>
    nodes.map((node) => {
      const id = servers[node] ?? node;
      return { node, loadBalancer, instance: id, id: `${balancer} ${loadBalancer}/${id}` };
    }),
  );

const verbFor = (to: RotationChange['to']): string =>
  to === 'in' ? 'RegisterInstancesWithLoadBalancer' : 'DeregisterInstancesFromLoadBalancer';

/** Asked once: rejects with `BALANCER_REFUSED` if a load balancer would cut requests off. */
function drainCheck(
  balancer: BalancerName,
  api: AwsApi<ElasticLoadBalancing>,
  names: readonly string[],
): (signal?: AbortSignal) => Promise<void> {
  let isChecked = false;
  return async (signal) => {
    if (isChecked) return;
    await settled(
      names.map(async (LoadBalancerName) => {
        const request = `DescribeLoadBalancerAttributes ${LoadBalancerName}`;
        const { LoadBalancerAttributes: attributes } = await api.ask(
          request,
          (client, options) => client.describeLoadBalancerAttributes({ LoadBalancerName }, options),
          signal,
        );
        if (attributes?.ConnectionDraining?.Enabled === true) return;
        const answer = 'connection draining is off, so requests in flight would be cut: switch it on';
        throw failure('BALANCER_REFUSED', { balancer, request, answer });
      }),
    );
    isChecked = true;
  };
}

interface Reading {
  readonly loadBalancer: string;
  readonly registered: readonly InstanceState[];
  /** Of our instances those that are not among them, some of which may drain. */
  readonly others: readonly InstanceState[];
}

async function read(
  balancer: BalancerName,
  api: AwsApi<ElasticLoadBalancing>,
  loadBalancer: string,
  targets: readonly ClassicTarget[],
  signal?: AbortSignal,
): Promise<Reading> {
  const request = `DescribeInstanceHealth ${loadBalancer}`;
  const question = { LoadBalancerName: loadBalancer };
  const { InstanceStates: registered = [] } = await api.ask(
    request,
    (client, options) => client.describeInstanceHealth(question, options),
    signal,
  );
  const known = registered.map(({ InstanceId }) => InstanceId ?? '');
  const unknown = (node: NodeName, server: string) =>
    failure('BALANCER_SERVER_UNKNOWN', { balancer, server, node, known });
  const missing = targets.filter(
    (target) => target.loadBalancer === loadBalancer && !known.includes(target.instance),
  );
  const stray = missing.find((target) => !instanceId.test(target.instance));
  if (stray) throw unknown(stray.node, stray.instance);
  if (missing.length === 0) return { loadBalancer, registered, others: [] };
  const Instances = missing.map((target) => ({ InstanceId: target.instance }));
  const { InstanceStates: others = [] } = await api.ask(
    request,
    (client, options) => client.describeInstanceHealth({ ...question, Instances }, options),
    signal,
    (refusal) =>
      refusal === 'InvalidInstance' || refusal === 'InvalidEndPoint'
        ? unknown(missing[0]!.node, missing.map((target) => target.instance).join(', '))
        : null,
  );
  return { loadBalancer, registered, others };
}

function stateOf({ loadBalancer, instance: id }: ClassicTarget, reading: readonly Reading[]): TargetState {
  const { registered, others } = reading.find((one) => one.loadBalancer === loadBalancer)!;
  const isOurs = ({ InstanceId }: InstanceState): boolean => InstanceId === id;
  const listed = registered.find(isOurs);
  const isDraining = (listed ?? others.find(isOurs))?.Description?.startsWith(deregistering) === true;
  if (isDraining) return { rotation: 'out', health: 'unchecked', sessions: null };
  if (listed === undefined) return { rotation: 'out', health: 'unchecked', sessions: 0 };
  return { rotation: 'in', health: healthOf(listed), sessions: null };
}

/** The one trace of a drain under way (API Reference 2012-06-01, InstanceState). */
const deregistering = 'Instance deregistration currently in progress';

const healthOf = ({ State, ReasonCode }: InstanceState): TargetState['health'] => {
  if (State === 'InService') return 'up';
  return ReasonCode === 'Instance' ? 'down' : 'starting';
};

/** One call for each load balancer and direction. */
async function send(
  api: AwsApi<ElasticLoadBalancing>,
  orders: readonly Ordered<ClassicTarget>[],
  signal?: AbortSignal,
): Promise<void> {
  const calls = new Map<string, Ordered<ClassicTarget>[]>();
  for (const order of orders) {
    const key = `${verbFor(order.to)} ${order.loadBalancer}`;
    calls.set(key, [...(calls.get(key) ?? []), order]);
  }
  await settled(
    [...calls].map(([key, own]) => {
      const [{ to, loadBalancer }] = own as [Ordered<ClassicTarget>];
      const Instances = own.map((order) => ({ InstanceId: order.instance }));
      const question = { LoadBalancerName: loadBalancer, Instances };
      return api.ask(
        `${key} ${own.map((order) => order.instance).join(' ')}`,
        (client, options): Promise<unknown> =>
          to === 'in'
            ? client.registerInstancesWithLoadBalancer(question, options)
            : client.deregisterInstancesFromLoadBalancer(question, options),
        signal,
      );
    }),
  );
}
