import type { Duplex } from 'node:stream';
import type { CommandLine, CommandResult, NodeCommand } from './core/command.ts';
import type { Counted } from './core/counts.ts';
import type { MachineState } from './core/drift.ts';
import type { Event } from './core/event.ts';
import type { FleetState, FleetStep, ImageId, MachineImage, Place } from './core/fleet.ts';
import type { FleetEntry, LoggedEntry } from './core/fleet-log.ts';
import type { HeldImage, ImageSummary, Manifest } from './core/image.ts';
import type { Node, NodeName, PoolName } from './core/node.ts';
import type { AddressState, BalancerState, ServerState } from './core/observation.ts';
import type { Release, Revision } from './core/release.ts';
import type { Secret } from './core/secret.ts';
import type { AddressName, BalancerName, Check } from './core/site.ts';

/** Every effect that the engine has. Built by `bin` from adapters, and by the simulator. */
export interface Ports {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly balancers: readonly Balancer[];
  readonly addresses: readonly FloatingAddress[];
  readonly source: Source;
  readonly spool: Spool;
  readonly http: Http;
  readonly operator: Operator;
  /** Takes each event in order. Never throws, never waits. */
  readonly emit: (event: Event) => void;
}

export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Resolves after `ms`, or as soon as `signal` is aborted. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface Random {
  /** `bytes` random bytes in hexadecimal. */
  hex(bytes: number): string;
}

/** A machine that is reached over the transport: a node, or the host of a balancer. */
export type Host = Pick<Node, 'name' | 'address' | 'port' | 'user'>;

/**
 * Runs commands on hosts over one connection a host, opened at first use and kept until `close`.
 * Rejects with `NODE_UNREACHABLE`, `HOST_KEY_UNKNOWN`, `HOST_KEY_CHANGED` or `AUTH_REFUSED` if nothing was run;
 * with `OUTCOME_UNKNOWN` if the connection was lost, or `COMMAND_TIMEOUT` if the time ran out, after the command
 * was sent: it may have done its work. An exit status other than 0 is a result.
 */
export interface Transport {
  run(host: Host, command: NodeCommand, options?: RunOptions): Promise<CommandResult>;
  /** A byte stream to an address as the host sees it. */
  connect(host: Host, to: StreamTarget, signal?: AbortSignal): Promise<Duplex>;
  close(): Promise<void>;
  /** Since the start: connections opened and commands run, for the record. */
  counts(): { readonly connections: number; readonly commands: number };
}

export interface RunOptions {
  /** Sent to the command's standard input, which is then closed. Made anew by each call. */
  readonly stdin?: () => AsyncIterable<Uint8Array>;
  /** Takes standard output as it comes; the result's is empty then, and may be of any length. */
  readonly onStdout?: (chunk: Uint8Array) => void;
  /** The bytes of stdin that the connection took so far. */
  readonly onSent?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

export type StreamTarget =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/**
 * One load balancer (one or more processes that must agree). Small on purpose: it reads and it writes; waiting,
 * deadlines and the choice of what to write are the engine's. Every method may be called twice without harm.
 */
export interface Balancer {
  readonly name: BalancerName;
  /** Its machines that are reached over the transport: they vote on who holds the lock. */
  readonly hosts: readonly Host[];
  readonly capabilities: BalancerCapabilities;
  /**
   * Reads all members. A member that cannot be read is an entry with `unreachable` set, not a rejection.
   * Rejects with `BALANCER_SERVER_UNKNOWN` if a member lacks a server of the nodes that were given to the driver, and
   * with `BALANCER_UNFIT` if the member's own settings are such that no node can leave it safely.
   */
  observe(signal?: AbortSignal): Promise<BalancerView>;
  /**
   * Tells every member, and reads back that it took it. Rejects with `BALANCER_UNREACHABLE`,
   * `BALANCER_SERVER_UNKNOWN`, `BALANCER_REFUSED` or `BALANCER_NOT_APPLIED`.
   */
  change(changes: readonly RotationChange[], signal?: AbortSignal): Promise<void>;
  /**
   * Sets weights on every member, in rotation or not, and reads back that it took them; only where
   * `capabilities.weights` is `server`. Rejects as `change` does, and with `BALANCER_WEIGHT_COARSE`, before any
   * member is told anything, if a server's weight in the balancer's configuration does not allow the one that is
   * wanted within a point. A balancer that starts anew may have forgotten weights.
   */
  shift(changes: readonly WeightChange[], signal?: AbortSignal): Promise<void>;
  /**
   * Sends all new requests to the pool, by one change at every member, and reads back that it took it; only where
   * `capabilities.flip` is not `none`. Where it is `kept`, that is written down first. Rejects as `change` does.
   */
  flip(to: PoolName, signal?: AbortSignal): Promise<void>;
  /**
   * Sends so many percent of new requests, whole, from 1 to 99, to the pool and the others to the other one, by one change at
   * every member, and reads back that it took it: `BalancerState.pool` is null until the next flip. Absent unless
   * `capabilities.weights` is `pool`. Rejects as `change` does.
   */
  readonly share?: (to: PoolName, percent: number, signal?: AbortSignal) => Promise<void>;
  /**
   * What every member has counted since it started; only where `capabilities.counters` is true. Members and servers
   * as in `observe`.
   */
  count(signal?: AbortSignal): Promise<Counted>;
  /** Absent where the balancer cannot tell WebSockets from requests. */
  readonly webSockets?: WebSockets;
  /** What `change` or `shift` would send, for people: one line a change. */
  describe(change: RotationChange | WeightChange): string;
  close(): Promise<void>;
}

/** Connections that were upgraded (RFC 9110, 7.8): among `ServerState.sessions`, and open for as long as both sides like. */
export interface WebSockets {
  /** How many are open at each server, by `ServerState.server`. Rejects with `BALANCER_UNREACHABLE`. */
  count(signal?: AbortSignal): Promise<ReadonlyMap<string, number>>;
  /** Ends all sessions of these servers, whatever they are. Rejects as `change` does. */
  close(servers: readonly string[], signal?: AbortSignal): Promise<void>;
}

export interface BalancerCapabilities {
  /** `soft`: sticky sessions keep coming while it drains; `hard`: nothing new comes; `both`: either, by choice. */
  readonly drain: 'soft' | 'hard' | 'both';
  /**
   * What `ServerState.sessions` is: a count of requests; an `estimate`, among which may be connections that are idle;
   * or `none`, null wherever requests may be in flight.
   */
  readonly sessions: 'exact' | 'estimate' | 'none';
  /** How long after a change was read back requests may still go as they went before it, in milliseconds. */
  readonly settleMs: number;
  /** What a process that takes the place of another (a restart, a reload) knows of what that one did. */
  readonly successor: {
    /** Of the rotation and the weights that it was told. */
    readonly rotation: 'kept' | 'forgotten';
    /** Of the requests that the old process still serves: whether they are in `sessions`. */
    readonly requests: 'counted' | 'uncounted';
  };
  /** `server`: `shift` sets the weight of each; `pool`: `share` that of all of a pool together. */
  readonly weights: 'server' | 'pool' | 'none';
  /** `flip` moves all traffic to a pool; whether that is `kept` or `forgotten` when the balancer starts anew. */
  readonly flip: 'kept' | 'forgotten' | 'none';
  /** It can take no node out of rotation, nor put one back: all that it does is to flip. */
  readonly flipsOnly?: true;
  /** Whether `count` counts. */
  readonly counters: boolean;
}

export interface BalancerView {
  readonly members: readonly BalancerState[];
  readonly servers: readonly ServerState[];
}

export interface RotationChange {
  readonly node: NodeName;
  /** Only this server, by `ServerState.server`; null: all servers of the node. */
  readonly server: string | null;
  readonly to: 'in' | 'draining' | 'out';
}

export interface WeightChange extends Pick<RotationChange, 'node' | 'server'> {
  /** In percent of the weight in the balancer's configuration, whole, from 0 (no new requests) to 100. */
  readonly to: number;
}

/** An IP address that one of several machines has at a time: where balancers come in pairs, the active one. */
export interface FloatingAddress {
  readonly name: AddressName;
  readonly ip: string;
  /** The names of the machines among which it floats: those of balancers, for an address of the site. */
  readonly machines: readonly string[];
  /** Who holds it now. A machine that cannot be asked is an entry in `unasked`, not a rejection. */
  holders(signal?: AbortSignal): Promise<AddressState>;
  /**
   * Moves it, and reads back that `to` alone holds it; null: this kind cannot, or its settings do not say how. Rejects
   * with `ADDRESS_REFUSED`, `ADDRESS_NOT_MOVED`, `ADDRESS_BOUND` or `COMMAND_FAILED`, or as the transport does.
   */
  readonly move: ((to: string, signal?: AbortSignal) => Promise<void>) | null;
}

/** Where revisions come from. */
export interface Source {
  /** One commit for the whole fleet. Rejects with `REF_UNKNOWN` or `SOURCE_UNREACHABLE`. */
  resolve(ref: string, signal?: AbortSignal): Promise<Revision>;
  /** Newest first, what `to` has and `from` has not; `behind`: what `from` has and `to` has not. */
  compare(from: Revision, to: Revision): Promise<Comparison>;
  /** Checks out, builds and packs once. Rejects with `BUILD_FAILED`. The artifact is deleted by `discard`. */
  build(release: Release, options: BuildOptions): Promise<Built>;
  /** What `build` would run, for people. */
  describe(): readonly string[];
  /** Absent where revisions are commits. */
  readonly images?: Images;
}

/** The images of a seed server, in a store that stays. Names of images are those that `resolve` gives. */
export interface Images {
  readonly seed: Host;
  /** What is asked of the seed before an image is taken of it. */
  readonly checks: readonly Check[];
  /**
   * Brings a revision of the seed's repository into the directory and runs the commands of the seed's build there, as far as
   * either is set. Says which commit it is. Rejects with `BUILD_FAILED`.
   */
  build(ref: string, signal?: AbortSignal): Promise<Revision | null>;
  /** Whether the seed has a repository. */
  readonly hasGit: boolean;
  /**
   * Takes an image of the directory on the seed; the same content gives the same name, and is stored once. Rejects with
   * `SEED_UNFIT` if something there cannot be in an image, or changed meanwhile.
   */
  capture(options: CaptureOptions): Promise<ImageSummary>;
  /** Newest first. */
  list(): Promise<readonly ImageSummary[]>;
  /** Rejects with `IMAGE_DAMAGED` if it is not what its name says. */
  read(name: Revision): Promise<Manifest>;
  /** What the seed had beside it when it was captured, the last time; null: nobody looked. Rejects as `read` does. */
  machine(name: Revision): Promise<MachineState | null>;
  /** The paths whose content in the store is gone or damaged. */
  verify(name: Revision): Promise<readonly string[]>;
  /** Deletes images, and what no other one holds. */
  remove(names: readonly Revision[]): Promise<void>;
  /** A directory on a host as an image of it would be. */
  readTree(host: Host, path: string, signal?: AbortSignal): Promise<Manifest>;
}

export interface CaptureOptions {
  /** Who does it, `user@host`. */
  readonly by: string;
  /** What was built there; null: changes were made by hand. */
  readonly commit: Revision | null;
  /** What the seed has beside the directory. */
  readonly machine: MachineState;
  readonly signal?: AbortSignal;
}

export interface Comparison {
  readonly commits: readonly {
    readonly revision: string;
    readonly author: string;
    readonly subject: string;
  }[];
  /** Commits of the live release that the new one lacks: more than 0 makes it a downgrade. */
  readonly behind: number;
}

export interface BuildOptions {
  readonly signal?: AbortSignal;
  /** A line of output of a build command. */
  readonly onLine?: (line: string) => void;
}

/** A tree that a node can be sent in parts, or one that it gets as a whole. */
export type Built = Artifact | ImageArtifact;

/** A packed build: a tar archive, gzip-compressed once, whose top level is the release directory itself. */
export interface Artifact {
  readonly bytes: number;
  /** SHA-256 of the packed bytes, hexadecimal. */
  readonly digest: string;
  read(): AsyncIterable<Uint8Array>;
  discard(): Promise<void>;
}

/** A build that is known file by file: a node is sent what it lacks. */
export interface ImageArtifact {
  /** SHA-256 of its manifest as text. */
  readonly image: Revision;
  /** When it was committed or captured, in seconds since the epoch. */
  readonly timeSeconds: number;
  /**
   * What is sent to a node that has `base` whole but for `spoilt` (null: to one that has nothing), as `receiveImage` takes it;
   * null if it is not known what that image holds. Rejects with `IMAGE_DAMAGED`.
   */
  since(base: HeldBase | null): Promise<Parcel | null>;
  /** Deletes all that `since` gave. */
  discard(): Promise<void>;
}

/** What a node is sent, and where it gets the content of the files that it lacks. */
export interface Parcel extends Artifact {
  readonly contents: ParcelContents;
}

/**
 * In the parcel itself; in a folder that the node mounts, as `<folder>/<two digits>/<digest>`; or by `urls`, of which `curl`
 * reads its configuration, made anew for each attempt: they are secret.
 */
export type ParcelContents =
  | { readonly from: 'parcel' }
  | { readonly from: 'storage'; readonly folder: string }
  | { readonly from: 'urls'; config(): Promise<string> };

/** What a node has. */
export interface HeldBase extends Pick<HeldImage, 'image' | 'spoilt'> {
  /** What the node says that the image holds, as `readManifest` gives it. */
  readonly told?: string;
}

/** Keeps bytes on the operator's machine for as long as a run needs them. */
export interface Spool {
  begin(): Promise<Spooling>;
}

/** `write` throws `SPOOL_FAILED` if the disk is full, say. */
export interface Spooling {
  write(chunk: Uint8Array): void;
  /** What was written, as an artifact; its `discard` deletes it. */
  end(): Promise<Artifact>;
  discard(): Promise<void>;
}

/** Asks HTTP questions. */
export interface Http {
  /** Rejects with `HTTP_UNANSWERED` if no whole answer came. Never follows a redirect. */
  request(question: HttpQuestion, signal?: AbortSignal): Promise<HttpAnswer>;
}

export interface HttpQuestion {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Through this host's connection; null: from the operator's machine. */
  readonly via: Host | null;
  readonly timeoutMs: number;
}

export interface HttpAnswer {
  readonly status: number;
  /** At most the first 256 KiB. */
  readonly body: string;
}

/** The machine on which sluice runs, and whoever runs it. */
export interface Operator {
  /** `user@host`, for the lock and the log. */
  readonly name: string;
  readonly host: string;
  /** Runs a hook's command here. */
  run(command: CommandLine, options: OperatorRunOptions): Promise<CommandResult>;
}

export interface OperatorRunOptions {
  readonly env: Readonly<Record<string, string | Secret>>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Every effect that the engine has on a site that is a fleet. */
export interface FleetPorts extends Pick<Ports, 'clock' | 'random' | 'http' | 'emit'> {
  readonly operator: Pick<Operator, 'name' | 'run'>;
  readonly fleet: Fleet;
}

/**
 * Machines that are made of one image. Small on purpose, as `Balancer`: it reads and it writes; what comes next is for
 * `src/core` to say, and waiting is the engine's. Every method may be called twice without harm. All reject with
 * `FLEET_UNREACHABLE`, which may pass, or `FLEET_REFUSED`.
 */
export interface Fleet {
  /** For people, such as `group shop-web`. */
  readonly name: string;
  /** Processes of AWS that would disturb a run, and are suspended for it. */
  readonly disturbing: readonly string[];
  /** Rejects with `FLEET_UNFIT` if it could not be replaced without harm. */
  observe(signal?: AbortSignal): Promise<FleetState>;
  /** Rejects with `IMAGE_ELSEWHERE` if its machines cannot be made of such an image. What they were made of before always can. */
  admit(image: MachineImage): Promise<void>;
  /** What makes machines of the image, made for this run if need be; the same for the same run. */
  placeOf(image: ImageId, run: string, signal?: AbortSignal): Promise<Place>;
  /** Asks for it; only what takes no time is so when it resolves. */
  perform(order: FleetOrder, signal?: AbortSignal): Promise<void>;
  /** What AWS says by itself since then, oldest first. */
  news(sinceMs: number, signal?: AbortSignal): Promise<readonly FleetNews[]>;
  readonly images: MachineImages;
  readonly log: FleetLog;
  close(): void;
}

/** Of the steps those that AWS carries out. */
export type FleetOrder = Exclude<FleetStep, { readonly kind: 'prove' | 'wait' | 'fail' | 'done' }>;

export interface FleetNews {
  readonly atMs: number;
  readonly text: string;
}

/** Images of the seed, as machines are made of them. */
export interface MachineImages {
  /** The address at which the seed answers. */
  seedAddress(signal?: AbortSignal): Promise<string>;
  /** Begins one, and tags it; what becomes of it, `read` says. The same name is the same image. */
  take(options: TakeOptions, signal?: AbortSignal): Promise<ImageId>;
  read(image: ImageId, signal?: AbortSignal): Promise<MachineImage>;
  /** Of this site and stage, newest first. */
  list(signal?: AbortSignal): Promise<readonly MachineImage[]>;
  /** Deletes images with what they are stored in. */
  remove(images: readonly ImageId[], signal?: AbortSignal): Promise<void>;
}

export interface TakeOptions {
  readonly name: string;
  readonly by: string;
  /** How many checks the seed answered before. */
  readonly checks: number;
}

/** Where a fleet's runs are written down. It has no machine of its own that could hold a lock. */
export interface FleetLog {
  /** In any order. */
  read(signal?: AbortSignal): Promise<readonly LoggedEntry[]>;
  /** Writes an entry, which stands only if nothing else came after the number `after`; 0: the log is empty. Says its number. */
  append(entry: FleetEntry, after: number, signal?: AbortSignal): Promise<number>;
  /** Shows that a run lives, by a text that was not there before. */
  beat(text: string, signal?: AbortSignal): Promise<void>;
  lastBeat(signal?: AbortSignal): Promise<string | null>;
}
