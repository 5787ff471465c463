import { liveEnvironment } from '../core/environments.ts';
import { type DeployError, failure, isDeployError, lockStaleMs } from '../core/errors.ts';
import type { NodeReport, Report, RunCommand } from '../core/event.ts';
import {
  type Capacity,
  type FleetSite,
  type FleetState,
  type ImageId,
  imageRelease,
  isServing,
  type MachineImage,
  type Place,
} from '../core/fleet.ts';
import {
  type FleetEntry,
  type FleetIntent,
  type LoggedEntry,
  openRun,
  placeBefore,
} from '../core/fleet-log.ts';
import type { FleetPorts } from '../ports.ts';
import { failedFleetHooks, fleetHooks } from './fleet-hooks.ts';
import { type FleetHold, takeFleet, takeOverFleet, whileAlive } from './fleet-log.ts';
import { goalOf, lasting, nextStep, replace } from './replace.ts';
import { expected, interruption, textOf } from './run.ts';

export interface FleetRequest {
  readonly site: FleetSite;
  readonly signal: AbortSignal;
  /** How long to wait for another run to end; left out: not at all. */
  readonly lockWaitMs?: number;
  /** Asks a person, who sees what will be done; false: nothing is touched. */
  readonly confirm: (change: FleetChange) => Promise<boolean>;
}

/** What a run would do. `way`: it begins, or goes on or back where another one stopped. */
export interface FleetChange {
  readonly way: 'new' | 'on' | 'back';
  readonly intent: FleetIntent;
  readonly state: FleetState;
  readonly servingMin: number;
  readonly surge: number;
}

/** Rolls an image out; null: the one that the site says. */
export const deployFleet = (request: FleetRequest & { readonly ref: string | null }, ports: FleetPorts) =>
  reported(request, ports, 'deploy', async () => {
    const image = await imageNamed(ports, request.ref ?? request.site.ref, request.signal);
    await ports.fleet.admit(image);
    return change(request, ports, { command: 'deploy', to: { image: image.id, version: null } });
  });

/** Goes to the image before, or to one that is named. */
export const rollbackFleet = (request: FleetRequest & { readonly to: ImageId | null }, ports: FleetPorts) =>
  reported(request, ports, 'rollback', async () => {
    const { signal } = request;
    if (request.to !== null) {
      const image = await imageNamed(ports, request.to, signal);
      await ports.fleet.admit(image);
      return change(request, ports, { command: 'rollback', to: { image: image.id, version: null } });
    }
    const { fleet } = ports;
    const now = placeIn(await fleet.observe(signal));
    const before = placeBefore(await fleet.log.read(signal), now);
    if (before === null) throw failure('NO_IMAGE_BEFORE', { fleet: fleet.name, image: now.image });
    await imageNamed(ports, before.image, signal);
    return change(request, ports, { command: 'rollback', to: before });
  });

export interface GoOnRequest extends FleetRequest {
  /** `resume` finishes what was begun, `promote` only what is held; `abort` goes back. */
  readonly command: 'resume' | 'promote' | 'abort';
  /** Although the run may be alive. */
  readonly force: boolean;
}

/** Takes a run over that died or is held, and finishes it, or goes back to where it began. */
export const goOnWithFleet = (request: GoOnRequest, ports: FleetPorts) =>
  reported(request, ports, request.command, async () => {
    const { command, force, signal } = request;
    const open = openRun(await ports.fleet.log.read(signal));
    if (open === null || (command === 'promote' && open.state !== 'held'))
      throw failure('FLEET_NOT_OPEN', { fleet: ports.fleet.name, entry: open });
    const isBack = command === 'abort' || open.state === 'going back';
    const state = await ports.fleet.observe(signal);
    const agreed = await request.confirm({
      ...changeOf(request.site, open, state),
      way: isBack ? 'back' : 'on',
    });
    if (!agreed) return notConfirmed;
    const hold = await takeOverFleet(ports, open, { force, signal });
    tell(ports, hold);
    return ending(request, ports, hold, isBack);
  });

export interface FleetStatus {
  readonly state: FleetState;
  /** The run that has the fleet, dead or alive; null: nobody. */
  readonly run: LoggedEntry | null;
}

export async function fleetStatus({ fleet }: FleetPorts, signal: AbortSignal): Promise<FleetStatus> {
  const [state, log] = await Promise.all([fleet.observe(signal), fleet.log.read(signal)]);
  return { state, run: openRun(log) };
}

type Outcome = Pick<Report, 'outcome' | 'exit'> & {
  readonly failure: DeployError | null;
  /** What else there is to say; left out: nothing. */
  readonly warnings?: readonly string[];
  /** Nothing was touched, so there is nothing to show at the end. */
  readonly nodes?: null;
};

const nothing = { outcome: 'nothing to do', exit: 0, failure: null } as const;
const notConfirmed = { outcome: 'refused', exit: 2, failure: null } as const;

/** The image that a word names: only one that is whole. Rejects with `IMAGE_UNKNOWN`. */
export async function imageNamed(
  { fleet }: FleetPorts,
  ref: string,
  signal: AbortSignal,
): Promise<MachineImage> {
  const list = (await fleet.images.list(signal)).filter(({ state }) => state === 'available');
  const image =
    list.find(({ id }, i) => (ref === 'newest' ? i === 0 : id === ref)) ??
    (ref === 'newest' ? null : await fleet.images.read(ref, signal));
  if (image?.state !== 'available')
    throw failure('IMAGE_UNKNOWN', { image: ref, known: list.slice(0, 5).map(({ id }) => id) });
  return image;
}

async function change(
  request: FleetRequest,
  ports: FleetPorts,
  { command, to }: Pick<FleetIntent, 'command' | 'to'>,
): Promise<Outcome> {
  const { site, signal } = request;
  const { fleet, random } = ports;
  const { state, run } = await onceFree(request, ports);
  if (run) throw failure('FLEET_LOCKED', { fleet: fleet.name, entry: run });
  const from = placeIn(state);
  const intent = { run: random.hex(8), command, from, to, ...foundIn(ports, state) };
  if (isReached(site, intent, state)) return nothing;
  if (!(await request.confirm({ ...changeOf(site, { intent }, state), way: 'new' }))) return notConfirmed;
  signal.throwIfAborted();
  const hold = await takeFleet(ports, intent, signal);
  const now = await lasting(site, ports, signal, () => fleet.observe(signal)).catch((thrown: unknown) =>
    expected(signal, thrown),
  );
  if (!isDeployError(now) && !isSame(now, state)) {
    await hold.write({ state: 'rolled back', why: 'it changed before anything was done' });
    throw failure('SITE_CHANGED', {});
  }
  tell(ports, hold);
  return isDeployError(now) ? unfinished(now, signal) : ending(request, ports, hold, false);
}

/** What is so once no run that lives has the fleet, or the time to wait is up. One that is held waits for a person itself. */
async function onceFree({ signal, lockWaitMs = 0 }: FleetRequest, ports: FleetPorts): Promise<FleetStatus> {
  const { clock, fleet } = ports;
  const deadlineMs = clock.nowMs() + lockWaitMs;
  let beat: string | null = null;
  let heardAtMs: number | null = null;
  for (;;) {
    const status = await fleetStatus(ports, signal);
    const { run } = status;
    const leftMs = deadlineMs - clock.nowMs();
    if (run === null || run.state === 'held' || leftMs <= 0) return status;
    const last = await fleet.log.lastBeat(signal);
    if (heardAtMs === null)
      note(ports, 'info', `waits for ${Math.ceil(leftMs / 1000)} s at most: ${openText(run)}`);
    if (heardAtMs === null || last !== beat) heardAtMs = clock.nowMs();
    else if (clock.nowMs() - heardAtMs > lockStaleMs) return status;
    beat = last;
    await clock.sleep(Math.min(lookEveryMs, leftMs), signal);
    if (signal.aborted) throw interruption(signal);
  }
}

const lookEveryMs = 5000;

const note = ({ emit, clock }: FleetPorts, level: 'info' | 'warning', text: string): void =>
  emit({ type: 'note', level, text, atMs: clock.nowMs() });

function changeOf(
  site: FleetSite,
  entry: Pick<FleetEntry, 'intent'>,
  state: FleetState,
): Omit<FleetChange, 'way'> {
  const { servingMin, surge } = goalOf(site, entry, entry.intent.to);
  return { intent: entry.intent, state, servingMin, surge };
}

const tell = ({ emit, fleet, clock }: FleetPorts, hold: FleetHold): void =>
  emit({ type: 'fleet-taken', fleet: fleet.name, intent: hold.entry().intent, atMs: clock.nowMs() });

/** Of environments AWS alone knows how many machines they have. */
function foundIn({ fleet }: FleetPorts, state: FleetState): Pick<FleetIntent, 'capacity' | 'suspends'> {
  if (state.kind === 'environments') return { capacity: noCapacity, suspends: [] };
  const { capacity, suspended } = state;
  return { capacity, suspends: fleet.disturbing.filter((process) => !suspended.includes(process)) };
}

const noCapacity: Capacity = { min: 0, desired: 0, max: 0 };

export const placeIn = (state: FleetState): Place =>
  state.kind === 'environments'
    ? { image: liveEnvironment(state.environments).image, version: null }
    : state.place;

/** Nothing would be done for it. Machines are not asked for what they answered when they came. */
function isReached(site: FleetSite, intent: FleetIntent, state: FleetState): boolean {
  if (intent.from.image !== intent.to.image) return false;
  const goal = { ...goalOf(site, { intent }, intent.from), suspends: [] };
  const machines = state.kind === 'environments' ? state.environments : state.instances;
  const proved = new Set(machines.map((one) => ('id' in one ? one.id : one.name)));
  return nextStep(state, goal, { proved, ordered: new Set() }).kind === 'done';
}

const isSame = (a: FleetState, b: FleetState): boolean =>
  JSON.stringify([placeIn(a), a.kind === 'environments' ? null : [a.capacity, a.suspended]]) ===
  JSON.stringify([placeIn(b), b.kind === 'environments' ? null : [b.capacity, b.suspended]]);

/** The rest of a run that has the fleet: to the place it leads to, or back. Then hooks are told if it failed. */
async function ending(
  request: Pick<FleetRequest, 'site' | 'signal'>,
  ports: FleetPorts,
  hold: FleetHold,
  isBack: boolean,
): Promise<Outcome> {
  const outcome = await ended(request, ports, hold, isBack);
  const { failure: error } = outcome;
  if (error === null || isDeployError(error, 'FLEET_LOST')) return outcome;
  const { intent } = hold.entry();
  return { ...outcome, warnings: await failedFleetHooks(request.site, ports, { intent, error }) };
}

async function ended(
  { site, signal }: Pick<FleetRequest, 'site' | 'signal'>,
  ports: FleetPorts,
  hold: FleetHold,
  isBack: boolean,
): Promise<Outcome> {
  const { intent } = hold.entry();
  const { fleet } = ports;
  const patient = <T>(work: () => Promise<T>): Promise<T> => lasting(site, ports, signal, work);
  const placeOf = async (to: Place): Promise<Place> =>
    to.version === null ? fleet.placeOf(to.image, intent.run, signal) : to;
  const hooks = (when: 'before' | 'after'): Promise<void> =>
    whileAlive(ports, hold, () =>
      fleetHooks(site, ports, { point: `${when}:${intent.command}`, intent, failureText: null, signal }),
    );
  const way: Way = {
    entry: hold.entry,
    say: (text) => note(ports, 'warning', text),
    write: (entry) => patient(() => hold.write(entry)),
    go: (to) =>
      whileAlive(ports, hold, async () =>
        replace(site, ports, { hold, to: await patient(() => placeOf(to)), signal }),
      ),
  };
  try {
    if (isBack) return await back(way, hold.entry().why ?? 'it was aborted');
    await way.write({ state: 'under way', why: null });
    await hooks('before');
    await way.go(intent.to);
    await hooks('after');
    await way.write({ state: 'done' });
    return { outcome: 'done', exit: 0, failure: null };
  } catch (thrown) {
    const error = expected(signal, thrown);
    const isLast = signal.aborted || isBack || isDeployError(error, 'FLEET_LOST');
    return isLast ? unfinished(error, signal) : cope(site, way, error, signal);
  }
}

/** A run that has the fleet, and may write and go where it will. */
interface Way extends Pick<FleetHold, 'entry' | 'write'> {
  go(to: Place): Promise<void>;
  say(text: string): void;
}

async function cope(
  { onFailure }: FleetSite,
  way: Way,
  error: DeployError,
  signal: AbortSignal,
): Promise<Outcome> {
  try {
    if (onFailure === 'rollback') return { ...(await back(way, error.message)), failure: error };
    await way.write({ state: 'held', why: error.message });
    return { outcome: 'held', exit: 4, failure: error };
  } catch (thrown) {
    return unfinished(expected(signal, thrown), signal);
  }
}

async function back(way: Way, why: string): Promise<Outcome> {
  way.say(`goes back to ${way.entry().intent.from.image}: ${why}`);
  await way.write({ state: 'going back', why });
  await way.go(way.entry().intent.from);
  await way.write({ state: 'rolled back' });
  return { outcome: 'rolled back', exit: 1, failure: null };
}

/** The run keeps the fleet, and somebody must go on with it. */
const unfinished = (error: DeployError, signal: AbortSignal): Outcome =>
  signal.aborted
    ? { outcome: 'interrupted', exit: exitOf(signal), failure: interruption(signal) }
    : { outcome: 'needs a person', exit: 3, failure: error };

/** Says how it went: from what is so at the end, which is read anew. */
async function reported(
  { site, signal }: Pick<FleetRequest, 'site' | 'signal'>,
  ports: FleetPorts,
  command: RunCommand,
  work: () => Promise<Outcome>,
): Promise<Report> {
  const { clock, emit, random, operator } = ports;
  const startedMs = clock.nowMs();
  const run = random.hex(8);
  const { name, stage } = site;
  const started = { run, command, site: name, stage, operator: operator.name, nodes: [ports.fleet.name] };
  emit({ type: 'run-started', ...started, atMs: startedMs });
  const {
    failure: error,
    warnings = [],
    ...outcome
  } = await work().catch((thrown: unknown) => outcomeOf(thrown, signal));
  const isAborted = command === 'abort' && outcome.outcome === 'rolled back';
  const [open, state] = await Promise.all([
    ports.fleet.log.read().then(openRun, () => null),
    ports.fleet.observe().catch(() => null),
  ]);
  const report: Report = {
    ...(isAborted ? { outcome: 'done', exit: 0 } : outcome),
    failure: error && textOf(error),
    // That of another one says its failure.
    warnings: [...warnings, ...(open && outcome.outcome !== 'locked' ? openWork(open, state) : [])],
    behind: [],
    tookMs: clock.nowMs() - startedMs,
    backup: null,
    nodes: outcome.nodes === null ? null : state && machinesOf(state),
  };
  emit({ type: 'run-ended', run, report, atMs: clock.nowMs() });
  return report;
}

/** Of what was thrown before the fleet was taken. */
function outcomeOf(thrown: unknown, signal: AbortSignal): Outcome {
  const error = expected(signal, thrown);
  if (signal.aborted) return { outcome: 'interrupted', exit: exitOf(signal), failure: error, nodes: null };
  return isDeployError(error, 'FLEET_LOCKED', 'FLEET_HOLDER_ALIVE')
    ? { outcome: 'locked', exit: 5, failure: error }
    : { outcome: 'refused', exit: 2, failure: error };
}

const exitOf = ({ reason }: AbortSignal): 130 | 143 => (reason === 'SIGTERM' ? 143 : 130);

/** Whoever reads the end must know what waits for somebody. */
function openWork(open: FleetEntry, state: FleetState | null): readonly string[] {
  const { suspends } = open.intent;
  const asleep =
    state === null || state.kind === 'environments'
      ? suspends
      : suspends.filter((process) => state.suspended.includes(process));
  return [openText(open), ...(asleep.length > 0 ? [`Suspended until it ends: ${asleep.join(', ')}.`] : [])];
}

/** What a run that has not ended has left. */
export const openText = ({ state, by, intent: { command, from, to } }: FleetEntry): string =>
  `The ${command} from ${from.image} to ${to.image} by ${by} is ${state}.`;

const machinesOf = (state: FleetState): readonly NodeReport[] =>
  state.kind === 'environments'
    ? [liveEnvironment(state.environments)].map(({ name, image, health }) =>
        machine(name, image, health === 'good', false),
      )
    : state.instances
        .filter(({ phase }) => phase !== 'ending')
        .map((one) => machine(one.id, one.image, isServing(one), one.phase === 'aside'));

const machine = (name: string, image: ImageId, serving: boolean, heldOut: boolean): NodeReport => ({
  name,
  release: imageRelease(image).id,
  revision: null,
  servers: [],
  serving,
  heldOut,
  outMs: null,
});
