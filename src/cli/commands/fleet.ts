import { assert } from '../../core/assert.ts';
import { type ExitStatus, failure } from '../../core/errors.ts';
import type { Event, Report } from '../../core/event.ts';
import type { FleetSite } from '../../core/fleet.ts';
import type * as Engine from '../../engine/fleet.ts';
import type * as Images from '../../engine/machine-image.ts';
import {
  changeText,
  fleetHistoryText,
  fleetStatusText,
  machineImagesText,
} from '../../reporters/fleet-text.ts';
import type { Replacing } from '../../simulator/simulate-fleet.ts';
import { asking, confirmed, mustBeConfirmable } from '../ask.ts';
import { type Call, type Command, type Flags, json, paintOf } from '../call.ts';
import type { OpenFleetPorts } from '../environment.ts';
import { reporterOf } from '../screen.ts';
import { whole } from './simulate.ts';

/** The command where the site is a fleet, and `nodes` where it is not. */
export const orFleetCommand =
  (name: FleetCommandName, nodes: Command): Command =>
  async (call) => {
    const { environment, words, flags } = call;
    const stage = words[name === 'seed' ? 1 : 0] ?? '';
    const { strategy, batch, onFailure, failuresMax } = flags;
    const site = await environment.config.fleet(stage, { strategy, batch, onFailure, failuresMax });
    if (site === null) return nodes(call);
    const { flags: known, run } = commands[name];
    const stray = Object.keys(flags).find((flag) => !(known as readonly string[]).includes(flag));
    if (stray)
      throw failure('USAGE', {
        problem: `--${dashed(stray)} is about nodes, and the site is a fleet of machines.`,
      });
    return run({ call, site, wanted: `${/^.*\//.exec(stage)?.[0] ?? ''}${site.stage}` });
  };

const dashed = (flag: string): string => flag.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

export type FleetCommandName = keyof typeof commands;

interface Asked {
  readonly call: Call;
  readonly site: FleetSite;
  /** As the user named it. */
  readonly wanted: string;
}

interface FleetCommand {
  readonly flags: readonly (keyof Flags)[];
  run(asked: Asked): Promise<ExitStatus>;
}

const shown = ['json', 'reporter', 'verbose'] as const satisfies readonly (keyof Flags)[];

const commands = {
  deploy: {
    flags: ['ref', 'dryRun', 'yes', ...shown],
    run: (asked) =>
      changing(asked, 'deploy', (engine, request, ports) =>
        engine.deployFleet({ ...request, ref: asked.call.flags.ref ?? null }, ports),
      ),
  },
  plan: {
    flags: ['ref', ...shown],
    run: (asked) =>
      changing(
        { ...asked, call: withFlags(asked.call, { dryRun: true }) },
        'deploy',
        (engine, request, ports) =>
          engine.deployFleet({ ...request, ref: asked.call.flags.ref ?? null }, ports),
      ),
  },
  rollback: {
    flags: ['to', 'dryRun', 'yes', ...shown],
    run: (asked) =>
      changing(asked, 'rollback', (engine, request, ports) =>
        engine.rollbackFleet({ ...request, to: asked.call.flags.to ?? null }, ports),
      ),
  },
  resume: { flags: ['force', 'yes', ...shown], run: (asked) => goOn(asked, 'resume') },
  promote: { flags: ['yes', ...shown], run: (asked) => goOn(asked, 'promote') },
  abort: { flags: ['force', 'yes', ...shown], run: (asked) => goOn(asked, 'abort') },
  status: {
    flags: ['json'],
    run: (asked) =>
      looking(asked, async (ports, { call, wanted }) => {
        const { environment, flags } = call;
        const engine = await import('../../engine/fleet.ts');
        const status = await engine.fleetStatus(ports, environment.signal);
        const paint = paintOf(environment, environment.stdout);
        environment.stdout.write(flags.json ? json(status) : fleetStatusText(wanted, status, paint));
      }),
  },
  history: {
    flags: ['json'],
    run: (asked) =>
      looking(asked, async ({ fleet }, { call: { environment, flags } }) => {
        const log = await fleet.log.read(environment.signal);
        environment.stdout.write(flags.json ? json(log) : fleetHistoryText(log));
      }),
  },
  seed: { flags: ['json'], run: (asked) => looking(asked, seed) },
  simulate: { flags: ['runs', 'seed'], run: simulate },
} as const satisfies Readonly<Record<string, FleetCommand>>;

const withFlags = (call: Call, flags: Flags): Call => ({ ...call, flags: { ...call.flags, ...flags } });

type Change = (engine: typeof Engine, request: Engine.FleetRequest, ports: OpenFleetPorts) => Promise<Report>;

/** With a question before it, or only on paper. */
async function changing({ call, site, wanted }: Asked, command: string, run: Change): Promise<ExitStatus> {
  const { environment, flags } = call;
  const isOnPaper = flags.dryRun ?? false;
  if (!isOnPaper) mustBeConfirmable(call, command);
  const { signal } = environment;
  let isShown = false;
  const confirm = async (change: Engine.FleetChange): Promise<boolean> => {
    const output = flags.json && !isOnPaper ? environment.stderr : environment.stdout;
    const text =
      flags.json && isOnPaper ? json(change) : changeText(wanted, change, paintOf(environment, output));
    output.write(text);
    isShown = true;
    return !isOnPaper && asking(environment, (ask) => confirmed(call, 'Go on?', ask));
  };
  const report = await reporting({ call, site, wanted }, isOnPaper, (engine, ports) =>
    run(engine, { site, signal, confirm }, ports),
  );
  if (!isOnPaper) return report.exit;
  if (report.failure) environment.stderr.write(`${report.failure.message}\n`);
  else if (!isShown) environment.stdout.write('Nothing to do.\n');
  return report.failure ? report.exit : 0;
}

const goOn = (asked: Asked, command: 'resume' | 'promote' | 'abort'): Promise<ExitStatus> =>
  reporting(asked, false, (engine, ports) => {
    const { call, site } = asked;
    const { signal } = call.environment;
    return engine.goOnWithFleet({ site, signal, command, force: call.flags.force ?? false }, ports);
  }).then(({ exit }) => exit);

async function reporting(
  { call, site, wanted }: Asked,
  isSilent: boolean,
  run: (engine: typeof Engine, ports: OpenFleetPorts) => Promise<Report>,
): Promise<Report> {
  const { environment } = call;
  const reporter = await reporterOf(call, wanted);
  const [engine, ports] = await Promise.all([
    import('../../engine/fleet.ts'),
    environment.createFleetPorts(site, (event: Event) => {
      if (!isSilent) reporter.draw(event);
    }),
  ]);
  try {
    return await run(engine, ports);
  } finally {
    reporter.clear();
    await ports.close();
  }
}

async function looking(
  asked: Asked,
  look: (ports: OpenFleetPorts, asked: Asked) => Promise<void>,
): Promise<0> {
  const ports = await asked.call.environment.createFleetPorts(asked.site, () => {});
  try {
    await look(ports, asked);
    return 0;
  } finally {
    await ports.close();
  }
}

async function seed(ports: OpenFleetPorts, { call, site }: Asked): Promise<void> {
  const { environment, flags, words } = call;
  const { stdout, signal } = environment;
  const [action = '', , ...named] = words;
  const say = (value: unknown, text: string): boolean => stdout.write(flags.json ? json(value) : text);
  const engine: typeof Images = await import('../../engine/machine-image.ts');
  const actions: Readonly<Record<string, () => Promise<unknown>>> = {
    async build() {
      const image = await engine.takeMachineImage(site, ports, signal);
      say(image, `Image ${image.id} of ${site.seed.instance}: ${image.name}.\n`);
    },
    async list() {
      const images = await ports.fleet.images.list(signal);
      say(images, machineImagesText(images));
    },
    async prune() {
      const gone = await engine.pruneMachineImages(site, ports, signal);
      say(gone, gone.map(({ id }) => `deleted ${id}\n`).join('') || 'Every image is needed.\n');
    },
  };
  const work = Object.hasOwn(actions, action) && named.length === 0 ? actions[action] : undefined;
  if (work) await work();
  else
    throw failure('USAGE', {
      problem: `of a fleet, expected build, list or prune and the stage, got ${words.join(' ')}`,
    });
}

/** As many lives as are asked for, in which the machine that sluice runs on dies, and AWS does not answer. */
async function simulate({ call, site }: Asked): Promise<ExitStatus> {
  const { environment, flags } = call;
  const [runs, first] = [whole('--runs', flags.runs, 200), whole('--seed', flags.seed, 1)];
  const replace = replacing(site.fleet);
  const { simulateFleet } = await environment.fleetSimulator();
  for (let number = first; number < first + runs; number++) {
    const { broken, trace } = await simulateFleet({
      seed: number,
      nextTurn: environment.nextTurn,
      site,
      replace,
    });
    if (broken.length === 0) continue;
    environment.stdout.write(
      `${[...broken, `What led there, in the life of seed ${number}:`, ...trace.map((line) => `  ${line}`)].join('\n')}\n`,
    );
    return 1;
  }
  environment.stdout.write(
    `${runs} simulated lives of the fleet (seeds ${first} to ${first + runs - 1}), and no promise was broken.\n`,
  );
  return 0;
}

/** Who replaces machines in the lives of a fleet, by what its kind has read of its options. */
function replacing({ kind, options }: FleetSite['fleet']): Replacing {
  if (kind === 'aws-beanstalk')
    return (options as { readonly environment: readonly string[] }).environment.length > 1
      ? 'swap'
      : 'update';
  const { replace } = options as { readonly replace?: Replacing };
  assert(replace, `a fleet of kind ${kind} says who replaces its machines`);
  return replace;
}
