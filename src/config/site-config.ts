import type { CommandLine } from '../core/command.ts';
import type { SecretPlace } from '../core/field.ts';
import type { HookFunction, HookPoint } from '../core/hook.ts';
import type { Moment } from '../core/moment.ts';
import type { StorageKind } from '../core/storage-kind.ts';
import type { Strategy } from '../core/strategy.ts';

/** A config as it is written. The fields (`fields.ts`) read it; each setting bears the sentence of its field. */
export interface SiteConfig extends StageConfig {
  /** The name of the site, on the screen, in logs and in the lock. */
  readonly name: string;
  /**
   * The places that the site runs at, each with the settings that differ there: objects merge with those above, lists
   * and all else replace them.
   */
  readonly stages: Readonly<Record<string, StageConfig>>;
}

/** What a stage may say: any setting but the name and the stages. What it leaves out, the site says. */
export interface StageConfig {
  /** Where releases come from, and how they are built. */
  readonly source?: SourceConfig;
  /** The directory on every node that holds the site: releases/, shared/ and the link current. */
  readonly deployTo?: string;
  /** Directories that outlive a release, such as uploads: each is a link into shared/. */
  readonly linkedDirs?: readonly string[];
  /** Files that outlive a release, such as .env: each is a link into shared/, and must stand there. */
  readonly linkedFiles?: readonly string[];
  /** Storage that all nodes mount, for those linkedDirs that every node must see, such as uploads. */
  readonly shared?: SharedConfig;
  /** Those linkedDirs that are meant to be each node's own, although they have a name for uploads, such as media. */
  readonly localDirs?: readonly string[];
  /**
   * Directories of static files, such as public/build: the releases on a node lend each other theirs, so that pages of
   * the old and of the new release find their files on every node.
   */
  readonly assets?: readonly string[];
  /** Jobs that run on one node of the site, whatever nodes are deployed to. */
  readonly cron?: CronConfig;
  /** Good releases that stay on each node, the live one and the one before among them. */
  readonly keepReleases?: number;
  /** The machines that serve the site, each a host name or an object; or where their list comes from. */
  readonly nodes?: readonly (string | NodeConfig | NodesFromConfig)[] | NodesFromConfig;
  /**
   * Machines that hold a copy of the lock, in deployTo, and nothing else: with one, two nodes of which one is dead can
   * still be deployed to.
   */
  readonly witnesses?: readonly (string | NodeConfig)[];
  /** What `sluice status --drift` compares beside packages, for nodes must be alike. */
  readonly drift?: DriftConfig;
  /** The load balancers in front of the nodes, by name; all are told, and all must agree. */
  readonly balancers?: Readonly<Record<string, BalancerConfig>>;
  /** IP addresses that float among balancers, by name: the balancer that has one is the active one, and is told last. */
  readonly addresses?: Readonly<Record<string, AddressConfig>>;
  /** The order in which nodes change: the name of a strategy, an object of its name and options, or a strategy of your own. */
  readonly strategy?: string | StrategyConfig | Strategy;
  /** The capacity floor: the fewest nodes that serve at every moment, as a count or a part (rounded up) of all, or of the smaller of two pools. */
  readonly servingMin?: number | `${number}%`;
  /** How a node leaves and joins the rotation. */
  readonly drain?: DrainConfig;
  /** What a node out of rotation must answer, as the new release, before it takes traffic. */
  readonly checks?: readonly CheckConfig[];
  /** How the pool without traffic is reached through the balancers, to be looked at, and checked, before all traffic is flipped to it. */
  readonly preview?: PreviewConfig;
  /** Commands on each node once current is switched, in the release: restart or reload what serves it. */
  readonly activate?: readonly CommandLine[];
  /**
   * Workers on a queue, such as Sidekiq, Horizon or the consumers of Magento: on each node they finish their jobs, and
   * come up in the new release once it is live there.
   */
  readonly workers?: WorkersConfig;
  /** Your own steps, a list at each point: before:deploy, after:deploy and so on. */
  readonly hooks?: { readonly [P in HookPoint]?: readonly HookConfig[] };
  /** Who is told when a run begins, waits for a person, fails, is rolled back, or succeeds. A notice that is not taken is a warning. */
  readonly notices?: readonly NoticeConfig[];
  /** What brings the database to the new release: once for the fleet, on one node. */
  readonly migrate?: MigrateConfig;
  /** A backup that is made once, before the migration; without it nothing changes. */
  readonly backup?: BackupConfig;
  /** Turning visitors away, by the file <deployTo>/maintenance that the web server looks at, and by commands of the site. */
  readonly maintenance?: MaintenanceConfig;
  /** The user that commands on nodes run as, through sudo without a password. */
  readonly become?: string;
  /** How nodes are reached. */
  readonly ssh?: SshConfig;
  /**
   * What happens when a step fails: 'rollback' puts every node back, 'rollback-batch' only those that are out of
   * rotation, 'halt' changes nothing more, 'hold' likewise and waits for sluice promote or sluice abort.
   */
  readonly onFailure?: 'rollback' | 'rollback-batch' | 'halt' | 'hold';
  /**
   * How many nodes may fail, as a count or a part (rounded down) of all, before onFailure decides: they are left out,
   * and come back with what they had.
   */
  readonly failuresMax?: number | `${number}%`;
}

export interface DriftConfig {
  /** The configuration of the web server: files and directories, of which only digests are read. */
  readonly paths?: readonly string[];
  /** Names of packages, and absolute paths, that may differ: * stands for anything, as in linux-image-*. */
  readonly ignore?: readonly string[];
}

export interface SharedConfig {
  /**
   * Where it is on every node: each of its linkedDirs is a link to <path>/<dir>, which must be on the mount. The mount
   * may be path itself, a directory above it, or each <path>/<dir>.
   */
  readonly path?: string;
  /** What must be mounted there. */
  readonly kind?: StorageKind;
  /** Those linkedDirs that are there. */
  readonly linkedDirs: readonly string[];
}

export interface CronConfig {
  /** The node that has them. */
  readonly node?: string;
  /** Instead of node: some node with this role has them, the first that can, and keeps them as long as it can. */
  readonly role?: string;
  /** The jobs. */
  readonly jobs?: readonly CronJobConfig[];
  /**
   * Instead of jobs: a file of the release with lines as in a crontab, such as config/crontab. The jobs are those of the
   * release that is live.
   */
  readonly file?: string;
  /**
   * What begins them: a block in the 'crontab' of the user that commands run as; a file of their own in /etc/cron.d
   * ('cron.d'); timers and services of 'systemd', or of that user's own ('systemd-user'). What stands there besides stays
   * as it is.
   */
  readonly keptIn?: 'crontab' | 'cron.d' | 'systemd' | 'systemd-user';
  /**
   * What becomes of jobs under way where the cron is taken off: 'wait' lets them end, and it stays there if they do not
   * in time; 'end' asks them to end, and ends those that do not.
   */
  readonly onRunning?: 'wait' | 'end';
  /** How long they may take to end. */
  readonly timeout?: Duration;
  /**
   * 'deploy': no job begins while a deploy or rollback goes on; 'migrations': none while a part of migrate runs; 'never':
   * the cron stays where it is meanwhile.
   */
  readonly hold?: 'never' | 'deploy' | 'migrations';
  /** What shows that a node that cannot be read is off, before sluice cron --to moves the cron away from it. */
  readonly fence?: FenceConfig;
}

export interface FenceConfig {
  /**
   * The command, on the machine that sluice runs on; the name of the node is its last argument ($1 of a text). Status 0
   * says that the machine is off: it may put it off, or only look.
   */
  readonly run: CommandLine;
  /** Environment variables of the command; secrets may be named by their place. */
  readonly env?: Readonly<Record<string, string | SecretPlace>>;
  /** How long it may take for a node. */
  readonly timeout?: Duration;
}

export interface CronJobConfig {
  /** When it runs, as in a crontab: five fields, or a word such as @daily. */
  readonly schedule: string;
  /** The command; it runs in the live release. */
  readonly run: CommandLine;
}

export interface WorkersConfig {
  /** The nodes that have them; each may have traffic: false. */
  readonly role?: string;
  /** Asks them to finish the job under way, take no other, and end, such as ['sudo', 'systemctl', 'stop', 'sidekiq']. */
  readonly stop: CommandLine;
  /** Says by status 0 that some have not ended yet, for a stop that only asks. */
  readonly isRunning?: CommandLine;
  /** Commands that bring them up, in order; none where a supervisor does that by itself. */
  readonly start?: readonly CommandLine[];
  /** How long jobs under way may take. */
  readonly drain?: Duration;
  /** What ends those that take longer. */
  readonly kill?: CommandLine;
}

export interface SourceConfig {
  /** The repository: a URL, an address such as git@host:path, or a path. */
  readonly git?: string;
  /** The branch, tag or commit that is deployed unless the command line names another. */
  readonly ref?: string;
  /** The directory of the repository that becomes the release; the rest stays behind. */
  readonly directory?: string;
  /** Whether submodules are checked out too. */
  readonly submodules?: boolean;
  /** Commands that run once, in order, in a clean checkout on the machine that sluice runs on. */
  readonly build?: readonly CommandLine[];
  /** Environment variables of the build; secrets may be named by their place. */
  readonly env?: Readonly<Record<string, string | SecretPlace>>;
  /** Paths that are left out of the release, such as tests. */
  readonly exclude?: readonly string[];
  /** How long checkout and build may take together. */
  readonly timeout?: Duration;
  /** A seed server in place of git. */
  readonly seed?: SeedConfig;
}

export interface SeedConfig {
  /** Its host name or address. */
  readonly host: string;
  /** The login user there. */
  readonly user?: string;
  /** The port of its SSH server. */
  readonly port?: number;
  /** The directory there that images are taken of. */
  readonly path: string;
  /**
   * A repository that git on the seed fetches from, with its own keys: sluice seed build checks out --ref, by default
   * HEAD, in path.
   */
  readonly git?: string;
  /** Commands that sluice seed build runs in path before the checks, such as a build and a restart. */
  readonly build?: readonly CommandLine[];
  /** Paths that are no part of an image, such as caches, besides linkedDirs and linkedFiles. */
  readonly exclude?: readonly string[];
  /**
   * What holds the images: a folder, on the machine that sluice runs on or on storage that it mounts; or S3, as { s3: {
   * bucket } }.
   */
  readonly store: string | { readonly s3: S3Config };
  /**
   * How the content of files comes to a node: 'stream' sends it over SSH; 'storage' lets the node copy it from the store,
   * mounted there at the same path; 'urls' lets curl on the node fetch it from S3.
   */
  readonly deliver?: 'stream' | 'storage' | 'urls';
  /** What the seed must answer before an image is taken; as checks, but it has no release to name. */
  readonly checks?: readonly CheckConfig[];
  /** How long each look at the seed may take. */
  readonly timeout?: Duration;
}

export interface S3Config {
  /** The bucket, which is there. */
  readonly bucket: string;
  /** What the keys of all objects begin with; one for each site. */
  readonly prefix?: string;
  /** The region of the bucket. */
  readonly region?: string;
  /** A profile of ~/.aws/config. */
  readonly profile?: string;
  /** Where the API is, if not at AWS's own address; nodes reach it there, too. */
  readonly endpoint?: string;
}

/** `500ms`, `30s`, `5m` or `1h`. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h'}`;

export interface NodeConfig {
  /** Its name on the screen, and by default the name of its server at the balancers; it may hold a range. */
  readonly name?: string;
  /** Where SSH and checks reach it; it may hold a range as long as that of the name. */
  readonly address?: string;
  /** The login user. */
  readonly user?: string;
  /** The port of its SSH server. */
  readonly port?: number;
  /** The pool that it gets traffic with, where the site has two, such as blue and green. */
  readonly pool?: string;
  /**
   * Whether balancers send it requests, which it must then be checked for; false for a machine with workers or jobs
   * alone.
   */
  readonly traffic?: boolean;
  /** What it is there for; hooks choose nodes by role. */
  readonly roles?: readonly string[];
  /** Words of your own about it, such as its rack. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** A list of nodes that is kept elsewhere: where, the options of that kind, and what holds for all that are in it. */
export interface NodesFromConfig {
  readonly from: string;
  /** The login user, where the list does not say. */
  readonly user?: string;
  /** The port of the SSH server, where the list does not say. */
  readonly port?: number;
  /** The pool of all that are listed, where the list does not say. */
  readonly pool?: string;
  /** Whether balancers send them requests, where the list does not say. */
  readonly traffic?: boolean;
  /** Roles that all of them have. */
  readonly roles?: readonly string[];
  /**
   * Labels (tags, variables) that say what each node is: name, by default also its name at the balancers; pool; and roles,
   * several with commas between.
   */
  readonly fromLabels?: { readonly name?: string; readonly pool?: string; readonly roles?: string };
  /** How long the list may take to be read. */
  readonly within?: string;
  readonly [option: string]: unknown;
}

/** Its kind, and the options of that kind. */
export interface BalancerConfig {
  readonly kind: string;
  /**
   * What a run does while it cannot be reached: 'stop' before the next node leaves, or 'go on' without it, as long as the
   * addresses that it could have are seen at another balancer. Once it is back it is told what it missed.
   */
  readonly onUnreachable?: 'stop' | 'go on';
  readonly [option: string]: unknown;
}

/** Its kind, the balancers among which it floats, and the options of that kind. */
export interface AddressConfig {
  readonly kind: string;
  readonly balancers: readonly string[];
  readonly [option: string]: unknown;
}

/** Its name, and its options. */
export interface StrategyConfig {
  readonly name: string;
  readonly [option: string]: unknown;
}

export interface DrainConfig {
  /** How long requests in flight may take to end once nothing new comes. */
  readonly timeout?: Duration;
  /** What then: 'put-back' leaves the node as it was and fails, 'force' changes it all the same. */
  readonly onTimeout?: 'put-back' | 'force';
  /** How long WebSockets may stay open then, apart from requests: when it is over, and nothing else is left, the balancer ends them. */
  readonly webSockets?: Duration;
  /** How long a node that was enabled may take until every balancer sends it traffic. */
  readonly enableTimeout?: Duration;
  /** The application's port on a node: where a balancer cannot count requests in flight, connections to it are counted there. */
  readonly port?: number;
}

export interface CheckConfig {
  /** The path that is asked for. */
  readonly path: string;
  /** The protocol. */
  readonly scheme?: 'http' | 'https';
  /** The port of the web server on the node. */
  readonly port?: number;
  /** The Host header. */
  readonly host?: string;
  /** The status that the answer must have. */
  readonly status?: number;
  /** Text that the answer must hold; `{{release}}` and `{{revision}}` stand for the new release. */
  readonly expect?: string;
  /** How often to ask at most. */
  readonly attempts?: number;
  /** The pause between two questions. */
  readonly interval?: Duration;
  /** The time from the first question to the last answer; a slow start belongs in here. */
  readonly timeout?: Duration;
  /** 'ssh' asks through the node's SSH connection, so private nodes work; 'direct' asks straight. */
  readonly via?: 'ssh' | 'direct';
}

/** Requests that balancers send to the pool without traffic. */
export interface PreviewConfig {
  /** Where they are asked for, once for each balancer: each check is asked there as well before a flip. */
  readonly urls: readonly string[];
  /** The headers that such requests have, and others have not; secrets may be named by their place. */
  readonly headers?: Readonly<Record<string, string | SecretPlace>>;
}

export type HookConfig = CommandHookConfig | ReadyMadeHookConfig | HookFunction;

export interface CommandHookConfig {
  /** The command; on nodes it runs in the live release. */
  readonly run: CommandLine;
  /** Where it runs: on nodes, or on the machine that sluice runs on. */
  readonly on?: 'nodes' | 'operator';
  /** Only nodes with this role. */
  readonly role?: string;
  /** On one node only, and once in a deploy, whatever is retried: for migrations. */
  readonly once?: boolean;
  /** Its name in plans and logs. */
  readonly name?: string;
  /** How long it may take. */
  readonly timeout?: Duration;
}

export interface ReadyMadeHookConfig {
  /** The name of the ready-made hook. */
  readonly use: string;
  readonly name?: string;
  readonly timeout?: Duration;
  readonly [option: string]: unknown;
}

export interface NoticeConfig {
  /** The receiver, such as slack. */
  readonly to: string;
  /** What is told. */
  readonly on?: readonly Moment[];
  /** How long the receiver may take to answer. */
  readonly timeout?: Duration;
  readonly [option: string]: unknown;
}

export interface MigrateConfig {
  /** Runs in the new release before the first node changes. It may only add: the old release is live. */
  readonly expand: CommandLine;
  /** Runs in the new release once no node has the old one: takes away what only that one needed. */
  readonly contract?: CommandLine;
  /**
   * Whether it closes the way back to the release before: true, false, or a command that is run in the new release before
   * each part, and says yes by status 0, no by 1.
   */
  readonly irreversible?: boolean | CommandLine;
  /** The first node with this role runs it. */
  readonly role?: string;
  /** How long each part may take. */
  readonly timeout?: Duration;
}

/** Its kind (command, mysqldump or pg_dump), and the options of that kind. */
export interface BackupConfig {
  readonly kind: string;
  readonly [option: string]: unknown;
}

export interface MaintenanceConfig {
  /** Which deploys do: 'asked' those with --maintenance, 'always' all but those with --no-maintenance. */
  readonly when?: 'asked' | 'always';
  /** Sets it, in the live release. */
  readonly on?: CommandLine;
  /** Lifts it. */
  readonly off?: CommandLine;
  /** Says by status 0 that it is on: then an operator set it, and it is not lifted. */
  readonly isOn?: CommandLine;
}

export interface SshConfig {
  /**
   * 'ssh2' needs nothing installed; 'openssh' runs the ssh command, for certificates, hardware keys and Kerberos;
   * 'local' runs everything on this machine.
   */
  readonly transport?: 'ssh2' | 'openssh' | 'local';
  /** The login user. */
  readonly user?: string;
  /** The port of the SSH servers. */
  readonly port?: number;
  /** Private key files. */
  readonly keys?: readonly string[];
  /** Whether keys of the SSH agent are tried. */
  readonly agent?: boolean;
  /** Machines to jump through, outermost first. */
  readonly jump?: readonly string[];
  /** The OpenSSH client config that is read; false for none. */
  readonly config?: string | false;
  /** Files that hold the host keys of the nodes. */
  readonly knownHosts?: readonly string[];
  /**
   * 'strict' refuses a host whose key is not known; 'accept-new' notes the key at first sight. A changed key is
   * refused by both.
   */
  readonly hostKeys?: 'strict' | 'accept-new';
  /** How long a connection may take to open. */
  readonly connectTimeout?: Duration;
  /** How often a quiet connection is asked whether it lives. */
  readonly keepAlive?: Duration;
  /** How often to try a connection that fails for a passing reason. */
  readonly attempts?: number;
}

/** Types a config as it is written; changes nothing. */
export const defineSite = (config: SiteConfig): SiteConfig => config;

/** A secret that is kept in an environment variable. */
export const env = (name: string): SecretPlace => ({ env: name });

/** A secret that is kept in a file, whose path is relative to the config. */
export const file = (path: string): SecretPlace => ({ file: path });
