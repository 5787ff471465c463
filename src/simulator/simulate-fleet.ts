import { failure } from '../core/errors.ts';
import type { Report } from '../core/event.ts';

import { type FleetSite, isServing, shareOf } from '../core/fleet.ts';
import { openRun } from '../core/fleet-log.ts';
import { deployFleet, goOnWithFleet } from '../engine/fleet.ts';
import type { FleetPorts } from '../ports.ts';
import { type NextTurn, type VirtualClock, virtualClock } from './clock.ts';
import { type FleetWorld, type FleetWorldOptions, fleetWorld, newImage, oldImage } from './fleet-world.ts';
import { type SeededRandom, seededRandom } from './random.ts';

export interface FleetSimulation {
  readonly seed: number;
  readonly nextTurn: NextTurn;
  readonly site: FleetSite;
  /** Who replaces; default: by the seed. */
  readonly replace?: 'sluice' | 'refresh';
  /** Instead of what the seed draws: the calls to AWS at which the machine that sluice runs on dies, run by run. */
  readonly kills?: readonly FleetKill[];
  /** How runs that died are gone on with; default: by the seed. */
  readonly goesOn?: 'resume' | 'abort';
  readonly image?: 'good' | 'wrong' | 'dead';
  /** A fault in sluice itself, to see that a checker finds it. */
  readonly mutant?: (ports: FleetPorts) => FleetPorts;
}

export interface FleetKill {
  readonly call: number;
  readonly when: 'before' | 'after';
}

export interface SimulatedFleet {
  readonly seed: number;
  readonly broken: readonly string[];
  readonly trace: readonly string[];
  /** Of the run that came to an end; null: none did. */
  readonly report: Report | null;
  /** That all runs made together. */
  readonly calls: number;
}

/**
 * One life of a fleet: an image is rolled out, the machine that sluice runs on dies as often as the seed says, at any call to AWS,
 * and somebody goes on from another one. At the end all is as it should be, or `broken` says what is not.
 */
export async function simulateFleet(simulation: FleetSimulation): Promise<SimulatedFleet> {
  const { seed, nextTurn, site } = simulation;
  const random = seededRandom(seed);
  const clock = virtualClock(startMs, nextTurn);
  const min = random.integer({ min: 1, max: 3 });
  const desired = min + random.integer({ min: 0, max: 4 });
  const capacity = { min, desired, max: desired + random.integer({ min: 0, max: 4 }) };
  const image = simulation.image ?? random.pick(['good', 'good', 'good', 'wrong', 'dead'] as const);
  const suspended = random.chance(0.3) ? ['AZRebalance'] : [];
  const servingMin = Math.min(desired, shareOf(site.fleet.servingMin, desired));
  const replace = simulation.replace ?? 'sluice';
  const isChecked = site.checks.length > 0;
  const world = fleetWorld({ clock, random, capacity, replace, servingMin, image, suspended, isChecked });
  const life = live({ simulation, world, clock, random });
  let ended: Lived | null = null;
  void life.then((lived) => {
    ended = lived;
    clock.woken();
  });
  const isOver = await clock.run({ isOver: () => ended !== null, untilMs: lifetimeMs });
  await clock.run({ isOver: () => false, untilMs: clock.passedMs() + restMs });
  world.stop();
  const broken = [...world.broken];
  // Assigned by a promise, which the compiler does not see.
  const { report, calls } = (ended as Lived | null) ?? { report: null, calls: 0 };
  if (!isOver || report === null) broken.push('it always ends: it did not');
  else broken.push(...wrongAtEnd(world, { report, image, capacity, suspended, replace }));
  return { seed, broken, trace: world.trace, report, calls };
}

const startMs = 1_767_225_600_000;
/** What was under way by itself comes to its end. */
const restMs = 600_000;
const lifetimeMs = 24 * 3_600_000;

interface Lived {
  readonly report: Report | null;
  readonly calls: number;
}

interface Life {
  readonly simulation: FleetSimulation;
  readonly world: FleetWorld;
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
}

async function live({ simulation, world, clock, random }: Life): Promise<Lived> {
  const { site, goesOn } = simulation;
  const kills = simulation.kills ?? drawKills(random);
  let calls = 0;
  for (let run = 0; run < runsMax; run++) {
    const doom = killer(world, kills[run] ?? null, simulation.kills === undefined ? random : null);
    const ports = portsOf(world, clock, random);
    const dead = new AbortController().signal;
    const request = { site, signal: dead, confirm: async () => true };
    const command = goesOn ?? random.pick(['resume', 'abort'] as const);
    const isOpen = openRun(world.log()) !== null;
    const own = simulation.mutant?.(ports) ?? ports;
    const report = await (isOpen
      ? goOnWithFleet({ ...request, command, force: false }, own)
      : deployFleet({ ...request, ref: newImage }, own)
    ).catch(passKill);
    calls += doom.calls();
    if (report !== null && report.outcome !== 'refused' && openRun(world.log()) === null)
      return { report, calls };
    await clock.sleep(60_000);
  }
  return { report: null, calls };
}

const runsMax = 12;

const drawKills = (random: SeededRandom): readonly FleetKill[] =>
  Array.from({ length: random.integer({ min: 0, max: 3 }) }, () => ({
    call: random.integer({ min: 0, max: 120 }),
    when: random.pick(['before', 'after'] as const),
  }));

/** The machine is gone: nothing that it does reaches AWS any more. */
class Killed extends Error {}

function passKill(error: unknown): null {
  if (error instanceof Killed) return null;
  throw error;
}

/** Kills at one call; and, where faults are drawn, loses some calls and some answers. */
function killer(world: FleetWorld, kill: FleetKill | null, faults: SeededRandom | null): { calls(): number } {
  let calls = 0;
  let isDead = false;
  world.onCall = (name, when) => {
    if (kill && calls === kill.call && when === kill.when) isDead = true;
    if (when === 'after') calls++;
    if (isDead) throw new Killed(name);
    if (faults?.chance(0.02))
      throw failure('FLEET_UNREACHABLE', {
        fleet: 'group web',
        address: 'AWS',
        reason: 'it does not answer',
      });
  };
  return { calls: () => calls };
}

const portsOf = (world: FleetWorld, clock: VirtualClock, random: SeededRandom): FleetPorts => ({
  clock,
  random: { hex: (bytes) => random.hex(bytes) },
  http: { ready: async () => {}, request: async (question) => world.answer(question) },
  operator: { name: 'somebody@somewhere', run: async () => ({ status: 0, stdout: '', stderr: '' }) },
  emit: () => {},
  fleet: world.fleet,
});

/** What must be so once no run has the fleet. */
function wrongAtEnd(
  world: FleetWorld,
  {
    report,
    image,
    capacity,
    suspended,
    replace,
  }: Pick<FleetWorldOptions, 'image' | 'capacity' | 'suspended' | 'replace'> & { readonly report: Report },
): readonly string[] {
  const state = world.state();
  // An instance refresh leaves the capacity to whoever changes it.
  const whole = replace === 'refresh' ? state.capacity : capacity;
  const isNew = world.log().at(-1)?.state === 'done';
  const wanted = isNew ? newImage : oldImage;
  const serving = state.instances.filter((one) => isServing(one) && one.image === wanted).length;
  const strays = state.instances.filter(({ phase, image: of }) => phase !== 'ending' && of !== wanted);
  return [
    ...(isNew && image !== 'good' ? ['proof before traffic: a bad image is done'] : []),
    ...(report.exit > 1 ? [`the end is true: ${report.outcome} (${report.failure?.message})`] : []),
    ...(state.place.image === wanted
      ? []
      : [`converged: the group makes ${state.place.image}, not ${wanted}`]),
    ...(serving === whole.desired ? [] : [`converged: ${serving} of ${whole.desired} serve ${wanted}`]),
    ...(strays.length === 0 ? [] : [`converged: ${strays.map(({ id }) => id).join(', ')} are left`]),
    ...(isEqual(state.capacity, whole)
      ? []
      : [`ours only: the capacity is ${JSON.stringify(state.capacity)}`]),
    ...(isEqual(state.suspended.toSorted(), [...suspended])
      ? []
      : [`ours only: suspended are ${state.suspended.join(', ')}`]),
  ];
}

const isEqual = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
