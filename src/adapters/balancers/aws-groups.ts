import type {
  ElasticLoadBalancingV2,
  TargetGroup,
  TargetHealthDescription,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { failure } from '../../core/errors.ts';
import type { BalancerName } from '../../core/site.ts';
import type { AwsApi } from '../aws/api.ts';
import type { PoolGroups } from './aws-forward.ts';
import type { AwsOptions } from './aws-options.ts';

/** A target group, and what is registered in it or leaves it. */
export interface TargetGroupReading extends Group {
  readonly targets: readonly TargetHealthDescription[];
}

interface Group {
  /** As the settings name it. */
  readonly option: string;
  readonly arn: string;
  /** Where targets are registered that say no port of their own. */
  readonly port: number | null;
  readonly loadBalancers: readonly string[];
  readonly noticesDeadWithinMs: number | null;
}

/** The pools' target groups, and the load balancers that they belong to. */
export interface Pools {
  readonly groups: PoolGroups;
  readonly loadBalancers: readonly string[];
}

/** Reads the target groups of the settings; what they are is asked once, how their targets are each time. */
export function groupReader(
  balancer: BalancerName,
  api: AwsApi<ElasticLoadBalancingV2>,
  { targetGroup, settle }: Pick<AwsOptions, 'targetGroup' | 'settle'>,
): {
  readonly read: (signal?: AbortSignal) => Promise<readonly TargetGroupReading[]>;
  readonly pools: (signal?: AbortSignal) => Promise<Pools>;
} {
  const options = Object.values(targetGroup).flat() as readonly string[];
  let known: readonly Group[] | null = null;
  const all = async (signal?: AbortSignal): Promise<readonly Group[]> => {
    known ??= await Promise.all(options.map((option) => groupNamed(balancer, api, option, settle, signal)));
    return known;
  };
  return {
    async read(signal) {
      const groups = await all(signal);
      return Promise.all(
        groups.map(async (group) => ({ ...group, targets: await targetsIn(api, group, signal) })),
      );
    },
    async pools(signal) {
      const groups = await all(signal);
      const arnOf = (option: string): string => groups.find((group) => group.option === option)!.arn;
      const pools = Object.entries(targetGroup as Exclude<AwsOptions['targetGroup'], readonly string[]>);
      return {
        groups: new Map(pools.map(([pool, names]) => [pool, names.map(arnOf)])),
        loadBalancers: [...new Set(groups.flatMap(({ loadBalancers }) => loadBalancers))],
      };
    },
  };
}

async function groupNamed(
  balancer: BalancerName,
  api: AwsApi<ElasticLoadBalancingV2>,
  option: string,
  settleMs: number,
  signal?: AbortSignal,
): Promise<Group> {
  const question = option.startsWith('arn:') ? { TargetGroupArns: [option] } : { Names: [option] };
  const request = `DescribeTargetGroups ${option}`;
  const { TargetGroups: [group] = [] } = await api.ask(
    request,
    (client, options) => client.describeTargetGroups(question, options),
    signal,
  );
  const refused = (answer: string) => failure('BALANCER_REFUSED', { balancer, request, answer });
  if (group?.TargetGroupArn === undefined) throw refused('there is no such target group');
  if (isOfNetwork(group) && settleMs < networkSettleMs)
    throw refused(
      `it belongs to a Network Load Balancer, which goes on for 2 minutes: set balancers.${balancer}.settle to 2m at least`,
    );
  return {
    option,
    arn: group.TargetGroupArn,
    port: group.Port ?? null,
    loadBalancers: group.LoadBalancerArns ?? [],
    noticesDeadWithinMs: noticesDeadWithinMs(group),
  };
}

/** So many checks in a row must fail, one in each interval. */
const noticesDeadWithinMs = ({
  HealthCheckIntervalSeconds: every,
  UnhealthyThresholdCount: failures,
}: TargetGroup): number | null =>
  every === undefined || failures === undefined ? null : every * failures * 1000;

const isOfNetwork = ({ Protocol }: TargetGroup): boolean => Protocol !== 'HTTP' && Protocol !== 'HTTPS';

/** New connections were seen to come for this long after a target was deregistered (aws/containers-roadmap#470). */
const networkSettleMs = 120_000;

async function targetsIn(
  api: AwsApi<ElasticLoadBalancingV2>,
  { option, arn }: Group,
  signal?: AbortSignal,
): Promise<readonly TargetHealthDescription[]> {
  const { TargetHealthDescriptions = [] } = await api.ask(
    `DescribeTargetHealth ${option}`,
    (client, options) => client.describeTargetHealth({ TargetGroupArn: arn }, options),
    signal,
  );
  return TargetHealthDescriptions;
}
