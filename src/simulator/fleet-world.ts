import { failure } from '../core/errors.ts';
import {
  type Capacity,
  type FleetInstance,
  type GroupState,
  type ImageId,
  type InstanceId,
  isAlive,
  isServing,
  type MachineImage,
  type RefreshedState,
} from '../core/fleet.ts';
import type { LoggedEntry } from '../core/fleet-log.ts';
import { disturbingRefresh } from '../core/refresh.ts';
import { disturbing } from '../core/replacement.ts';
import type { Fleet, FleetOrder, HttpAnswer, HttpQuestion } from '../ports.ts';
import type { VirtualClock } from './clock.ts';
import type { SeededRandom } from './random.ts';

/** A group of AWS as a simulation has it: it starts, ends and moves instances by itself, each at its own time. */
export interface FleetWorld {
  readonly fleet: Fleet;
  /** What a machine answers to a check. */
  answer(question: HttpQuestion): HttpAnswer;
  state(): GroupState;
  log(): readonly LoggedEntry[];
  /** How a promise was broken, in the order in which it was. */
  readonly broken: readonly string[];
  /** What happened, a line each. */
  readonly trace: readonly string[];
  /** What is seen to each call before and after it has its effect; it may throw. */
  onCall: (name: string, when: 'before' | 'after') => void;
  /** Nothing happens by itself any more. */
  stop(): void;
}

export interface FleetWorldOptions {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly capacity: Capacity;
  /** Whether sluice replaces, or an instance refresh does. */
  readonly replace: 'sluice' | 'refresh';
  /** The floor, in instances. */
  readonly servingMin: number;
  /** Whether machines of the new image are well: they answer, or start at all. */
  readonly image: 'good' | 'wrong' | 'dead';
  /** Processes that somebody had suspended before. */
  readonly suspended: readonly string[];
  /** Whether the site has checks, so that none may take traffic that was never asked. */
  readonly isChecked: boolean;
}

export const oldImage: ImageId = 'ami-00000000000000001';
export const newImage: ImageId = 'ami-00000000000000002';

type Machine = { -readonly [K in keyof FleetInstance]: FleetInstance[K] };

interface Group {
  readonly machines: Machine[];
  readonly versions: ImageId[];
  readonly runs: Map<string, string>;
  readonly log: LoggedEntry[];
  readonly suspended: Set<string>;
  readonly asked: Set<InstanceId>;
  readonly condemned: Set<InstanceId>;
  version: string;
  capacity: Capacity;
  beat: string | null;
  refresh: RefreshedState['refresh'];
  isStopped: boolean;
  /** From when a run is written down until it resumes what it suspended: then others change the group again, and may. */
  isUnderWay: boolean;
  made: number;
}

export function fleetWorld(options: FleetWorldOptions): FleetWorld {
  const group: Group = {
    machines: [],
    versions: [oldImage],
    runs: new Map(),
    log: [],
    suspended: new Set(options.suspended),
    asked: new Set(),
    condemned: new Set(),
    version: '1',
    capacity: options.capacity,
    beat: null,
    refresh: null,
    isStopped: false,
    isUnderWay: false,
    made: 0,
  };
  const context: Context = { ...options, group, broken: [], trace: [] };
  for (let i = 0; i < options.capacity.desired; i++)
    Object.assign(launch(context), { phase: 'in service', traffic: 'in', healthy: true });
  every(context, 3000, () => reconcile(context));
  every(context, 45_000, () => disturb(context));
  const world: FleetWorld = {
    broken: context.broken,
    trace: context.trace,
    onCall: () => {},
    state: () => stateOf(context),
    log: () => [...group.log],
    answer({ url }) {
      const machine = group.machines.find(({ id }) => new URL(url).hostname === addressOf(id));
      if (machine) group.asked.add(machine.id);
      const isGood = machine !== undefined && (machine.image === oldImage || options.image === 'good');
      return { status: isGood ? 200 : 500, body: '' };
    },
    stop() {
      group.isStopped = true;
    },
    fleet: fleetOf(context, (name, when) => world.onCall(name, when)),
  };
  return world;
}

interface Context extends FleetWorldOptions {
  readonly group: Group;
  readonly broken: string[];
  readonly trace: string[];
}

function every(context: Context, ms: number, work: () => void): void {
  if (context.group.isStopped) return;
  context.clock.after(ms, () => {
    work();
    every(context, ms, work);
  });
}

const say = ({ trace, clock }: Context, text: string): void => {
  trace.push(`${(clock.passedMs() / 1000).toFixed(0)} s: ${text}`);
};

const stateOf = ({ group }: Context): GroupState => ({
  kind: 'group',
  place: { image: imageOf(group), version: group.version },
  capacity: group.capacity,
  suspended: [...group.suspended],
  instances: group.machines.map((one) => ({ ...one })),
});

const imageOf = ({ versions, version }: Group): ImageId => versions[Number(version) - 1]!;

const addressOf = (id: InstanceId): string => `${id}.internal`;

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

/** Where sluice replaces, a machine of the new image takes no traffic before it was asked, whoever lets it. */
function mustBeProved({ group, broken, replace, isChecked }: Context, { id, image }: Machine): void {
  if (replace === 'sluice' && isChecked && image === newImage && group.isUnderWay && !group.asked.has(id))
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
  if (group.isUnderWay) {
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

function fleetOf(context: Context, onCall: (name: string, when: 'before' | 'after') => void): Fleet {
  const { group, clock } = context;
  const asked = async <T>(name: string, work: () => T): Promise<T> => {
    await clock.sleep(200);
    onCall(name, 'before');
    const result = work();
    onCall(name, 'after');
    return result;
  };
  return {
    name: 'group web',
    disturbing: context.replace === 'sluice' ? disturbing : disturbingRefresh,
    observe: () =>
      asked('observe', () =>
        context.replace === 'sluice'
          ? stateOf(context)
          : { ...stateOf(context), kind: 'refreshed group', refresh: group.refresh },
      ),
    admit: async () => {},
    placeOf: (image, run) =>
      asked('placeOf', () => {
        const version = group.runs.get(run) ?? `${group.versions.push(image)}`;
        group.runs.set(run, version);
        return { image, version };
      }),
    perform: (order) =>
      asked(order.kind, () => {
        say(context, JSON.stringify(order));
        perform(context, order);
      }),
    news: async () => [],
    images: {
      seedAddress: async () => 'seed.internal',
      take: async () => newImage,
      read: async (id) => imageFrom(id),
      list: async () => [imageFrom(newImage), imageFrom(oldImage)],
      remove: async () => {},
    },
    log: {
      read: () => asked('log.read', () => [...group.log]),
      append: (entry, after) =>
        asked('log.append', () => {
          say(context, `log: ${entry.state}`);
          group.isUnderWay = entry.state !== 'done' && entry.state !== 'rolled back';
          return group.log.push({ ...entry, number: group.log.length + 1, after });
        }),
      beat: (text) =>
        asked('log.beat', () => {
          group.beat = text;
        }),
      lastBeat: () => asked('log.lastBeat', () => group.beat),
    },
    close() {},
  };
}

const imageFrom = (id: ImageId): MachineImage => ({
  id,
  name: id,
  atMs: 0,
  by: 'simulator',
  state: 'available',
  reason: null,
  environment: null,
});

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
      group.isUnderWay = false;
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

const refused = (_: Context, answer: string): Error =>
  failure('FLEET_REFUSED', { fleet: 'group web', request: 'order', answer });
