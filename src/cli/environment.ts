import type { Readable } from 'node:stream';
import type { Overrides } from '../config/overrides.ts';
import type { Event } from '../core/event.ts';
import type { JsonSchema } from '../core/field.ts';
import type { FleetSite } from '../core/fleet.ts';
import type { Site, StrategySettings } from '../core/site.ts';
import type { Strategy } from '../core/strategy.ts';
import type { moveCron } from '../engine/cron.ts';
import type {
  abort,
  deploy,
  flip,
  promote,
  propose,
  proposeFlip,
  proposeRollback,
  resume,
  rollback,
  sync,
} from '../engine/deploy.ts';
import type { findDrift } from '../engine/drift.ts';
import type { history } from '../engine/history.ts';
import type { maintain } from '../engine/maintenance.ts';
import type { setRotation } from '../engine/manual.ts';
import type { observe } from '../engine/observe.ts';
import type {
  flipsOnlyProblems,
  preflight,
  preflightPools,
  setup,
  webSocketProblems,
} from '../engine/preflight.ts';
import type { buildImage, compareImages, imagesOf, pruneImages } from '../engine/seed.ts';
import type { shrunk } from '../engine/shrunk.ts';
import type { proveStorage } from '../engine/storage.ts';
import type { takeOver } from '../engine/take-over.ts';
import type { unlock } from '../engine/unlock.ts';
import type { weakSpots } from '../engine/weak-spots.ts';
import type { BalancerCapabilities, FleetPorts, Ports } from '../ports.ts';
import type { Output } from '../reporters/reporter.ts';
import type { simulate } from '../simulator/simulate.ts';
import type { simulateFleet } from '../simulator/simulate-fleet.ts';

/** All that the command line needs from outside. `bin` makes the real one. */
export interface Environment {
  /** Without the interpreter and the program. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  /** Of sluice itself. */
  readonly version: string;
  /** Aborted with the reason `SIGINT` or `SIGTERM`. */
  readonly signal: AbortSignal;
  /** Resolves once every promise that can go on has gone on. */
  readonly nextTurn: () => Promise<void>;
  /** Loaded when a command needs it. */
  simulator(): Promise<{ readonly simulate: typeof simulate }>;
  fleetSimulator(): Promise<{ readonly simulateFleet: typeof simulateFleet }>;
  readonly config: Config;
  readonly files: Files;
  /** Loaded when a command needs it. */
  engine(): Promise<Engine>;
  createPorts(site: Site, emit: (event: Event) => void): Promise<OpenPorts>;
  createFleetPorts(site: FleetSite, emit: (event: Event) => void): Promise<OpenFleetPorts>;
}

export type OpenPorts = Ports & { close(): Promise<void> };
export type OpenFleetPorts = FleetPorts & { close(): Promise<void> };

/** Text files, by paths from the current directory. Each throws if the file cannot be read or written. */
export interface Files {
  read(path: string): string;
  write(path: string, text: string): void;
  append(path: string, text: string): void;
}

/** What is said in config files, read from the current directory. */
export interface Config {
  /** `wanted` and the failures are those of `loadSite`. */
  load(wanted: string, overrides: Overrides): Promise<Site>;
  /** The site if it is a fleet; null: it is not. */
  fleet(wanted: string, overrides: Overrides): Promise<FleetSite | null>;
  strategy(settings: StrategySettings): Promise<Strategy>;
  /** What balancers of each kind can do. */
  balancers(): Promise<Readonly<Record<string, BalancerCapabilities>>>;
  schema(): Promise<JsonSchema>;
  /** Writes a config that suits `wanted`, or the application it finds; says what it wrote. Never replaces a file. */
  init(wanted: string | null): Promise<{ readonly file: string; readonly application: string | null }>;
}

export interface Engine {
  readonly deploy: typeof deploy;
  readonly rollback: typeof rollback;
  readonly flip: typeof flip;
  readonly resume: typeof resume;
  readonly abort: typeof abort;
  readonly promote: typeof promote;
  readonly sync: typeof sync;
  readonly takeOver: typeof takeOver;
  readonly propose: typeof propose;
  readonly proposeRollback: typeof proposeRollback;
  readonly proposeFlip: typeof proposeFlip;
  readonly observe: typeof observe;
  readonly preflight: typeof preflight;
  readonly preflightPools: typeof preflightPools;
  readonly flipsOnlyProblems: typeof flipsOnlyProblems;
  readonly webSocketProblems: typeof webSocketProblems;
  readonly weakSpots: typeof weakSpots;
  readonly shrunk: typeof shrunk;
  readonly setup: typeof setup;
  readonly proveStorage: typeof proveStorage;
  readonly setRotation: typeof setRotation;
  readonly unlock: typeof unlock;
  readonly history: typeof history;
  readonly moveCron: typeof moveCron;
  readonly maintain: typeof maintain;
  readonly imagesOf: typeof imagesOf;
  readonly buildImage: typeof buildImage;
  readonly compareImages: typeof compareImages;
  readonly pruneImages: typeof pruneImages;
  readonly findDrift: typeof findDrift;
}
