import type { Readable } from 'node:stream';
import type { Overrides } from '../config/overrides.ts';
import type { Event } from '../core/event.ts';
import type { JsonSchema } from '../core/field.ts';
import type { FleetSite } from '../core/fleet.ts';
import type { Site, StrategySettings } from '../core/site.ts';
import type { Strategy } from '../core/strategy.ts';
import type { BalancerCapabilities, FleetPorts, Ports } from '../ports.ts';
import type { Output } from '../reporters/reporter.ts';
import type { simulate } from '../simulator/simulate.ts';
import type { simulateFleet } from '../simulator/simulate-fleet.ts';
import type * as engine from './engine.ts';

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

export type Engine = typeof engine;
