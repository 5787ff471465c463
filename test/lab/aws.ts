import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Action } from '@aws-sdk/client-elastic-load-balancing-v2';
import { type PoolServer, setRotation } from '../../src/sandbox/balancer-pool.ts';
import { answerXml, errorXml, type Fields, parametersOf, signerOf, type Value } from './aws-query.ts';
import { bodyOf, type DataPlane, listening, newServer, startDataPlane, stopped } from './data-plane.ts';

/**
 * Elastic Load Balancing as its API References (2015-12-01, and 2012-06-01 for classic ones) describe it, with one load balancer
 * of listeners, any number of classic ones, and requests that really go through them: what is deregistered drains for the delay of its group, what is registered waits for its checks, and
 * what AWS refuses is refused.
 */
export async function startAws({
  groups = [],
  listeners = [],
  classic = [],
  instances = {},
}: AwsSetup): Promise<FakeAws> {
  const plane = startDataPlane();
  let passedMs = 0;
  const model: Model = {
    nowMs: () => passedMs,
    plane,
    instances,
    groups: groups.map((group) => ({
      protocol: 'HTTP',
      port: 80,
      delayMs: 300_000,
      type: 'ip',
      targets: [],
      ...group,
      arn: groupArn(group.name),
    })),
    forwarders: [],
    classic: classic.map((one) => ({ drains: true, delayMs: 300_000, targets: [], ...one })),
  };
  const urls: string[] = [];
  for (const [i, { actions, rules = [], protocol = 'HTTP' }] of listeners.entries()) {
    const listener: Forwarder = {
      arn: `${arnStart}:listener/app/front/1/${i + 1}`,
      listener: null,
      protocol,
      path: '/',
      actions: actions.map(complete),
    };
    const own = rules.map(
      (rule, j): Forwarder => ({
        arn: `${arnStart}:listener-rule/app/front/1/${i + 1}/${j + 1}`,
        listener,
        protocol,
        path: rule.path,
        actions: rule.actions.map(complete),
      }),
    );
    model.forwarders.push(listener, ...own);
    urls.push(
      await plane.listen((path) => chosenGroup(own.find((rule) => path.startsWith(rule.path)) ?? listener)),
    );
  }
  for (const { name } of model.classic) urls.push(await plane.listen(() => classicPool(name)));
  let throttled = 0;
  const requests: string[] = [];
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    const asked = parametersOf(body) as unknown as Asked;
    requests.push(asked.Action);
    const send = (status: number, text: string) =>
      response.writeHead(status, { 'content-type': 'text/xml' }).end(text);
    try {
      if (throttled > 0) {
        throttled -= 1;
        throw new Refusal('Throttling', 'Rate exceeded');
      }
      mustBeAllowed(request, body, asked.Action);
      const answer = actions[asked.Action];
      if (!answer) throw new Refusal('InvalidAction', `Could not find operation ${asked.Action}`);
      send(200, answerXml(asked.Action, answer(model, asked)));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      send(error.status, errorXml(error.code, error.message));
    }
  };
  let api = await listening((request, response) => void handle(request, response));
  const { port, url: endpoint } = api;
  return {
    endpoint,
    urls,
    requests,
    groupArn,
    pass(ms) {
      passedMs += ms;
    },
    throttleNext: (count) => {
      throttled = count;
    },
    register: (group, ...targets) =>
      registerTargets(model, { TargetGroupArn: groupArn(group), Targets: targets }),
    deregister: (group, ...targets) =>
      deregisterTargets(model, { TargetGroupArn: groupArn(group), Targets: targets }),
    actionsOf: () => model.forwarders.map((forwarder) => forwarder.actions),
    stopApi: () => stopped(api.server),
    async restartApi() {
      await stopped(api.server);
      api = await listening((request, response) => void handle(request, response), port);
    },
    async close() {
      await stopped(api.server);
      plane.close();
    },
  };
}

export interface AwsSetup {
  readonly groups?: readonly (Pick<Group, 'name'> & Partial<Group>)[];
  readonly listeners?: readonly {
    readonly protocol?: string;
    readonly actions: readonly Action[];
    readonly rules?: readonly { readonly path: string; readonly actions: readonly Action[] }[];
  }[];
  readonly classic?: readonly (Pick<ClassicBalancer, 'name'> & Partial<ClassicBalancer>)[];
  /** Instances that there are, each with the port on which it listens, on the loopback address, for classic load balancers. */
  readonly instances?: Readonly<Record<string, number>>;
}

export interface FakeAws {
  readonly endpoint: string;
  /** Of each listener, then of each classic load balancer. */
  readonly urls: readonly string[];
  /** The actions that were asked for so far. */
  readonly requests: readonly string[];
  readonly groupArn: (name: string) => string;
  /** Lets time pass, which else stands still: delays come to their end by it. */
  pass(ms: number): void;
  /** The next so many questions are too many. */
  throttleNext(count: number): void;
  register(group: string, ...targets: readonly AskedTarget[]): void;
  deregister(group: string, ...targets: readonly AskedTarget[]): void;
  /** Of each listener and rule, in order. */
  actionsOf(): readonly (readonly Action[])[];
  /** The load balancer itself goes on. */
  stopApi(): Promise<void>;
  restartApi(): Promise<void>;
  close(): Promise<void>;
}

export const groupArn = (name: string): string => `${arnStart}:targetgroup/${name}/0123456789abcdef`;
const arnStart = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012';
const loadBalancerArn = `${arnStart}:loadbalancer/app/front/1`;

/** Who may do all, and who may only look. */
export const awsKeys = { owner: 'owner-secret', reader: 'reader-secret' } as const;

interface Model {
  readonly nowMs: () => number;
  readonly plane: DataPlane;
  readonly instances: Readonly<Record<string, number>>;
  readonly classic: readonly ClassicBalancer[];
  readonly groups: readonly Group[];
  readonly forwarders: Forwarder[];
}

interface Group {
  readonly name: string;
  readonly arn: string;
  readonly protocol: string;
  readonly port: number;
  readonly type: 'ip' | 'instance';
  /** The deregistration delay. */
  readonly delayMs: number;
  readonly targets: RegisteredTarget[];
}

interface ClassicBalancer {
  readonly name: string;
  /** Connection draining is on. */
  readonly drains: boolean;
  readonly delayMs: number;
  readonly targets: RegisteredTarget[];
}

interface RegisteredTarget {
  readonly id: string;
  readonly port: number;
  readonly server: PoolServer;
  drainedAtMs: number | null;
}

/** A listener's default action, or a rule. */
interface Forwarder {
  readonly arn: string;
  readonly listener: Forwarder | null;
  readonly protocol: string;
  readonly path: string;
  actions: readonly Action[];
}

interface AskedTarget {
  readonly Id: string;
  readonly Port?: number | string;
}

interface Asked {
  readonly Action: string;
  readonly Names?: readonly string[];
  readonly TargetGroupArns?: readonly string[];
  readonly TargetGroupArn: string;
  readonly Targets: readonly AskedTarget[];
  readonly ListenerArn: string;
  readonly LoadBalancerArn: string;
  readonly RuleArn: string;
  readonly Marker?: string;
  readonly Actions: readonly Action[];
  readonly DefaultActions: readonly Action[];
  readonly LoadBalancerName: string;
  readonly Instances?: readonly { readonly InstanceId: string }[];
}

class Refusal extends Error {
  readonly code: string;
  readonly status: number;
  constructor(code: string, message: string, status = 400) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

function mustBeAllowed(request: IncomingMessage, body: string, action: string): void {
  const signer = signerOf(request, body, awsKeys);
  if ('refusal' in signer)
    throw new Refusal(signer.refusal, 'The security token included in the request is invalid', 403);
  if (signer.key !== 'owner' && !action.startsWith('Describe'))
    throw new Refusal('AccessDenied', `User: ${signer.key} is not authorized to perform ${action}`, 403);
}

const actions: Readonly<Record<string, (model: Model, asked: Asked) => Fields>> = {
  DescribeTargetGroups({ groups, forwarders }, { Names = [], TargetGroupArns = [] }) {
    const missing = [...Names, ...TargetGroupArns].filter(
      (wanted) => !groups.some(({ name, arn }) => wanted === name || wanted === arn),
    );
    if (missing.length > 0) throw new Refusal('TargetGroupNotFound', 'One or more target groups not found');
    const found = groups.filter(({ name, arn }) => Names.includes(name) || TargetGroupArns.includes(arn));
    return {
      TargetGroups: found.map((group) => ({
        TargetGroupArn: group.arn,
        TargetGroupName: group.name,
        Protocol: group.protocol,
        Port: group.port,
        TargetType: group.type,
        HealthCheckIntervalSeconds: 30,
        UnhealthyThresholdCount: 2,
        LoadBalancerArns: isUsed(forwarders, group) ? [loadBalancerArn] : [],
      })),
    };
  },
  DescribeTargetHealth(model, { TargetGroupArn }) {
    const group = groupWith(model, TargetGroupArn);
    forgetDrained(model, group);
    return {
      TargetHealthDescriptions: group.targets.map(({ id, port, server, drainedAtMs }) => ({
        Target: { Id: id, Port: port },
        HealthCheckPort: port,
        TargetHealth: drainedAtMs === null ? healthOf(model, group, server) : draining,
      })),
    };
  },
  RegisterTargets(model, asked) {
    registerTargets(model, asked);
    return {};
  },
  DeregisterTargets(model, asked) {
    deregisterTargets(model, asked);
    return {};
  },
  DescribeListeners({ forwarders }, { LoadBalancerArn, Marker }) {
    if (LoadBalancerArn !== loadBalancerArn)
      throw new Refusal('LoadBalancerNotFound', 'One or more load balancers not found');
    const listeners = forwarders.filter(({ listener }) => listener === null);
    return pageOf('Listeners', listeners, Marker, ({ arn, protocol, actions: DefaultActions }) => ({
      ListenerArn: arn,
      LoadBalancerArn,
      Protocol: protocol,
      DefaultActions: DefaultActions as unknown as Value,
    }));
  },
  DescribeRules({ forwarders }, { ListenerArn, Marker }) {
    const rules = forwarders.filter(
      ({ arn, listener }) => arn === ListenerArn || listener?.arn === ListenerArn,
    );
    if (rules.length === 0) throw new Refusal('ListenerNotFound', 'One or more listeners not found');
    return pageOf('Rules', rules, Marker, ({ arn, listener, actions: Actions }) => ({
      RuleArn: arn,
      IsDefault: listener === null,
      Actions: Actions as unknown as Value,
    }));
  },
  ...classicActions(),
  ModifyListener: (model, { ListenerArn, DefaultActions }) =>
    modify(model, ListenerArn, DefaultActions, 'ListenerNotFound'),
  ModifyRule: (model, { RuleArn, Actions }) => modify(model, RuleArn, Actions, 'RuleNotFound'),
};

function classicActions(): Readonly<Record<string, (model: Model, asked: Asked) => Fields>> {
  return {
    DescribeLoadBalancerAttributes: (model, { LoadBalancerName }) => ({
      LoadBalancerAttributes: {
        ConnectionDraining: { Enabled: classicNamed(model, LoadBalancerName).drains },
      },
    }),
    DescribeInstanceHealth(model, { LoadBalancerName, Instances }) {
      const balancer = classicNamed(model, LoadBalancerName);
      forgetDrained(model, balancer);
      const wanted = Instances?.map(({ InstanceId }) => InstanceId) ?? balancer.targets.map(({ id }) => id);
      mustBeInstances(model, wanted);
      return {
        InstanceStates: wanted.map((id) => ({
          InstanceId: id,
          ...instanceStateOf(balancer.targets.find((target) => target.id === id)),
        })),
      };
    },
    RegisterInstancesWithLoadBalancer(model, { LoadBalancerName, Instances = [] }) {
      const balancer = classicNamed(model, LoadBalancerName);
      mustBeInstances(
        model,
        Instances.map(({ InstanceId }) => InstanceId),
      );
      for (const { InstanceId: id } of Instances) {
        const target = balancer.targets.find((one) => one.id === id) ?? addedInstance(model, balancer, id);
        target.drainedAtMs = null;
        setRotation(target.server, 'in');
      }
      return { Instances: balancer.targets.map(({ id }) => ({ InstanceId: id })) };
    },
    DeregisterInstancesFromLoadBalancer(model, { LoadBalancerName, Instances = [] }) {
      const balancer = classicNamed(model, LoadBalancerName);
      for (const target of balancer.targets) {
        if (target.drainedAtMs !== null || !Instances.some(({ InstanceId }) => InstanceId === target.id))
          continue;
        target.drainedAtMs = model.nowMs();
        setRotation(target.server, 'out');
      }
      // Those that are left, at once: not those that have drained.
      const left = balancer.targets.filter(({ drainedAtMs }) => drainedAtMs === null);
      return { Instances: left.map(({ id }) => ({ InstanceId: id })) };
    },
  };
}

function classicNamed({ classic }: Model, name: string): ClassicBalancer {
  const found = classic.find((one) => one.name === name);
  if (!found) throw new Refusal('LoadBalancerNotFound', `There is no ACTIVE Load Balancer named '${name}'`);
  return found;
}

function mustBeInstances({ instances }: Model, ids: readonly string[]): void {
  const stray = ids.find((id) => instances[id] === undefined);
  if (stray) throw new Refusal('InvalidInstance', `Could not find EC2 instance ${stray}.`);
}

const classicPool = (name: string): string => `classic ${name}`;

function addedInstance(
  { plane, instances }: Model,
  { name, targets }: ClassicBalancer,
  id: string,
): RegisteredTarget {
  const port = instances[id]!;
  const server = newServer({ name: `${name} ${id}`, host: '127.0.0.1', port, pool: classicPool(name) });
  const target = { id, port, server, drainedAtMs: null };
  targets.push(target);
  plane.servers.push(server);
  return target;
}

function instanceStateOf(target: RegisteredTarget | undefined): Fields {
  const state = (State: string, ReasonCode: string, Description: string) => ({
    State,
    ReasonCode,
    Description,
  });
  if (target === undefined)
    return state('OutOfService', 'Instance', 'Instance is not currently registered with the LoadBalancer.');
  if (target.drainedAtMs !== null)
    return state('InService', 'N/A', 'Instance deregistration currently in progress.');
  const { health } = target.server;
  if (health === 'up') return state('InService', 'N/A', 'N/A');
  return health === 'down'
    ? state(
        'OutOfService',
        'Instance',
        'Instance has failed at least the UnhealthyThreshold number of health checks consecutively.',
      )
    : state('OutOfService', 'ELB', 'Instance registration is still in progress.');
}

function groupWith({ groups }: Model, arn: string | undefined): Group {
  const group = groups.find((one) => one.arn === arn);
  if (!group) throw new Refusal('TargetGroupNotFound', 'One or more target groups not found');
  return group;
}

const isUsed = (forwarders: readonly Forwarder[], { arn }: Group): boolean =>
  forwarders.some((forwarder) => groupsIn(forwarder).some(({ TargetGroupArn }) => TargetGroupArn === arn));

const groupsIn = ({ actions: own }: Pick<Forwarder, 'actions'>) =>
  own.flatMap(({ ForwardConfig }) => ForwardConfig?.TargetGroups ?? []);

const draining = {
  State: 'draining',
  Reason: 'Target.DeregistrationInProgress',
  Description: 'Target deregistration is in progress',
};

function healthOf({ forwarders }: Model, group: Group, { health }: PoolServer): Fields {
  if (!isUsed(forwarders, group)) return { State: 'unused', Reason: 'Target.NotInUse' };
  if (health === 'up') return { State: 'healthy' };
  return health === 'down'
    ? { State: 'unhealthy', Reason: 'Target.ResponseCodeMismatch' }
    : { State: 'initial', Reason: 'Elb.RegistrationInProgress' };
}

/** Requests that are still in flight when the delay is over are cut by AWS; here they end. */
function forgetDrained(
  { plane, nowMs }: Model,
  { targets, delayMs }: Pick<Group, 'targets' | 'delayMs'>,
): void {
  const isOver = ({ drainedAtMs }: RegisteredTarget) =>
    drainedAtMs !== null && nowMs() - drainedAtMs >= delayMs;
  for (const target of targets.filter(isOver)) {
    targets.splice(targets.indexOf(target), 1);
    plane.servers.splice(plane.servers.indexOf(target.server), 1);
  }
}

function registerTargets(
  model: Model,
  { TargetGroupArn, Targets }: Pick<Asked, 'TargetGroupArn' | 'Targets'>,
): void {
  const group = groupWith(model, TargetGroupArn);
  for (const { Id } of Targets) mustBeTarget(model, group, Id);
  forgetDrained(model, group);
  for (const asked of Targets) {
    const found = group.targets.find(isTarget(group, asked)) ?? added(model, group, asked);
    found.drainedAtMs = null;
    setRotation(found.server, 'in');
  }
}

function added({ plane }: Model, group: Group, { Id, Port }: AskedTarget): RegisteredTarget {
  const port = Number(Port ?? group.port);
  const host = group.type === 'ip' ? Id : '127.0.0.1';
  const target = {
    id: Id,
    port,
    server: newServer({ name: `${group.name} ${Id}:${port}`, host, port, pool: group.arn }),
    drainedAtMs: null,
  };
  group.targets.push(target);
  plane.servers.push(target.server);
  return target;
}

/** What is not registered may be deregistered. */
function deregisterTargets(
  model: Model,
  { TargetGroupArn, Targets }: Pick<Asked, 'TargetGroupArn' | 'Targets'>,
): void {
  const group = groupWith(model, TargetGroupArn);
  for (const { Id } of Targets) mustBeTarget(model, group, Id);
  for (const asked of Targets) {
    const target = group.targets.find(isTarget(group, asked));
    if (!target || target.drainedAtMs !== null) continue;
    target.drainedAtMs = model.nowMs();
    setRotation(target.server, 'out');
  }
}

const isTarget =
  (group: Group, { Id, Port }: AskedTarget) =>
  ({ id, port }: RegisteredTarget): boolean =>
    id === Id && port === Number(Port ?? group.port);

function mustBeTarget({ instances }: Model, { type }: Group, id: string): void {
  const isInstance = id.startsWith('i-');
  if (isInstance !== (type === 'instance'))
    throw new Refusal('ValidationError', `The target '${id}' is not a valid ${type} target`);
  if (isInstance && instances[id] === undefined)
    throw new Refusal('InvalidTarget', `The following targets are not in a running state: ${id}`);
}

/** One at a time, so that whoever does not ask for the next page misses something. */
function pageOf<T>(
  name: string,
  all: readonly T[],
  marker: string | undefined,
  show: (item: T) => Fields,
): Fields {
  const at = Number(marker ?? 0);
  return {
    [name]: all.slice(at, at + 1).map(show),
    NextMarker: at + 1 < all.length ? String(at + 1) : undefined,
  };
}

function modify(model: Model, arn: string, wanted: readonly Action[], code: string): Fields {
  const forwarder = model.forwarders.find((one) => one.arn === arn);
  if (!forwarder) throw new Refusal(code, `${code} ${arn}`);
  for (const action of wanted) mustBeAction(model, action);
  forwarder.actions = wanted.map(typed).map(complete);
  return {};
}

function mustBeAction(
  model: Model,
  { Type, TargetGroupArn, ForwardConfig, AuthenticateOidcConfig }: Action,
): void {
  const { ClientSecret, UseExistingClientSecret } = AuthenticateOidcConfig ?? {};
  if (AuthenticateOidcConfig && !ClientSecret && String(UseExistingClientSecret) !== 'true')
    throw new Refusal('ValidationError', 'A client secret is required');
  if (Type !== 'forward') return;
  const groups = ForwardConfig?.TargetGroups ?? [];
  if (
    TargetGroupArn &&
    groups.length > 0 &&
    (groups.length > 1 || groups[0]!.TargetGroupArn !== TargetGroupArn)
  )
    throw new Refusal('ValidationError', 'TargetGroupArn and ForwardConfig must name the same target group');
  for (const { TargetGroupArn: arn } of TargetGroupArn ? [{ TargetGroupArn }, ...groups] : groups)
    groupWith(model, arn);
  for (const { Weight } of groups)
    if (!(Number(Weight) >= 0 && Number(Weight) <= 999))
      throw new Refusal('ValidationError', `Weight ${Weight} must be from 0 to 999`);
}

/** A question has texts only. */
const typed = (action: Action): Action => ({
  ...action,
  ...(action.Order === undefined ? {} : { Order: Number(action.Order) }),
  ...(action.ForwardConfig
    ? {
        ForwardConfig: {
          ...action.ForwardConfig,
          TargetGroups: (action.ForwardConfig.TargetGroups ?? []).map(({ TargetGroupArn, Weight }) => ({
            TargetGroupArn,
            Weight: Number(Weight),
          })),
        },
      }
    : {}),
});

/** AWS shows an action both ways where both can say it, and never a client's secret. */
function complete(action: Action): Action {
  const { AuthenticateOidcConfig: oidc } = action;
  if (oidc) {
    const { ClientSecret: _, UseExistingClientSecret: __, ...shown } = oidc;
    return { ...action, AuthenticateOidcConfig: shown };
  }
  if (action.Type !== 'forward') return action;
  const groups = action.ForwardConfig?.TargetGroups ?? [{ TargetGroupArn: action.TargetGroupArn, Weight: 1 }];
  const { TargetGroupArn: __, ...rest } = action;
  return {
    ...rest,
    ...(groups.length === 1 ? { TargetGroupArn: groups[0]!.TargetGroupArn } : {}),
    ForwardConfig: { ...action.ForwardConfig, TargetGroups: groups },
  };
}

/** By weight; of what has none, nothing. */
function chosenGroup(forwarder: Forwarder): string {
  const lots = groupsIn(forwarder).flatMap(({ TargetGroupArn, Weight }) =>
    Array.from({ length: Number(Weight ?? 1) }, () => TargetGroupArn),
  );
  return lots[Math.floor(Math.random() * lots.length)] ?? 'none';
}
