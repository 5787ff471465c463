import { Readable } from 'node:stream';
import type { Engine, Environment } from '../../src/cli/environment.ts';
import { run } from '../../src/cli/program.ts';
import type { Event, Report } from '../../src/core/event.ts';
import type { FleetSite } from '../../src/core/fleet.ts';
import type { ImageSummary } from '../../src/core/image.ts';
import type { Revision } from '../../src/core/release.ts';
import type { Site } from '../../src/core/site.ts';
import type { Proposal } from '../../src/engine/deploy.ts';
import type { FleetPorts, Images, Ports } from '../../src/ports.ts';
import { plan, report, steps } from '../reporters/example-run.ts';
import { nodeNames, observation } from '../reporters/example-site.ts';
import { memoryOutput } from '../reporters/memory-output.ts';

export interface FakeOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What a person types; with it, all streams are terminals. */
  readonly typed?: string;
  readonly engine?: Partial<Engine>;
  readonly load?: Environment['config']['load'];
  /** The site is this fleet, and these are its ports. */
  readonly fleet?: FleetSite;
  readonly fleetPorts?: FleetPorts;
  readonly signal?: AbortSignal;
  readonly columns?: number;
  readonly version?: string;
  /** Instead of a file system that takes all. */
  readonly write?: Environment['files']['write'];
  /** By path; what is written stands in the outcome's. */
  readonly files?: Readonly<Record<string, string>>;
  /** Events that the ports emit as soon as they are open. */
  /** What every simulated life breaks. */
  readonly broken?: readonly { readonly promise: string; readonly how: string }[];
  readonly events?: readonly Event[];
}

export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Calls of the engine and the config, in order. */
  readonly calls: readonly (readonly [string, unknown])[];
  readonly portsClosed: boolean;
  /** Whether anything was taken from standard input. */
  readonly inputRead: boolean;
  readonly files: Readonly<Record<string, string>>;
}

/** Runs a command line as `bin` would, with an engine that does nothing and says so. */
export async function sluice(line: string, options: FakeOptions = {}): Promise<Outcome> {
  const isTTY = options.typed !== undefined;
  const cursor = { cursorTo: () => true, clearLine: () => true, moveCursor: () => true };
  const stdout = Object.assign(memoryOutput({ isTTY, columns: options.columns ?? 100 }), cursor);
  const stderr = Object.assign(memoryOutput({ isTTY, columns: options.columns ?? 100 }), cursor);
  const stdin = Object.assign(Readable.from([options.typed ?? '']), { isTTY });
  const calls: [string, unknown][] = [];
  let portsClosed = false;
  const files: Record<string, string> = { ...options.files };
  const environment: Environment = {
    argv: line.split(' ').filter((word) => word !== ''),
    env: { NO_COLOR: '1', ...options.env },
    stdin,
    stdout,
    stderr,
    version: options.version ?? '1.2.3',
    signal: options.signal ?? new AbortController().signal,
    simulator: async () => ({
      simulate: async ({ seed }) => {
        calls.push(['simulate', { seed }]);
        return {
          seed,
          broken: options.broken ?? [],
          trace: ['1 web1: drained'],
          ends: [],
          struck: new Map(),
          covered: new Set(),
          calls: [],
        };
      },
    }),
    fleetSimulator: async () => ({
      simulateFleet: async ({ seed }) => ({ seed, broken: [], trace: [], report: null, calls: 0 }),
    }),
    nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
    config: {
      load: async (wanted, overrides) => {
        calls.push(['load', { wanted, ...overrides }]);
        return options.load ? options.load(wanted, overrides) : site;
      },
      fleet: async () => options.fleet ?? null,
      balancers: async () => ({}),
      strategy: async ({ name }) => ({ name, summary: '', steps: () => [] }),
      schema: async () => ({ type: 'object' }),
      init: async () => ({ file: 'sluice.config.ts', application: 'WordPress' }),
    },
    files: {
      read(path) {
        const text = files[path];
        if (text === undefined) throw new Error(`ENOENT: ${path}`);
        return text;
      },
      write:
        options.write ??
        ((path, text) => {
          files[path] = text;
        }),
      append(path, text) {
        files[path] = `${files[path] ?? ''}${text}`;
      },
    },
    engine: async () => ({ ...fakeEngine(calls), ...options.engine }),
    createFleetPorts: async (_site, emit) => ({ ...options.fleetPorts!, emit, close: async () => {} }),
    createPorts: async (_site, emit) => {
      for (const event of options.events ?? []) emit(event);
      return {
        ...ports,
        emit,
        close: async () => {
          portsClosed = true;
        },
      };
    },
  };
  const status = await run(environment);
  const inputRead = stdin.readableDidRead;
  return { status, stdout: stdout.text(), stderr: stderr.text(), calls, portsClosed, inputRead, files };
}

/** What the command line looks at; the rest of a site is the engine's business. */
export const site = {
  name: 'shop',
  stage: 'production',
  source: { ref: 'main' },
  nodes: nodeNames.map((name) => ({ name, traffic: true })),
  balancers: [{ name: 'lb1' }, { name: 'lb2' }],
  strategy: { name: 'rolling', options: {} },
  servingMin: 3,
  cron: null,
  hooks: [],
  lists: [],
} as unknown as Site;

const ports = { clock: { nowMs: () => 0, sleep: async () => {} } } as unknown as Ports;

export const proposal: Proposal = {
  plan,
  observed: observation(),
  comparison: null,
  commands: steps.map(() => []),
};

function fakeEngine(calls: [string, unknown][]): Engine {
  const note = (name: string, input: unknown): void => {
    calls.push([name, input]);
  };
  const carryOut = async (confirm: (proposal: Proposal) => Promise<boolean>): Promise<Report> =>
    (await confirm(proposal)) ? report() : report({ outcome: 'refused', exit: 2, nodes: null });
  return {
    deploy: async ({ ref, nodes, confirm }) => {
      note('deploy', { ref, nodes });
      return carryOut(confirm);
    },
    rollback: async ({ to, nodes, confirm }) => {
      note('rollback', { to, nodes });
      return carryOut(confirm);
    },
    flip: async ({ back, confirm }) => {
      note('flip', { back });
      return carryOut(confirm);
    },
    resume: async ({ force, confirm }) => {
      note('resume', { force });
      return carryOut(confirm);
    },
    abort: async ({ force, confirm }) => {
      note('abort', { force });
      return carryOut(confirm);
    },
    promote: async ({ confirm }) => {
      note('promote', {});
      return carryOut(confirm);
    },
    sync: async ({ to, nodes, confirm }) => {
      note('sync', { to, nodes });
      return carryOut(confirm);
    },
    takeOver: async ({ by }) => {
      note('takeOver', { by });
      return null;
    },
    propose: async ({ ref, nodes }) => {
      note('propose', { ref, nodes });
      return proposal;
    },
    proposeRollback: async ({ to, nodes }) => {
      note('proposeRollback', { to, nodes });
      return proposal;
    },
    proposeFlip: async ({ back }) => {
      note('proposeFlip', { back });
      return proposal;
    },
    observe: async () => observation(),
    preflight: () => ({ problems: [], warnings: [] }),
    preflightPools: () => ({ problems: [], warnings: [] }),
    flipsOnlyProblems: () => [],
    webSocketProblems: () => [],
    weakSpots: () => [],
    shrunk: async () => [],
    setup: async () => note('setup', null),
    proveStorage: async () => ({ problems: [], warnings: [], answers: true }),
    setRotation: async (_site, _ports, { nodes, to, force }) => note('setRotation', { nodes, to, force }),
    moveCron: async (_site, _ports, { to, fenced }) => note('moveCron', { to, fenced }),
    maintain: async (_site, _ports, { to, reason, withoutQuorum }) =>
      note('maintain', { to, reason, withoutQuorum }),
    imagesOf: () => ({ list: async () => [image] }) as unknown as Images,
    buildImage: async () => image,
    compareImages: async (_site, _ports, { from, to }) => {
      note('compareImages', { from, to });
      return [
        { path: 'index.php', from: indexPage, to: indexPage },
        { path: 'new.php', from: null, to: { kind: 'directory', path: 'new.php', mode: '755' } },
      ];
    },
    pruneImages: async () => [image],
    findDrift: async (_site, _ports, { image: revision }) => {
      note('findDrift', { image: revision });
      return { image: null, nodes: [] };
    },
    unlock: async (_site, _ports, { locks, reason }) => {
      note('unlock', { reason });
      return { broken: locks, failed: [] };
    },
    history: async () => [
      {
        at: '2026-01-13T09:00:00Z',
        text: 'deploy main as 20260113090000 by ada@laptop: done',
        nodes: [...nodeNames],
      },
    ],
  };
}

const indexPage = { kind: 'link', path: 'index.php', target: 'web/index.php' } as const;

export const image: ImageSummary = {
  name: 'ab12'.repeat(16) as Revision,
  atMs: Date.UTC(2026, 0, 14),
  from: 'seed1:/srv/app',
  by: 'ada@laptop',
  commit: null,
  files: 3,
  bytes: 4096,
};

export const lock = {
  run: 'r9',
  holder: 'bob@ci7',
  host: 'ci7',
  reason: 'deploy main as 20260114093000',
  startedAt: '2026-01-14T09:30:00Z',
  silentMs: 312_000,
  intent: null,
  held: null,
};
