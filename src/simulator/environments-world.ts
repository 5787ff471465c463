import { healthOf, liveEnvironment, statusOf } from '../core/environments.ts';
import { failure } from '../core/errors.ts';
import type { Environment, EnvironmentsState, ImageId } from '../core/fleet.ts';
import type { FleetNews, FleetOrder } from '../ports.ts';
import {
  type Account,
  addressOf,
  asked,
  every,
  type FleetWorld,
  type FleetWorldOptions,
  hostOf,
  leadsTo,
  newAccount,
  newImage,
  oldImage,
  refused,
  say,
  worldOf,
} from './fleet-world.ts';

export interface EnvironmentsWorldOptions extends FleetWorldOptions {
  /** `update`: there is one environment, which is updated in place. `swap`: there are two, which swap their names. */
  readonly replace: 'update' | 'swap';
}

/** Environments of Elastic Beanstalk: they replace their machines, and swap their names, by themselves. */
export function environmentsWorld(options: EnvironmentsWorldOptions): FleetWorld<EnvironmentsState> {
  const names = options.replace === 'swap' ? ['blue', 'green'] : ['blue'];
  const context: Context = {
    ...options,
    ...newAccount(`environment ${names.join(' and ')}`, options),
    all: names.map((name) => newEnvironment(name, options.random.integer({ min: 1, max: 4 }))),
    news: [],
    live: 'blue',
  };
  every(context, 15_000, () => disturb(context));
  return worldOf<EnvironmentsState>(context, {
    disturbing: [],
    state: () => stateOf(context),
    strays: (wanted) => strays(context, wanted),
    answer: (question) => ({ status: statusFrom(context, hostOf(question)), body: '' }),
    observe: () => observe(context),
    placeOf: async (image) => ({ image, version: null }),
    perform: (order) => perform(context, order),
    news: (sinceMs) =>
      asked(context, 'DescribeEvents', () => context.news.filter(({ atMs }) => atMs >= sinceMs)),
  });
}

type Context = Account &
  EnvironmentsWorldOptions & {
    readonly all: readonly Simulated[];
    readonly news: FleetNews[];
    /** The name of the one that visitors get. */
    live: string;
  };

/** An environment, in the words of Elastic Beanstalk. */
interface Simulated {
  readonly name: string;
  readonly machines: Machine[];
  /** What its settings say. */
  image: ImageId;
  status: 'Launching' | 'Updating' | 'Ready';
  hasAddress: boolean;
  /** When it was last asked, and when its machines or their image last changed. */
  askedAtMs: number;
  changedAtMs: number;
  /** When it was last all well. */
  greenAtMs: number;
}

interface Machine {
  readonly image: ImageId;
  isWell: boolean;
}

const newEnvironment = (name: string, size: number): Simulated => ({
  name,
  machines: Array.from({ length: size }, () => ({ image: oldImage, isWell: true })),
  image: oldImage,
  status: 'Ready',
  hasAddress: true,
  askedAtMs: Number.NEGATIVE_INFINITY,
  changedAtMs: Number.NEGATIVE_INFINITY,
  greenAtMs: Number.NEGATIVE_INFINITY,
});

/** While it changes Elastic Beanstalk says nothing of its health. */
function healthWord({ status, machines }: Simulated): 'Grey' | 'Green' | 'Yellow' | 'Red' {
  const well = machines.filter(({ isWell }) => isWell).length;
  if (status !== 'Ready') return 'Grey';
  if (well === machines.length) return 'Green';
  return well > 0 ? 'Yellow' : 'Red';
}

const seenAs = (one: Simulated, live: string): Environment => ({
  name: one.name,
  image: one.image,
  isLive: one.name === live,
  status: statusOf(one.status),
  health: healthOf(healthWord(one)),
  address: one.hasAddress ? addressOf(one.name) : null,
});

const stateOf = ({ all, live }: Context): EnvironmentsState => ({
  kind: 'environments',
  environments: all.map((one) => seenAs(one, live)),
});

/** Its settings are asked for in a call of their own, a moment later. */
async function observe(context: Context): Promise<EnvironmentsState> {
  const state = await asked(context, 'DescribeEnvironments', () => {
    const serves = (one: Simulated): boolean => one.name === context.live && healthWord(one) === 'Green';
    context.seen = new Map(context.all.map((one) => [one.name, serves(one)]));
    return stateOf(context);
  });
  return asked(context, 'DescribeConfigurationSettings', () => ({
    ...state,
    environments: state.environments.map((one) => ({ ...one, image: named(context, one.name).image })),
  }));
}

function named(context: Context, name: string): Simulated {
  const found = context.all.find((one) => one.name === name);
  if (!found) throw refused(context, `No Environment found for EnvironmentName = '${name}'.`);
  return found;
}

/** One of its machines answers that takes requests. */
function statusFrom(context: Context, host: string): number {
  const one = context.all.find(({ name }) => addressOf(name) === host);
  const well = one?.machines.filter(({ isWell }) => isWell) ?? [];
  if (one === undefined || well.length === 0) return 503;
  one.askedAtMs = context.clock.passedMs();
  return context.random.pick(well).image === oldImage || context.image === 'good' ? 200 : 500;
}

async function perform(context: Context, order: FleetOrder): Promise<void> {
  if (order.kind === 'update')
    return asked(context, 'UpdateEnvironment', () =>
      update(context, named(context, order.environment), order.image),
    );
  if (order.kind !== 'swap') throw refused(context, `an environment knows no ${order.kind}`);
  if (liveEnvironment((await observe(context)).environments).name === order.to) return;
  await asked(context, 'SwapEnvironmentCNAMEs', () => swap(context));
}

/** Machine after machine; a new one that does not come up in time is taken back with all that came before it. */
function update(context: Context, one: Simulated, image: ImageId): void {
  const { random, clock, replace, live, broken } = context;
  mustBeReady(context, one);
  mustBeAllowed(context, `${one.name} is updated`, image);
  if (replace === 'swap' && one.name === live)
    broken.push(`blast radius: ${one.name} is updated, which visitors get`);
  const isTakenBack = image === newImage && context.image === 'dead' && random.chance(0.5);
  const before = one.machines.map(({ image: had }) => had);
  const stepMs = random.integer({ min: 15_000, max: 40_000 });
  begin(context, one, 'Updating', 'Environment update is starting.');
  const goOn = (place: number): void => {
    if (place < one.machines.length) {
      renew(context, one, place, image);
      clock.after(stepMs, () => goOn(place + 1));
    } else if (isTakenBack) {
      for (const [i, had] of before.entries()) renew(context, one, i, had);
      end(context, one, 'Failed to deploy configuration.');
    } else {
      one.image = image;
      end(context, one, 'Environment update completed.');
    }
  };
  clock.after(stepMs, () => goOn(0));
}

/** The names are swapped, whichever has which: who asks twice has them as they were. */
function swap(context: Context): void {
  const { all, clock, random } = context;
  for (const one of all) mustBeReady(context, one);
  const gets = all.find(({ name }) => name !== context.live)!;
  mustBeAllowed(context, `visitors get ${gets.name}`, gets.image);
  mustBeWell(context, gets);
  for (const one of all) begin(context, one, 'Updating', 'swapEnvironmentCNAMEs is starting.');
  clock.after(random.integer({ min: 1000, max: 20_000 }), () => {
    context.live = gets.name;
    say(context, `visitors get ${gets.name}`);
  });
  clock.after(random.integer({ min: 20_000, max: 40_000 }), () => {
    for (const one of all) end(context, one, 'Completed swapping CNAMEs.');
  });
}

/** As its driver puts it: who waits may ask again. */
function mustBeReady({ name: fleet }: Account, { name, status }: Simulated): void {
  if (status === 'Ready') return;
  const reason = `Environment named ${name} is in an invalid state for this operation. Must be Ready.`;
  throw failure('FLEET_UNREACHABLE', { fleet, address: 'AWS', reason });
}

function mustBeAllowed(context: Context, what: string, image: ImageId): void {
  const wanted = leadsTo(context);
  if (image === wanted) return;
  const whither = wanted === null ? 'no run has the fleet' : `the run leads to ${wanted}`;
  context.broken.push(`allowed release: ${what} with ${image}, and ${whither}`);
}

/** Whoever gets the visitors is all well, as could be seen a moment ago, and was asked since it changed. */
function mustBeWell(context: Context, one: Simulated): void {
  const { clock, broken, isChecked } = context;
  if (healthWord(one) !== 'Green' && clock.passedMs() - one.greenAtMs > lookHoldsMs)
    broken.push(`floor: visitors get ${one.name}, which is ${healthWord(one)}`);
  if (isChecked && one.askedAtMs < one.changedAtMs)
    broken.push(`proof before traffic: ${one.name} was never asked`);
}

const lookHoldsMs = 2000;

function begin(context: Context, one: Simulated, status: Simulated['status'], text: string): void {
  one.greenAtMs = healthWord(one) === 'Green' ? context.clock.passedMs() : one.greenAtMs;
  one.status = status;
  tell(context, one, text);
}

function end(context: Context, one: Simulated, text: string): void {
  one.status = 'Ready';
  tell(context, one, text);
}

function tell(context: Context, { name }: Simulated, text: string): void {
  context.news.push({ atMs: context.clock.nowMs(), text: `${name} INFO: ${text}` });
  say(context, `${name}: ${text}`);
}

/** A new machine takes its time, in which an environment that is Ready may be far from well. */
function renew(context: Context, one: Simulated, place: number, image: ImageId): void {
  const { clock, random } = context;
  const machine: Machine = { image, isWell: false };
  one.machines[place] = machine;
  one.changedAtMs = clock.passedMs();
  if (!comesUp(context, image)) return;
  clock.after(random.integer({ min: 5000, max: 60_000 }), () => {
    machine.isWell = true;
  });
}

/** Where nobody asks, none can tell what is wrong but by its health. */
const comesUp = ({ image: kind, isChecked }: Context, image: ImageId): boolean =>
  image === oldImage || kind === 'good' || (kind === 'wrong' && isChecked);

/** What others do while a run has the fleet, and what fails by itself. */
function disturb(context: Context): void {
  const { all, random, live, clock, isUnderWay } = context;
  const one = random.pick(all);
  if (!isUnderWay || one.status !== 'Ready' || !random.chance(0.15)) return;
  const machine = random.pick(one.machines);
  const kind = random.pick(['falls ill', 'is changed', 'is rebuilt'] as const);
  if (kind === 'falls ill' && machine.isWell) {
    say(context, `a machine of ${one.name} ${kind}`);
    one.greenAtMs = healthWord(one) === 'Green' ? clock.passedMs() : one.greenAtMs;
    machine.isWell = false;
    clock.after(random.integer({ min: 2000, max: 40_000 }), () => {
      machine.isWell = true;
    });
  }
  if (kind === 'is changed') {
    begin(context, one, 'Updating', 'Environment update is starting.');
    clock.after(random.integer({ min: 10_000, max: 60_000 }), () =>
      end(context, one, 'Environment update completed.'),
    );
  }
  if (kind === 'is rebuilt' && one.name !== live) rebuild(context, one);
}

/** What visitors do not get somebody may build anew. It is known by an address again once it is Ready for a while. */
function rebuild(context: Context, one: Simulated): void {
  const { clock, random } = context;
  begin(context, one, 'Launching', 'rebuildEnvironment is starting.');
  one.hasAddress = false;
  for (const place of one.machines.keys()) renew(context, one, place, one.image);
  clock.after(random.integer({ min: 30_000, max: 90_000 }), () => {
    end(context, one, 'Successfully launched environment.');
    clock.after(random.integer({ min: 0, max: 90_000 }), () => {
      one.hasAddress = true;
    });
  });
}

function strays(context: Context, wanted: ImageId): readonly string[] {
  const live = named(context, context.live);
  return [
    ...(live.image === wanted ? [] : [`converged: visitors get ${live.image}, not ${wanted}`]),
    ...(healthWord(live) === 'Green' ? [] : [`converged: ${live.name} is ${healthWord(live)}`]),
  ];
}
