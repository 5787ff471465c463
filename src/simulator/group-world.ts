import {
  type Capacity,
  type FleetInstance,
  type GroupState,
  type ImageId,
  type InstanceId,
  isAlive,
  isServing,
  type RefreshedState,
} from '../core/fleet.ts';
import { disturbingRefresh } from '../core/refresh.ts';
import { disturbing } from '../core/replacement.ts';
import type { FleetOrder } from '../ports.ts';
import {
  type Account,
  addressOf,
  asked,
  comesFrom,
  every,
  type FleetWorld,
  type FleetWorldOptions,
  hostOf,
  newAccount,
  newImage,
  oldImage,
  refused,
  say,
  worldOf,
} from './fleet-world.ts';

export interface GroupWorldOptions extends FleetWorldOptions {
  readonly capacity: Capacity;
  /** Whether sluice replaces, or an instance refresh does. */
  readonly replace: 'sluice' | 'refresh';
  /** The floor, in instances. */
  readonly servingMin: number;
  /** Processes that somebody had suspended before. */
  readonly suspended: readonly string[];
}

/** An Auto Scaling group: it starts, ends and moves instances by itself. */
export function groupWorld(options: GroupWorldOptions): FleetWorld<GroupState> {
  const group: Group = {
    machines: [],
    versions: [oldImage],
    runs: new Map(),
    suspended: new Set(options.suspended),
    asked: new Set(),
    condemned: new Set(),
    version: '1',
    capacity: options.capacity,
    refresh: null,
    made: 0,
  };
  const context: Context = { ...options, ...newAccount('group web', options), group };
  for (let i = 0; i < options.capacity.desired; i++)
    Object.assign(launch(context), { phase: 'in service', traffic: 'in', healthy: true });
  every(context, 3000, () => reconcile(context));
  every(context, 45_000, () => disturb(context));
  return worldOf<GroupState>(context, {
    disturbing: options.replace === 'sluice' ? disturbing : disturbingRefresh,
    state: () => stateOf(context),
    strays: (wanted) => strays(context, wanted),
    answer(question) {
      const machine = group.machines.find(({ id }) => hostOf(question) === addressOf(id));
      if (machine) group.asked.add(machine.id);
      const isGood = machine !== undefined && (machine.image === oldImage || options.image === 'good');
      return { status: isGood ? 200 : 500, body: '' };
    },
    observe: () =>
      asked(context, 'observe', () => {
        context.seen = new Map(group.machines.map((one) => [one.id, isServing(one)]));
        return options.replace === 'sluice'
          ? stateOf(context)
          : { ...stateOf(context), kind: 'refreshed group', refresh: group.refresh };
      }),
    placeOf: (image, run) =>
      asked(context, 'placeOf', () => {
        const version = group.runs.get(run) ?? `${group.versions.push(image)}`;
        group.runs.set(run, version);
        return { image, version };
      }),
    perform: (order) =>
      asked(context, order.kind, () => {
        say(context, JSON.stringify(order));
        perform(context, order);
      }),
    news: async () => [],
  });
}

type Context = Account & GroupWorldOptions & { readonly group: Group };

type Machine = { -readonly [K in keyof FleetInstance]: FleetInstance[K] };

interface Group {
  readonly machines: Machine[];
  readonly versions: ImageId[];
  readonly runs: Map<string, string>;
  readonly suspended: Set<string>;
  readonly asked: Set<InstanceId>;
  readonly condemned: Set<InstanceId>;
  version: string;
  capacity: Capacity;
  refresh: RefreshedState['refresh'];
  made: number;
}

const stateOf = ({ group }: Context): GroupState => ({
  kind: 'group',
  place: { image: imageOf(group), version: group.version },
  capacity: group.capacity,
  suspended: [...group.suspended],
  instances: group.machines.map((one) => ({ ...one })),
});

const imageOf = ({ versions, version }: Group): ImageId => versions[Number(version) - 1]!;

const servingIn = ({ group }: Context): number => group.machines.filter(isServing).length;

function launch(context: Context): Machine {
  const { group } = context;
  const id = `i-${(++group.made).toString(16).padStart(8, '0')}`;
  const machine: Machine = {
    id,
    image: imageOf(group),
    address: addressOf(id),
    phase: 'starting',
    traffic: 'out',
    healthy: false,
  };
  group.machines.push(machine);
  return machine;
}

/** What a group does at all times: as many instances as are desired. */
function reconcile(context: Context): void {
  const { group } = context;
  const alive = group.machines.filter(isAlive);
  for (let missing = group.capacity.desired - alive.length; missing > 0; missing--) start(context);
  if (isRefreshing(group)) {
    advanceRefresh(context);
    return;
  }
  for (const surplus of alive.slice(0, Math.max(0, alive.length - group.capacity.desired)))
    terminate(context, surplus, 'by itself');
}

const isRefreshing = ({ refresh }: Group): boolean =>
  refresh?.state === 'under way' || refresh?.state === 'ending';

function start(context: Context): void {
  const { clock, random, group, image } = context;
  const machine = launch(context);
  say(context, `${machine.id} starts, of ${machine.image}`);
  if (machine.image === newImage && image === 'dead') return;
  clock.after(random.integer({ min: 10_000, max: 90_000 }), () => {
    if (machine.phase !== 'starting') return;
    machine.phase = 'in service';
    if (group.suspended.has('AddToLoadBalancer')) {
      // One that balancers do not know is found unhealthy, and stays so, however it is later.
      if (!group.suspended.has('HealthCheck')) group.condemned.add(machine.id);
      return;
    }
    mustBeProved(context, machine);
    enable(context, machine);
  });
}

/** Where sluice replaces, a machine of another image than before takes no traffic until it was asked, whoever lets it. */
function mustBeProved(context: Context, { id, image }: Machine): void {
  const { group, broken, replace, isChecked, isUnderWay } = context;
  const isNew = isUnderWay && image !== comesFrom(context);
  if (replace === 'sluice' && isChecked && isNew && !group.asked.has(id))
    broken.push(`proof before traffic: ${id} was never asked`);
}

function enable({ clock, random, image }: Context, machine: Machine): void {
  machine.traffic = 'in';
  if (machine.image === newImage && image === 'wrong') return;
  clock.after(random.integer({ min: 5000, max: 30_000 }), () => {
    machine.healthy = machine.traffic === 'in';
  });
}

function drain({ clock, random }: Context, machine: Machine): void {
  if (machine.traffic !== 'in') return;
  Object.assign(machine, { traffic: 'draining', healthy: false });
  clock.after(random.integer({ min: 1000, max: 60_000 }), () => {
    if (machine.traffic === 'draining') machine.traffic = 'out';
  });
}

function terminate(context: Context, machine: Machine, why: string): void {
  const { clock, group } = context;
  say(context, `${machine.id} ends, ${why}`);
  drain(context, machine);
  machine.phase = 'ending';
  clock.after(60_000, () => {
    group.machines.splice(group.machines.indexOf(machine), 1);
  });
}

/** What else goes on, if it is let. */
function disturb(context: Context): void {
  const { group, random } = context;
  const may = (process: string): boolean => !group.suspended.has(process);
  const serving = group.machines.filter(isServing);
  const inService = group.machines.filter(({ phase }) => phase === 'in service');
  const sick = inService.filter(({ id, healthy }) => !healthy || group.condemned.has(id));
  if (context.isUnderWay) {
    if (may('AlarmNotification') && random.chance(0.3)) {
      group.capacity = { ...group.capacity, desired: group.capacity.min };
      say(context, `an alarm sets ${group.capacity.min} instances`);
    }
    if (may('AZRebalance') && serving[0] && random.chance(0.3))
      terminate(context, serving[0], 'to rebalance');
  }
  if (may('ReplaceUnhealthy') && group.capacity.desired > 0)
    for (const one of sick) if (random.chance(0.3)) replaceSick(context, one);
}

function replaceSick(context: Context, machine: Machine): void {
  if (isServing(machine))
    context.broken.push(`no harm left: ${machine.id} serves, and ends for what it was during the run`);
  terminate(context, machine, 'for it is not healthy');
}

/** An instance refresh, one instance at a time: starts one, then ends one. */
function advanceRefresh(context: Context): void {
  const { group } = context;
  const { refresh } = group;
  if (refresh === null) return;
  if (refresh.state === 'ending') {
    group.refresh = { ...refresh, state: 'failed', reason: 'it was cancelled' };
    return;
  }
  const image = group.versions[Number(refresh.version) - 1]!;
  const old = group.machines.filter((one) => isAlive(one) && one.image !== image);
  const size = group.machines.filter(isAlive).length;
  if (old.length === 0) {
    const isWell = group.machines.filter(isServing).length >= group.capacity.desired;
    if (isWell) group.refresh = { ...refresh, state: 'successful', percent: 100 };
    return;
  }
  const idle = old.find((one) => !isServing(one));
  if (idle) terminate(context, idle, 'by the refresh');
  else if (size <= group.capacity.desired) start(context);
  else if (servingIn(context) > group.capacity.desired) terminate(context, old[0]!, 'by the refresh');
}

/** Does what it is told as AWS would, and notes what nobody should ask for. */
function perform(context: Context, order: FleetOrder): void {
  const { group, servingMin, broken } = context;
  const before = servingIn(context);
  const named = (ids: readonly InstanceId[]): readonly Machine[] =>
    group.machines.filter(({ id }) => ids.includes(id));
  switch (order.kind) {
    case 'suspend':
      for (const process of order.processes) group.suspended.add(process);
      break;
    case 'unsuspend':
      for (const process of order.processes) group.suspended.delete(process);
      context.isUnderWay = false;
      break;
    case 'size':
      group.version = order.version ?? group.version;
      group.capacity = order.capacity;
      break;
    case 'enable':
      for (const one of named(order.instances)) {
        mustBeProved(context, one);
        enable(context, one);
      }
      break;
    case 'drain':
      for (const one of named(order.instances)) drain(context, one);
      break;
    case 'end':
      for (const one of named(order.instances)) endOne(context, one);
      break;
    case 'refresh':
      if (isRefreshing(group)) throw refused(context, 'an instance refresh is under way');
      group.version = order.version ?? group.version;
      group.refresh = { version: order.version, state: 'under way', percent: 0, reason: null };
      break;
    case 'cancel refresh':
      if (group.refresh) group.refresh = { ...group.refresh, state: 'ending' };
      break;
    default:
      throw refused(context, `a group knows no ${order.kind}`);
  }
  const after = servingIn(context);
  if (after < before && after < servingMin)
    broken.push(`floor: ${order.kind} left ${after} serving, and servingMin is ${servingMin}`);
}

function endOne(context: Context, machine: Machine): void {
  const { group, broken } = context;
  if (machine.phase === 'ending') throw refused(context, `${machine.id} is ending`);
  if (machine.traffic !== 'out')
    broken.push(`no spilled request: ${machine.id} ends and is ${machine.traffic}`);
  const desired = group.capacity.desired - 1;
  if (desired < group.capacity.min) throw refused(context, 'the desired capacity would be below the minimum');
  group.capacity = { ...group.capacity, desired };
  terminate(context, machine, 'as it was told');
}

/** An instance refresh leaves the capacity to whoever changes it. */
function strays(context: Context, wanted: ImageId): readonly string[] {
  const state = stateOf(context);
  const { suspended } = context;
  const whole = context.replace === 'refresh' ? state.capacity : context.capacity;
  const serving = state.instances.filter((one) => isServing(one) && one.image === wanted).length;
  const left = state.instances.filter(({ phase, image }) => phase !== 'ending' && image !== wanted);
  return [
    ...(state.place.image === wanted
      ? []
      : [`converged: the group makes ${state.place.image}, not ${wanted}`]),
    ...(serving === whole.desired ? [] : [`converged: ${serving} of ${whole.desired} serve ${wanted}`]),
    ...(left.length === 0 ? [] : [`converged: ${left.map(({ id }) => id).join(', ')} are left`]),
    ...(isEqual(state.capacity, whole)
      ? []
      : [`ours only: the capacity is ${JSON.stringify(state.capacity)}`]),
    ...(isEqual(state.suspended.toSorted(), [...suspended])
      ? []
      : [`ours only: suspended are ${state.suspended.join(', ')}`]),
  ];
}

const isEqual = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
