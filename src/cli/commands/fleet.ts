import { assert } from '../../core/assert.ts';
import { type ExitStatus, failure } from '../../core/errors.ts';
import type { Event, Report } from '../../core/event.ts';
import type { FleetSite } from '../../core/fleet.ts';
import type * as Engine from '../../engine/fleet.ts';
import type * as Images from '../../engine/machine-image.ts';
import {
  changeText,
  fleetCheckText,
  fleetHistoryText,
  fleetStatusText,
  machineImagesText,
} from '../../reporters/fleet-text.ts';
import type { Replacing } from '../../simulator/simulate-fleet.ts';
import { asking, confirmed, mustBeConfirmable } from '../ask.ts';
import { type Call, type Command, type Flags, json, paintOf } from '../call.ts';
import type { OpenFleetPorts } from '../environment.ts';
import { sayWhatASignalDoes } from '../release-run.ts';
import { lockWaitOf } from '../request.ts';
import { reporterOf } from '../screen.ts';
import { watching } from '../watch.ts';
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
    if (isOfNodes(name)) throw failure('FLEET_INSTEAD', { what: `sluice ${name}`, instead: ofNodes[name] });
    const { flags: known, run } = commands[name];
    const given = Object.keys(flags) as readonly (keyof Flags)[];
    const stray = given.find((flag) => !(known as readonly string[]).includes(flag));
    if (stray) {
      const instead =
        flagsOfNodes[stray] ?? 'the README says what there is for a fleet, under Machine images on AWS';
      throw failure('FLEET_INSTEAD', { what: `--${dashed(stray)}`, instead });
    }
    return run({ call, site, wanted: `${/^.*\//.exec(stage)?.[0] ?? ''}${site.stage}` });
  };

const dashed = (flag: string): string => flag.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

export type FleetCommandName = keyof typeof commands | keyof typeof ofNodes;

const isOfNodes = (name: FleetCommandName): name is keyof typeof ofNodes => Object.hasOwn(ofNodes, name);

/** What to do in place of commands that a fleet has no use for. */
const ofNodes = {
  flip: 'two environments of Elastic Beanstalk are swapped by sluice deploy, and back by sluice rollback',
  sync: 'AWS makes new machines of the image that is live; what a run has left, sluice resume finishes',
  balancers: 'sluice status shows which machines get traffic, and how healthy they are',
  unlock:
    'sluice resume or sluice abort takes over what a dead run holds; with --force, of one that is alive',
  drain: 'put an instance into standby (aws autoscaling enter-standby), where sluice leaves it as it is',
  enable: 'an instance comes back from standby by aws autoscaling exit-standby',
  cron: 'let a scheduler outside of it begin jobs, such as EventBridge, or a machine of its own',
  maintenance: 'turn visitors away at the load balancer',
} as const satisfies Readonly<Record<string, string>>;

const onPaper = 'each step of a fleet follows from what AWS shows by then; name the image by --ref instead';
const oneImage = 'all machines of a fleet have one image';
const goOnFirst = 'say sluice resume or sluice abort first';

/** What to do in place of flags that a fleet has no use for. */
const flagsOfNodes: { readonly [F in keyof Flags]?: string } = {
  ref: 'an image is of the seed as it is; deploy takes --ref',
  nodes: oneImage,
  drift: oneImage,
  skipUnreachable: oneImage,
  strategy: 'fleet.replace says how machines are replaced',
  batch: 'fleet.surge says how many are new at a time',
  failuresMax: 'a machine that fails its checks fails the run',
  maintenance: 'turn visitors away at the load balancer',
  acrossIrreversible: 'sluice knows of no migrations of a fleet',
  withoutQuorum: 'its lock is kept at AWS, which votes alone',
  plan: onPaper,
  out: onPaper,
  format: onPaper,
  takeOver: goOnFirst,
  lockWait: 'of a fleet, deploy and rollback take it',
};

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
    flags: ['ref', 'onFailure', 'lockWait', 'dryRun', 'yes', ...shown],
    run: (asked) =>
      changing(asked, 'deploy', (engine, request, ports) =>
        engine.deployFleet({ ...request, ref: asked.call.flags.ref ?? null }, ports),
      ),
  },
  plan: {
    flags: ['ref', 'onFailure', ...shown],
    run: (asked) =>
      changing(
        { ...asked, call: withFlags(asked.call, { dryRun: true }) },
        'deploy',
        (engine, request, ports) =>
          engine.deployFleet({ ...request, ref: asked.call.flags.ref ?? null }, ports),
      ),
  },
  rollback: {
    flags: ['to', 'onFailure', 'lockWait', 'dryRun', 'yes', ...shown],
    run: (asked) =>
      changing(asked, 'rollback', (engine, request, ports) =>
        engine.rollbackFleet({ ...request, to: asked.call.flags.to ?? null }, ports),
      ),
  },
  resume: { flags: ['onFailure', 'force', 'yes', ...shown], run: (asked) => goOn(asked, 'resume') },
  promote: { flags: ['onFailure', 'yes', ...shown], run: (asked) => goOn(asked, 'promote') },
  abort: { flags: ['force', 'yes', ...shown], run: (asked) => goOn(asked, 'abort') },
  status: { flags: ['watch', 'json'], run: status },
  releases: { flags: ['json'], run: (asked) => looking(asked, listImages) },
  check: { flags: ['json'], run: (asked) => looking(asked, check) },
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
async function changing(asked: Asked, command: string, run: Change): Promise<ExitStatus> {
  const { call, site, wanted } = asked;
  const { environment, flags } = call;
  const isOnPaper = flags.dryRun ?? false;
  if (!isOnPaper) mustBeConfirmable(call, command);
  const { signal } = environment;
  const lockWaitMs = flags.lockWait === undefined ? 0 : lockWaitOf(flags.lockWait);
  let isShown = false;
  const confirm = async (change: Engine.FleetChange): Promise<boolean> => {
    isShown = true;
    if (!isOnPaper) return agreed(asked, change);
    const { stdout } = environment;
    stdout.write(flags.json ? json(change) : changeText(wanted, change, paintOf(environment, stdout)));
    return false;
  };
  const report = await reporting(asked, isOnPaper, (engine, ports) =>
    run(engine, { site, signal, confirm, lockWaitMs }, ports),
  );
  if (!isOnPaper) return report.exit;
  if (report.failure) environment.stderr.write(`${report.failure.message}\n`);
  else if (!isShown) environment.stdout.write('Nothing to do.\n');
  return report.failure ? report.exit : 0;
}

async function agreed({ call, wanted }: Asked, change: Engine.FleetChange): Promise<boolean> {
  const { environment, flags } = call;
  const output = flags.json ? environment.stderr : environment.stdout;
  output.write(changeText(wanted, change, paintOf(environment, output)));
  const isAgreed = await asking(environment, (ask) => confirmed(call, 'Go on?', ask));
  // A question that Ctrl-C ended was not answered with no.
  environment.signal.throwIfAborted();
  return isAgreed;
}

async function goOn(asked: Asked, command: 'resume' | 'promote' | 'abort'): Promise<ExitStatus> {
  const { call, site } = asked;
  mustBeConfirmable(call, command);
  const { signal } = call.environment;
  const force = call.flags.force ?? false;
  const confirm = (change: Engine.FleetChange): Promise<boolean> => agreed(asked, change);
  const { exit } = await reporting(asked, false, (engine, ports) =>
    engine.goOnWithFleet({ site, signal, command, force, confirm }, ports),
  );
  return exit;
}

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
  const stopListening = sayWhatASignalDoes(call, reporter);
  try {
    return await run(engine, ports);
  } finally {
    stopListening();
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

function status(asked: Asked): Promise<ExitStatus> {
  const { environment, flags } = asked.call;
  return looking(asked, async (ports) => {
    const engine = await import('../../engine/fleet.ts');
    const paint = paintOf(environment, environment.stdout);
    await watching(asked.call, ports, async () => {
      const found = await engine.fleetStatus(ports, environment.signal);
      return flags.json ? json(found) : fleetStatusText(asked.wanted, found, paint);
    });
  });
}

async function check(ports: OpenFleetPorts, { call, site, wanted }: Asked): Promise<void> {
  const { environment, flags } = call;
  const { stdout, signal } = environment;
  const { checkFleet } = await import('../../engine/fleet-check.ts');
  const ready = await checkFleet(site, ports, signal);
  const { problems } = ready;
  if (flags.json) stdout.write(json({ ready: problems.length === 0, ...ready }));
  if (problems.length > 0) throw failure('PREFLIGHT', { problems });
  if (!flags.json) stdout.write(fleetCheckText(wanted, ready, paintOf(environment, stdout)));
}

async function listImages({ fleet }: OpenFleetPorts, { call }: Asked): Promise<void> {
  const { stdout, signal } = call.environment;
  const images = await fleet.images.list(signal);
  stdout.write(call.flags.json ? json(images) : machineImagesText(images));
}

async function seed(ports: OpenFleetPorts, { call, site, wanted }: Asked): Promise<void> {
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
    list: () => listImages(ports, { call, site, wanted }),
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
      // What hooks reach is real, and this is not.
      site: { ...site, hooks: [] },
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
