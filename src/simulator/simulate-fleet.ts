import { failure } from '../core/errors.ts';
import type { Report } from '../core/event.ts';
import { type FleetSite, shareOf } from '../core/fleet.ts';
import { openRun } from '../core/fleet-log.ts';
import { deployFleet, goOnWithFleet, rollbackFleet } from '../engine/fleet.ts';
import type { FleetPorts } from '../ports.ts';
import { type NextTurn, type VirtualClock, virtualClock } from './clock.ts';
import { environmentsWorld } from './environments-world.ts';
import { type FleetWorld, type FleetWorldOptions, newImage, oldImage } from './fleet-world.ts';
import { groupWorld } from './group-world.ts';
import { type SeededRandom, seededRandom } from './random.ts';

/**
 * Who replaces machines: sluice or an instance refresh those of an Auto Scaling group; Elastic Beanstalk those of an environment that
 * is updated, or of one that then swaps its name with the one that is live.
 */
export type Replacing = 'sluice' | 'refresh' | 'update' | 'swap';

export interface FleetSimulation {
  readonly seed: number;
  readonly nextTurn: NextTurn;
  readonly site: FleetSite;
  /** Default: sluice. */
  readonly replace?: Replacing;
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
  const image = simulation.image ?? random.pick(['good', 'good', 'good', 'wrong', 'dead'] as const);
  const world = worldFor(simulation, { clock, random, image, isChecked: site.checks.length > 0 });
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
  const { report, calls, misreported } = (ended as Lived | null) ?? {
    report: null,
    calls: 0,
    misreported: [],
  };
  broken.push(...misreported);
  if (!isOver || report === null) broken.push('it always ends: it did not');
  else broken.push(...wrongAtEnd(world, image, report));
  return { seed, broken, trace: world.trace, report, calls };
}

function worldFor({ replace = 'sluice', site }: FleetSimulation, common: FleetWorldOptions): FleetWorld {
  if (replace === 'update' || replace === 'swap') return environmentsWorld({ ...common, replace });
  const { random } = common;
  const min = random.integer({ min: 1, max: 3 });
  const desired = min + random.integer({ min: 0, max: 4 });
  return groupWorld({
    ...common,
    replace,
    capacity: { min, desired, max: desired + random.integer({ min: 0, max: 4 }) },
    suspended: random.chance(0.3) ? ['AZRebalance'] : [],
    servingMin: Math.min(desired, shareOf(site.fleet.servingMin, desired)),
  });
}

const startMs = 1_767_225_600_000;
/** What was under way by itself comes to its end. */
const restMs = 600_000;
const lifetimeMs = 24 * 3_600_000;

interface Lived {
  readonly report: Report | null;
  readonly calls: number;
  /** What the report says that was not so when the fleet was looked at last. */
  readonly misreported: readonly string[];
}

interface Life {
  readonly simulation: FleetSimulation;
  readonly world: FleetWorld;
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
}

/** A run after the other, until one came to its end; and now and then one more, for somebody thinks better of it. */
async function live({ simulation, world, clock, random }: Life): Promise<Lived> {
  const { site, goesOn, mutant } = simulation;
  const kills = simulation.kills ?? drawKills(random);
  const faults = simulation.kills === undefined ? random : null;
  const signal = new AbortController().signal;
  let goesBack = random.fork('rollback').chance(0.3) && faults !== null;
  let begin = (ports: FleetPorts): Promise<Report> =>
    deployFleet({ site, signal, ref: newImage, confirm: async () => true }, ports);
  let calls = 0;
  for (let run = 0; run < runsMax; run++) {
    const doom = killer(world, clock, { kill: kills[run] ?? null, faults });
    const plain = portsOf(world, clock, random);
    const ports = mutant?.(plain) ?? plain;
    const command = goesOn ?? (run < givesUpAfter ? random.pick(['resume', 'abort'] as const) : 'abort');
    const isOpen = openRun(world.log()) !== null;
    const report = await (isOpen
      ? goOnWithFleet({ site, signal, command, force: false, confirm: async () => true }, ports)
      : begin(ports)
    ).catch(passKill);
    calls += doom.calls();
    if (report !== null && report.outcome !== 'refused' && openRun(world.log()) === null) {
      const isDone = world.log().at(-1)?.state === 'done';
      if (!goesBack || !isDone) return { report, calls, misreported: misreported(world, report) };
      goesBack = false;
      begin = (ports) => rollbackFleet({ site, signal, to: null, confirm: async () => true }, ports);
    }
    await clock.sleep(60_000);
  }
  return { report: null, calls, misreported: [] };
}

const runsMax = 12;
/** So many runs: whoever sees the same failure again and again goes back. */
const givesUpAfter = 6;

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

/** Kills at one call; and, where faults are drawn, loses some calls and some answers, and answers none for a while. */
function killer(
  world: FleetWorld,
  clock: VirtualClock,
  { kill, faults }: { readonly kill: FleetKill | null; readonly faults: SeededRandom | null },
): { calls(): number } {
  let calls = 0;
  let isDead = false;
  let throttledUntilMs = 0;
  const mustAnswer = (isAnswered: boolean, reason: string): void => {
    if (!isAnswered) throw failure('FLEET_UNREACHABLE', { fleet: world.fleet.name, address: 'AWS', reason });
  };
  world.onCall = (name, when) => {
    if (kill && calls === kill.call && when === kill.when) isDead = true;
    if (when === 'after') calls++;
    if (isDead) throw new Killed(name);
    if (faults?.chance(0.002))
      throttledUntilMs = clock.passedMs() + faults.integer({ min: 5000, max: 60_000 });
    mustAnswer(when === 'after' || clock.passedMs() >= throttledUntilMs, 'Throttling: Rate exceeded');
    mustAnswer(!faults?.chance(0.02), 'it does not answer');
  };
  return { calls: () => calls };
}

const portsOf = (world: FleetWorld, clock: VirtualClock, random: SeededRandom): FleetPorts => ({
  clock,
  random: { hex: (bytes) => random.hex(bytes) },
  http: { request: async (question) => world.answer(question) },
  operator: { name: 'somebody@somewhere', run: async () => ({ status: 0, stdout: '', stderr: '' }) },
  emit: () => {},
  fleet: world.fleet,
});

/** What must be so once no run has the fleet. */
function wrongAtEnd(world: FleetWorld, image: FleetWorldOptions['image'], report: Report): readonly string[] {
  const last = world.log().at(-1);
  const wanted = (last?.state === 'done' ? last.intent.to : last?.intent.from)?.image ?? oldImage;
  const isAstray = last?.intent.command === 'rollback' && last.intent.to.image !== oldImage;
  return [
    ...(wanted === newImage && image !== 'good' ? ['proof before traffic: a bad image is done'] : []),
    ...(isAstray ? [`way back: the rollback leads to ${last.intent.to.image}`] : []),
    ...(report.exit > 1 ? [`the end is true: ${report.outcome} (${report.failure?.message})`] : []),
    ...world.strays(wanted),
  ];
}

/** What could not be read at the end is not said. */
const misreported = (world: FleetWorld, { nodes }: Report): readonly string[] =>
  (nodes ?? []).flatMap(({ name, serving }) =>
    world.seen().get(name) === serving
      ? []
      : [
          `the end is true: it reports that ${name} ${serving ? 'serves' : 'does not serve'}, which is not so`,
        ],
  );
