import type {
  AutoScaling,
  AutoScalingGroup,
  InstanceRefresh,
  LaunchTemplateSpecification,
} from '@aws-sdk/client-auto-scaling';
import type { EC2, Instance } from '@aws-sdk/client-ec2';
import type { ElasticLoadBalancingV2, TargetHealth } from '@aws-sdk/client-elastic-load-balancing-v2';
import { assert } from '../../core/assert.ts';
import { failure } from '../../core/errors.ts';
import { describe, oneOf, textLike, withDefault } from '../../core/field.ts';
import type { Capacity, FleetInstance, GroupState, InstanceId, Place, Refresh } from '../../core/fleet.ts';
import { disturbingRefresh } from '../../core/refresh.ts';
import { disturbing } from '../../core/replacement.ts';
import type { FleetOrder } from '../../ports.ts';
import type { AwsAccess } from '../aws/access.ts';
import type { AwsApi } from '../aws/api.ts';
import { ec2, elbv2, scaling } from '../aws/clients.ts';
import { fleetAccess, fleetApi, unless } from './access.ts';
import { ec2Images } from './images.ts';
import { type FleetKind, fleetKind } from './kind.ts';
import { templateLog } from './log.ts';

/**
 * An Auto Scaling group (API 2011-01-01) whose instances come from a launch template. An image is rolled out as a new version of it,
 * on the model of the one that is in use.
 */
export const autoScaling: FleetKind = fleetKind<GroupOptions>({
  summary: 'An Auto Scaling group of AWS with a launch template, through the AWS SDK.',
  options: {
    group: describe('The name of the group.', textLike('the name of a group', /^[^\p{Cc}]{1,255}$/u)),
    replace: describe(
      "Who replaces instances: 'sluice' proves each new one before it takes traffic, which needs target groups; 'refresh' is an instance " +
        'refresh of AWS, which lets them take traffic first.',
      withDefault(oneOf(['sluice', 'refresh']), 'sluice'),
    ),
    ...fleetAccess,
  },
  surges: true,
  create(options, site) {
    const name = `group ${options.group}`;
    const apis: Apis = {
      name,
      options,
      scaling: fleetApi(name, options, scaling),
      ec2: fleetApi(name, options, ec2),
      elb: fleetApi(name, options, elbv2),
    };
    const isOwn = options.replace === 'sluice';
    return {
      name,
      disturbing: isOwn ? disturbing : disturbingRefresh,
      async observe(signal) {
        const found = await readGroup(apis, signal);
        const state = await stateOf(apis, found, signal);
        if (isOwn) return state;
        return { ...state, kind: 'refreshed group', refresh: await lastRefresh(apis, signal) };
      },
      admit: async () => {},
      placeOf: (image, run, signal) => placeOf(apis, image, run, signal),
      perform: (order, signal) => perform(apis, order, signal),
      news: (sinceMs, signal) => failedActivities(apis, sinceMs, signal),
      images: ec2Images(name, apis.ec2, site),
      log: templateLog(name, apis.ec2),
      close() {
        for (const api of [apis.scaling, apis.ec2, apis.elb]) api.close();
      },
    };
  },
});

interface GroupOptions extends AwsAccess {
  readonly group: string;
  readonly replace: 'sluice' | 'refresh';
}

interface Apis {
  readonly name: string;
  readonly options: GroupOptions;
  readonly scaling: AwsApi<AutoScaling>;
  readonly ec2: AwsApi<EC2>;
  readonly elb: AwsApi<ElasticLoadBalancingV2>;
}

interface Group {
  readonly group: AutoScalingGroup;
  readonly template: LaunchTemplateSpecification;
}

/** Rejects with `FLEET_UNFIT`. */
async function readGroup(apis: Apis, signal?: AbortSignal): Promise<Group> {
  const { group: wanted } = apis.options;
  const { AutoScalingGroups: [group] = [] } = await apis.scaling.ask(
    `DescribeAutoScalingGroups ${wanted}`,
    (client, options) => client.describeAutoScalingGroups({ AutoScalingGroupNames: [wanted] }, options),
    signal,
  );
  const problems = group === undefined ? ['there is no such group'] : problemsOf(apis.options, group);
  if (problems.length > 0) throw failure('FLEET_UNFIT', { fleet: apis.name, problems });
  const template = group && templateOf(group);
  assert(template, 'a group without a launch template is not fit');
  return { group, template };
}

function problemsOf({ replace }: GroupOptions, group: AutoScalingGroup): readonly string[] {
  const {
    SuspendedProcesses = [],
    TargetGroupARNs = [],
    LoadBalancerNames = [],
    MixedInstancesPolicy,
  } = group;
  const needed = [
    'Launch',
    'Terminate',
    ...(replace === 'refresh' ? ['AddToLoadBalancer', 'InstanceRefresh'] : []),
  ];
  const asleep = SuspendedProcesses.map(({ ProcessName = '' }) => ProcessName).filter((one) =>
    needed.includes(one),
  );
  const overrides = MixedInstancesPolicy?.LaunchTemplate?.Overrides ?? [];
  return [
    ...(templateOf(group) ? [] : ['it has a launch configuration, and a launch template is needed']),
    ...(overrides.some(({ LaunchTemplateSpecification: own }) => own)
      ? ['some of its instance types have launch templates of their own']
      : []),
    ...(asleep.length > 0 ? [`suspended are ${asleep.join(', ')}, without which nothing is replaced`] : []),
    ...(replace === 'sluice' && TargetGroupARNs.length === 0
      ? ["it has no target group, in which sluice could let instances take traffic: set replace to 'refresh'"]
      : []),
    ...(replace === 'sluice' && LoadBalancerNames.length > 0
      ? ["it has a Classic Load Balancer, which this does not know: set replace to 'refresh'"]
      : []),
  ];
}

const templateOf = ({
  LaunchTemplate,
  MixedInstancesPolicy,
}: AutoScalingGroup): LaunchTemplateSpecification | null =>
  LaunchTemplate ?? MixedInstancesPolicy?.LaunchTemplate?.LaunchTemplateSpecification ?? null;

async function stateOf(apis: Apis, { group, template }: Group, signal?: AbortSignal): Promise<GroupState> {
  const ids = (group.Instances ?? []).map(({ InstanceId = '' }) => InstanceId);
  const [place, machines, targets] = await Promise.all([
    placeNow(apis, template, signal),
    machinesOf(apis, ids, signal),
    targetsOf(apis, group.TargetGroupARNs ?? [], signal),
  ]);
  return {
    kind: 'group',
    place,
    capacity: { min: group.MinSize ?? 0, desired: group.DesiredCapacity ?? 0, max: group.MaxSize ?? 0 },
    suspended: (group.SuspendedProcesses ?? []).map(({ ProcessName = '' }) => ProcessName).toSorted(),
    instances: (group.Instances ?? []).flatMap(
      ({ InstanceId = '', LifecycleState = '', HealthStatus = '' }) => {
        const machine = machines.get(InstanceId);
        // EC2 may not know yet what the group has just started, and no longer what it ended.
        if (machine === undefined) return [];
        const health = targets.map((one) => one.get(InstanceId) ?? null);
        const isUp = HealthStatus.toLowerCase() === 'healthy' && machine.State?.Name === 'running';
        const instance: FleetInstance = {
          id: InstanceId,
          image: machine.ImageId ?? '',
          address: machine.PrivateIpAddress ?? null,
          phase: phaseOf(LifecycleState),
          traffic: trafficOf(health),
          healthy: isUp && health.every((one) => one?.State === 'healthy'),
        };
        return [instance];
      },
    ),
  };
}

async function placeNow(
  apis: Apis,
  template: LaunchTemplateSpecification,
  signal?: AbortSignal,
): Promise<Place> {
  const version = await versionOf(apis, template, template.Version ?? '$Default', signal);
  return { image: version.LaunchTemplateData?.ImageId ?? '', version: `${version.VersionNumber}` };
}

async function versionOf(
  { name, ec2: api }: Apis,
  template: LaunchTemplateSpecification,
  version: string,
  signal?: AbortSignal,
) {
  const request = `DescribeLaunchTemplateVersions ${template.LaunchTemplateName} ${version}`;
  const { LaunchTemplateVersions: [found] = [] } = await api.ask(
    request,
    (client, options) =>
      client.describeLaunchTemplateVersions(
        { ...named(template), Versions: [version], ResolveAlias: true },
        options,
      ),
    signal,
  );
  if (found) return found;
  throw failure('FLEET_REFUSED', { fleet: name, request, answer: 'there is no such version' });
}

/** By its id alone: AWS takes one of both. */
const named = ({ LaunchTemplateId, LaunchTemplateName }: LaunchTemplateSpecification) =>
  LaunchTemplateId ? { LaunchTemplateId } : { LaunchTemplateName };

async function machinesOf(
  { ec2: api }: Apis,
  ids: readonly InstanceId[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<InstanceId, Instance>> {
  if (ids.length === 0) return new Map();
  // By a filter, for then one that EC2 does not know is left out, and no error.
  const Filters = [{ Name: 'instance-id', Values: [...ids] }];
  const { Reservations = [] } = await api.ask(
    'DescribeInstances',
    (client, options) => client.describeInstances({ Filters }, options),
    signal,
  );
  const instances = Reservations.flatMap(({ Instances = [] }) => Instances);
  return new Map(instances.map((one) => [one.InstanceId ?? '', one]));
}

type Targets = ReadonlyMap<InstanceId, TargetHealth>;

const targetsOf = (
  { elb }: Apis,
  groups: readonly string[],
  signal?: AbortSignal,
): Promise<readonly Targets[]> =>
  Promise.all(
    groups.map(async (TargetGroupArn) => {
      const { TargetHealthDescriptions = [] } = await elb.ask(
        `DescribeTargetHealth ${TargetGroupArn}`,
        (client, options) => client.describeTargetHealth({ TargetGroupArn }, options),
        signal,
      );
      return new Map(
        TargetHealthDescriptions.map(({ Target, TargetHealth: health = {} }) => [Target?.Id ?? '', health]),
      );
    }),
  );

/** Of Instance.LifecycleState (API Reference, Instance), whose parts follow a colon. What waits in a warm pool is none of ours. */
function phaseOf(state: string): FleetInstance['phase'] {
  const [stage = ''] = state.split(':');
  return phases[stage] ?? 'aside';
}

const phases: Readonly<Record<string, FleetInstance['phase']>> = {
  Pending: 'starting',
  InService: 'in service',
  Terminating: 'ending',
  Terminated: 'ending',
};

/** Without target groups nobody can say more than that it is there. */
function trafficOf(health: readonly (TargetHealth | null)[]): FleetInstance['traffic'] {
  const states = health.map((one) =>
    one === null || isUnknown(one) ? 'out' : one.State === 'draining' ? 'draining' : 'in',
  );
  const entered = states.filter((state) => state === 'in').length;
  if (entered === states.length) return 'in';
  if (entered > 0) return 'partly';
  return states.includes('draining') ? 'draining' : 'out';
}

/** One that is registered and gets nothing is `unused` as well. */
const isUnknown = ({ State, Reason }: TargetHealth): boolean =>
  State === 'unused' && Reason !== 'Target.NotInUse' && Reason !== 'Target.InvalidState';

async function lastRefresh({ scaling, options }: Apis, signal?: AbortSignal): Promise<Refresh | null> {
  const { InstanceRefreshes: [last] = [] } = await scaling.ask(
    `DescribeInstanceRefreshes ${options.group}`,
    (client, call) =>
      client.describeInstanceRefreshes({ AutoScalingGroupName: options.group, MaxRecords: 1 }, call),
    signal,
  );
  return last === undefined ? null : refreshOf(last);
}

function refreshOf({
  Status = 'Failed',
  StatusReason,
  PercentageComplete,
  DesiredConfiguration,
}: InstanceRefresh): Refresh {
  const template =
    DesiredConfiguration?.LaunchTemplate ??
    DesiredConfiguration?.MixedInstancesPolicy?.LaunchTemplate?.LaunchTemplateSpecification;
  return {
    version: template?.Version ?? null,
    state: refreshStates[Status] ?? 'failed',
    percent: PercentageComplete ?? 0,
    reason: StatusReason ?? null,
  };
}

/** Of InstanceRefresh.Status (API Reference, InstanceRefresh). */
const refreshStates: Readonly<Record<string, Refresh['state']>> = {
  Pending: 'under way',
  InProgress: 'under way',
  Baking: 'under way',
  Cancelling: 'ending',
  RollbackInProgress: 'ending',
  Successful: 'successful',
};

/** The version that this run made, or one that it makes now on the model of what is in use. */
async function placeOf(apis: Apis, image: string, run: string, signal?: AbortSignal): Promise<Place> {
  const { template } = await readGroup(apis, signal);
  const { name, ec2: api } = apis;
  const label = `sluice ${run}`;
  const model = await versionOf(apis, template, template.Version ?? '$Default', signal);
  const { LaunchTemplateVersions: newer = [] } = await api.ask(
    `DescribeLaunchTemplateVersions ${template.LaunchTemplateName}`,
    (client, options) =>
      client.describeLaunchTemplateVersions(
        { ...named(template), MinVersion: `${model.VersionNumber}`, MaxResults: 200 },
        options,
      ),
    signal,
  );
  const made = newer.find(({ VersionDescription }) => VersionDescription === label);
  if (made) return { image, version: `${made.VersionNumber}` };
  const request = `CreateLaunchTemplateVersion ${template.LaunchTemplateName}`;
  const { LaunchTemplateVersion: version } = await api.ask(
    request,
    (client, options) =>
      client.createLaunchTemplateVersion(
        {
          ...named(template),
          SourceVersion: `${model.VersionNumber}`,
          LaunchTemplateData: { ImageId: image },
          VersionDescription: label,
          ClientToken: label.replaceAll(' ', '-'),
        },
        options,
      ),
    signal,
  );
  if (version?.VersionNumber) return { image, version: `${version.VersionNumber}` };
  throw failure('FLEET_REFUSED', { fleet: name, request, answer: 'no version came back' });
}

type Orders = {
  readonly [K in FleetOrder['kind']]?: (
    apis: Apis,
    order: Extract<FleetOrder, { readonly kind: K }>,
    signal?: AbortSignal,
  ) => Promise<unknown>;
};

const orders: Orders = {
  suspend: ({ scaling, options: { group } }, { processes }, signal) =>
    scaling.ask(
      `SuspendProcesses ${group} ${processes.join(' ')}`,
      (client, options) =>
        client.suspendProcesses({ AutoScalingGroupName: group, ScalingProcesses: [...processes] }, options),
      signal,
    ),
  unsuspend: ({ scaling, options: { group } }, { processes }, signal) =>
    scaling.ask(
      `ResumeProcesses ${group} ${processes.join(' ')}`,
      (client, options) =>
        client.resumeProcesses({ AutoScalingGroupName: group, ScalingProcesses: [...processes] }, options),
      signal,
    ),
  size: async (apis, { version, capacity }, signal) => resize(apis, version, capacity, signal),
  enable: (apis, { instances }, signal) => register(apis, instances, 'in', signal),
  drain: (apis, { instances }, signal) => register(apis, instances, 'out', signal),
  async end(apis, { instances }, signal) {
    for (const id of instances) await end(apis, id, signal);
  },
  async refresh(apis, { version, healthyMin, healthyMax }, signal) {
    const { group: name } = apis.options;
    const { group } = await readGroup(apis, signal);
    await unless(
      ['InstanceRefreshInProgress'],
      apis.scaling.ask(
        `StartInstanceRefresh ${name}`,
        (client, options) =>
          client.startInstanceRefresh(
            {
              AutoScalingGroupName: name,
              Strategy: 'Rolling',
              DesiredConfiguration: templateAt(group, version),
              Preferences: {
                MinHealthyPercentage: healthyMin,
                MaxHealthyPercentage: healthyMax,
                SkipMatching: true,
                // What an operator put aside stays as it is.
                StandbyInstances: 'Ignore',
                ScaleInProtectedInstances: 'Refresh',
              },
            },
            options,
          ),
        signal,
      ),
    );
  },
  'cancel refresh': ({ scaling, options: { group } }, _, signal) =>
    unless(
      ['ActiveInstanceRefreshNotFound'],
      scaling.ask(
        `CancelInstanceRefresh ${group}`,
        (client, options) => client.cancelInstanceRefresh({ AutoScalingGroupName: group }, options),
        signal,
      ),
    ),
};

async function perform(apis: Apis, order: FleetOrder, signal?: AbortSignal): Promise<void> {
  // The table takes each kind by orders of that kind.
  const work = orders[order.kind] as
    | ((apis: Apis, order: FleetOrder, signal?: AbortSignal) => Promise<unknown>)
    | undefined;
  assert(work, `a group is never told to ${order.kind}`);
  await work(apis, order, signal);
}

/** Template and sizes by one call: nothing is started of the wrong version. */
async function resize(
  apis: Apis,
  version: string | null,
  { min, desired, max }: Capacity,
  signal?: AbortSignal,
): Promise<void> {
  const { group: name } = apis.options;
  const { group } = await readGroup(apis, signal);
  await apis.scaling.ask(
    `UpdateAutoScalingGroup ${name} ${min}/${desired}/${max}`,
    (client, options) =>
      client.updateAutoScalingGroup(
        {
          AutoScalingGroupName: name,
          MinSize: min,
          DesiredCapacity: desired,
          MaxSize: max,
          ...templateAt(group, version),
        },
        options,
      ),
    signal,
  );
}

/** The template of the group as it is, at another version. */
function templateAt(
  { LaunchTemplate, MixedInstancesPolicy: mixed }: AutoScalingGroup,
  version: string | null,
): Pick<AutoScalingGroup, 'LaunchTemplate' | 'MixedInstancesPolicy'> {
  if (version === null) return {};
  if (LaunchTemplate) return { LaunchTemplate: { ...named(LaunchTemplate), Version: version } };
  const own = mixed?.LaunchTemplate?.LaunchTemplateSpecification;
  assert(own, 'a group without a launch template is not fit');
  const LaunchTemplateSpecification = { ...named(own), Version: version };
  return {
    MixedInstancesPolicy: {
      ...mixed,
      LaunchTemplate: { ...mixed?.LaunchTemplate, LaunchTemplateSpecification },
    },
  };
}

async function register(
  apis: Apis,
  instances: readonly InstanceId[],
  to: 'in' | 'out',
  signal?: AbortSignal,
): Promise<void> {
  const { group } = await readGroup(apis, signal);
  const Targets = instances.map((Id) => ({ Id }));
  for (const TargetGroupArn of group.TargetGroupARNs ?? [])
    await apis.elb.ask(
      `${to === 'in' ? 'RegisterTargets' : 'DeregisterTargets'} ${TargetGroupArn} ${instances.join(' ')}`,
      (client, options): Promise<unknown> =>
        to === 'in'
          ? client.registerTargets({ TargetGroupArn, Targets }, options)
          : client.deregisterTargets({ TargetGroupArn, Targets }, options),
      signal,
    );
}

/** Only one that has not ended yet: another time would take one more off the capacity. */
async function end({ scaling }: Apis, id: InstanceId, signal?: AbortSignal): Promise<void> {
  const { AutoScalingInstances: [now] = [] } = await scaling.ask(
    `DescribeAutoScalingInstances ${id}`,
    (client, options) => client.describeAutoScalingInstances({ InstanceIds: [id] }, options),
    signal,
  );
  if (phaseOf(now?.LifecycleState ?? 'Terminated') === 'ending') return;
  await unless(
    ['ScalingActivityInProgress'],
    scaling.ask(
      `TerminateInstanceInAutoScalingGroup ${id}`,
      (client, options) =>
        client.terminateInstanceInAutoScalingGroup(
          { InstanceId: id, ShouldDecrementDesiredCapacity: true },
          options,
        ),
      signal,
    ),
  );
}

/** What AWS could not do by itself: no capacity, say, or an image that is not allowed. */
async function failedActivities(
  { scaling, options: { group } }: Apis,
  sinceMs: number,
  signal?: AbortSignal,
) {
  const { Activities = [] } = await scaling.ask(
    `DescribeScalingActivities ${group}`,
    (client, options) =>
      client.describeScalingActivities({ AutoScalingGroupName: group, MaxRecords: 20 }, options),
    signal,
  );
  return Activities.filter(({ StatusCode }) => StatusCode === 'Failed' || StatusCode === 'Cancelled')
    .map(({ StartTime, Description = '', StatusMessage = '' }) => ({
      atMs: StartTime?.getTime() ?? 0,
      text: `${Description}: ${StatusMessage}`,
    }))
    .filter(({ atMs }) => atMs >= sinceMs)
    .toSorted((a, b) => a.atMs - b.atMs);
}
