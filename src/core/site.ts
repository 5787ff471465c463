import type { CommandLine } from './command.ts';
import type { DriftSettings } from './drift.ts';
import type { HookSpec } from './hook.ts';
import type { Moment } from './moment.ts';
import type { Node, NodeName } from './node.ts';
import type { Secret } from './secret.ts';
import type { StorageKind } from './storage-kind.ts';

/**
 * A site at one stage, as the rest of the program sees it: every setting present, parsed and in its final unit.
 * `src/config` makes it; nothing in here is checked again.
 */
export interface Site {
  readonly name: string;
  readonly stage: string;
  readonly source: GitSource | SeedSource;
  /** Absolute path on every node. */
  readonly deployTo: string;
  /** Paths relative to the release, each linked into `shared/`, or to shared storage. */
  readonly linkedDirs: readonly string[];
  readonly linkedFiles: readonly string[];
  /** Storage that all nodes mount; null: none. */
  readonly shared: SharedStorage | null;
  /** Of `linkedDirs`, those that are each node's own although their name is one for uploads. */
  readonly localDirs: readonly string[];
  /** Directories of the release with static files, which releases that are on a node lend each other. */
  readonly assets: readonly string[];
  /** Jobs that run on one node; null: the site has none. */
  readonly cron: CronSettings | null;
  /** Complete releases kept on each node, the live one and the one before among them; at least 2. */
  readonly keepReleases: number;
  readonly nodes: readonly Node[];
  /** Where those of them come from that the config does not name; empty: it names them all. */
  readonly lists: readonly NodeListing[];
  /** Machines that only vote on who holds the lock. */
  readonly witnesses: readonly Node[];
  /** What nodes are to have in common beside the site. */
  readonly drift: DriftSettings;
  readonly balancers: readonly BalancerSettings[];
  readonly addresses: readonly AddressSettings[];
  readonly strategy: StrategySettings;
  /** The capacity floor, resolved to a count of nodes. */
  readonly servingMin: number;
  readonly drain: DrainSettings;
  readonly checks: readonly Check[];
  /** How the pool without traffic is reached through the balancers; null: it is not. */
  readonly preview: Preview | null;
  /** Run on each node after `current` was switched, in order, in the release. */
  readonly activate: readonly CommandLine[];
  readonly hooks: readonly HookSpec[];
  /** Who is told of runs. */
  readonly notices: readonly NoticeSettings[];
  /** What is run beside the file in `deployTo` that says so; null: the file is all. */
  readonly maintenance: MaintenanceSettings | null;
  /** The user that the commands on nodes run as through sudo; null: the login user. */
  readonly become: string | null;
  readonly ssh: SshSettings;
  readonly onFailure: OnFailure;
  /** So many nodes may fail, and are left out, before `onFailure` decides. */
  readonly failuresMax: number;
}

/** A list of nodes that is kept elsewhere, as it was read. */
export interface NodeListing {
  /** Which it is, for people. */
  readonly shown: string;
  readonly nodes: number;
}

export type BalancerName = string;
export type AddressName = string;

/** Parsed by the kind itself; `kind` is a key of the registry in `src/adapters/notices`. */
export interface NoticeSettings {
  readonly kind: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Null: what suits the kind. */
  readonly on: readonly Moment[] | null;
  readonly timeoutMs: number;
}

export interface SharedStorage {
  /** Absolute path on every node: of the mount, of a directory on it, or of one that holds mounts. */
  readonly path: string;
  /** Null: any network or cluster file system. */
  readonly kind: StorageKind | null;
  /** Of `linkedDirs`, those that are `<path>/<dir>`. */
  readonly linkedDirs: readonly string[];
}

/** Jobs that run on one node of the site, and on which. */
export interface CronSettings {
  /** Who has it: the node with this name; null: some node with `role`. */
  readonly node: NodeName | null;
  readonly role: string | null;
  /** None where they stand in a file. */
  readonly jobs: readonly CronJob[];
  /** A crontab in the release; its jobs are those of the release that is live. */
  readonly file: string | null;
  readonly keptIn: CronPlace;
  /** What becomes of jobs under way where it is taken off: they are waited for, or ended. */
  readonly onRunning: 'wait' | 'end';
  /** How long they may take to end. */
  readonly timeoutMs: number;
  /** `deploy`: no job begins while a run changes the site; `migrations`: none while the database is migrated. */
  readonly hold: 'never' | 'deploy' | 'migrations';
  /** Shows that a machine that cannot be read is off; null: only a person can say so. */
  readonly fence: FenceSettings | null;
}

/** What begins the jobs on a node, and where that is told of them. */
export const cronPlaces = ['crontab', 'cron.d', 'systemd', 'systemd-user'] as const;
export type CronPlace = (typeof cronPlaces)[number];

export interface FenceSettings {
  /** Run on the operator's machine, with the name of the node as its last argument. Status 0: it is off. */
  readonly command: CommandLine;
  readonly env: Readonly<Record<string, string | Secret>>;
  readonly timeoutMs: number;
}

export interface CronJob {
  /** Five fields of crontab(5), or a word such as `@daily`. */
  readonly schedule: string;
  /** Run in the live release. */
  readonly run: CommandLine;
}

export interface GitSource {
  readonly kind: 'git';
  /** Anything git can fetch from: a URL, an scp-like address, a path. */
  readonly url: string;
  /** Branch, tag or commit that is deployed unless the command line names another. */
  readonly ref: string;
  /** Only this directory of the checkout becomes the release; '.' is all of it. */
  readonly directory: string;
  readonly submodules: boolean;
  /** Run once, in order, in a clean checkout on the operator's machine. */
  readonly build: readonly CommandLine[];
  readonly env: Readonly<Record<string, string | Secret>>;
  /** Paths (glob patterns of git's pathspec form are not supported) left out of the artifact. */
  readonly exclude: readonly string[];
  readonly timeoutMs: number;
}

/** A machine on which changes are made and tried; releases are images of a directory there. */
export interface SeedSource extends Pick<Node, 'name' | 'address' | 'user' | 'port'> {
  readonly kind: 'seed';
  /** `newest`, or the beginning of an image's name: what is deployed unless the command line names another. */
  readonly ref: string;
  /** What git on the seed fetches from, before an image is taken; null: changes are made by hand. */
  readonly git: string | null;
  /** Run in the directory there, in order, before the checks. */
  readonly build: readonly CommandLine[];
  /** Absolute path of the directory there. */
  readonly path: string;
  /** Left out of images, besides what is linked. */
  readonly exclude: readonly string[];
  readonly store: StoreSettings;
  readonly deliver: Delivery;
  /** What the seed must answer before an image is taken. */
  readonly checks: readonly Check[];
  readonly timeoutMs: number;
}

/** Where images are kept: an absolute path on the operator's machine, or objects in S3. */
export type StoreSettings = { readonly kind: 'folder'; readonly path: string } | S3Settings;

/** What is null is as the SDK finds it. */
export interface S3Settings {
  readonly kind: 's3';
  readonly bucket: string;
  /** Before the names of all objects; it ends in a slash, or is empty. */
  readonly prefix: string;
  readonly region: string | null;
  readonly profile: string | null;
  readonly endpoint: string | null;
}

/**
 * How the content of files comes to a node: in the `stream` over its connection; copied by it from the store, on `storage` that
 * it mounts where the operator's machine does; or fetched by it from the store in S3, by signed `urls`.
 */
export type Delivery = 'stream' | 'storage' | 'urls';

/** Parsed by the balancer's own driver; `kind` is a key of the registry in `src/adapters/balancers`. */
export interface BalancerSettings {
  readonly name: BalancerName;
  readonly kind: string;
  /** What a run does while it cannot be reached; `go on` only where an address shows that another gets the traffic. */
  readonly onUnreachable: 'stop' | 'go on';
  readonly options: Readonly<Record<string, unknown>>;
}

/** An IP address that one of several balancers has. `kind` is a key of the registry in `src/adapters/addresses`. */
export interface AddressSettings {
  readonly name: AddressName;
  /** Among which it floats. */
  readonly balancers: readonly BalancerName[];
  readonly kind: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface StrategySettings {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface DrainSettings {
  /** How long requests in flight may take to end. */
  readonly timeoutMs: number;
  /** What then: change the node all the same, or put it back untouched and fail. */
  readonly onTimeout: 'force' | 'put-back';
  /** How long WebSockets may stay open; then they are ended. Absent: they are requests like others. */
  readonly webSocketsMs?: number;
  /** How long a node that was enabled may take until every balancer sends it traffic. */
  readonly enableTimeoutMs: number;
  /** Of the application on a node: where a balancer cannot count, connections there are; null: the whole time is waited. */
  readonly port: number | null;
}

/** One HTTP question to a node that is out of rotation. */
export interface Check {
  readonly path: string;
  readonly scheme: 'http' | 'https';
  readonly port: number;
  /** The Host header; null: the node's address. */
  readonly host: string | null;
  readonly status: number;
  /** Text that the body must contain; `{{release}}` and `{{revision}}` stand for the new release. */
  readonly expect: string | null;
  /** At most this many questions; null: as many as fit into the time. */
  readonly attemptsMax: number | null;
  readonly intervalMs: number;
  /** From the first question to the last answer. */
  readonly timeoutMs: number;
  /** Through the node's SSH connection (so private nodes work), or straight from the operator's machine. */
  readonly via: 'ssh' | 'direct';
}

/** Requests that balancers send to the pool without traffic. */
export interface Preview {
  /** Where they are sent, as `scheme://host:port` without a slash at the end. */
  readonly urls: readonly string[];
  /** What tells them from visitors, if not their address. */
  readonly headers: Readonly<Record<string, string | Secret>>;
}

export interface MaintenanceSettings {
  /** Which deploys turn visitors away, unless the command line says otherwise: those that are asked to, or all. */
  readonly when: 'asked' | 'always';
  /** Beside the file that says so; null: the file is all. */
  readonly commands: MaintenanceCommands | null;
}

/** Run on each node, in its live release. */
export interface MaintenanceCommands {
  readonly on: CommandLine;
  readonly off: CommandLine;
  /** Status 0: it is on, and an operator's. */
  readonly isOn: CommandLine;
}

export interface SshSettings {
  readonly transport: 'ssh2' | 'openssh' | 'local';
  readonly user: string | null;
  readonly port: number | null;
  /** Private keys, absolute paths; empty: those that ssh would try. */
  readonly keys: readonly string[];
  readonly agent: boolean;
  /** `user@host:port`, outermost first; empty: none, or what ~/.ssh/config says. */
  readonly jump: readonly string[];
  /** The OpenSSH client config that is read; null: none. */
  readonly configFile: string | null;
  readonly knownHosts: readonly string[];
  readonly hostKeys: 'strict' | 'accept-new';
  readonly connectTimeoutMs: number;
  readonly keepAliveMs: number;
  /** Questions of a connection that could not be opened for a passing reason. */
  readonly attemptsMax: number;
}

/**
 * What happens to the fleet when a step fails. `rollback`: every node goes back to the release it had.
 * `rollback-batch`: only nodes that are out of rotation because of this run go back. `halt`: nothing more is
 * changed; nodes that passed their checks serve again, the others stay out. `hold`: the same, and the run keeps its
 * lock until a person says how it goes on.
 */
export type OnFailure = 'rollback' | 'rollback-batch' | 'halt' | 'hold';
