import type { CommandLine } from '../core/command.ts';
import {
  command,
  defaultsTo,
  describe,
  duration,
  type Field,
  type Fields,
  flag,
  integer,
  isPlainObject,
  type Kind,
  listOf,
  mapOf,
  objectOf,
  oneOf,
  optional,
  type Parsed,
  parsed,
  period,
  port,
  refine,
  scalar,
  text,
  textLike,
  textOrSecret,
  unexpected,
  type ValueOf,
  variantOf,
} from '../core/field.ts';
import { type HookKind, type HookPoint, hookPoints } from '../core/hook.ts';
import type { InventoryKind } from '../core/inventory.ts';
import { moments } from '../core/moment.ts';
import { schedule } from '../core/schedule.ts';
import { type CronPlace, cronPlaces, type StrategySettings } from '../core/site.ts';
import { type StorageKind, storageKinds } from '../core/storage-kind.ts';
import { isOwnStrategy, ownStrategy, type StrategyKind } from '../core/strategy.ts';
import { gitRef, gitUrl, hostHeader, hostName, httpOrigin, jumpHost, urlPath, userName } from './address.ts';
import { backupField } from './backup.ts';
import { commandHookFields, type HookEntry, hookEntry } from './hook-entry.ts';
import { type FindListing, nodesField } from './listed-nodes.ts';
import { nodeCount } from './node-count.ts';
import { nodeListOrNone } from './node-list.ts';
import { absolutePath, directoryInSource, localPath, pathInRelease } from './path.ts';

/** What a config may name, passed in by whoever starts the program. */
export interface Registries {
  readonly strategies: Readonly<Record<string, StrategyKind>>;
  readonly balancers: Readonly<Record<string, Kind>>;
  readonly addresses: Readonly<Record<string, Kind>>;
  readonly hooks: Readonly<Record<string, HookKind>>;
  readonly notices: Readonly<Record<string, Kind>>;
  readonly inventories: Readonly<Record<string, InventoryKind>>;
  readonly fleets: Readonly<Record<string, FleetKindEntry>>;
}

/** What the config must know of a kind of fleet. */
export interface FleetKindEntry extends Kind {
  /** Whether it is told how many new machines there may be at a time. */
  readonly surges: boolean;
}

/**
 * Every setting of a site: what it accepts, what it is when left out, and what it is for. Validation, `defineSite`,
 * the JSON Schema and the reference follow from this page. What several settings must be together stands in
 * `validate.ts`; what they become, in `site.ts`. `find` gives what was read of lists of nodes.
 */
export const siteFields = (
  { strategies, balancers, addresses, hooks, notices, inventories }: Omit<Registries, 'fleets'>,
  find: FindListing = () => null,
) => ({
  name: describe('The name of the site, on the screen, in logs and in the lock.', word),
  source: describe('Where releases come from, and how they are built.', sourceField()),
  deployTo: describe(
    'The directory on every node that holds the site: releases/, shared/ and the link current.',
    absolutePath,
  ),
  linkedDirs: describe(
    'Directories that outlive a release, such as uploads: each is a link into shared/.',
    defaultsTo(listOf(pathInRelease), []),
  ),
  linkedFiles: describe(
    'Files that outlive a release, such as .env: each is a link into shared/, and must stand there.',
    defaultsTo(listOf(pathInRelease), []),
  ),
  shared: describe(
    'Storage that all nodes mount, for those linkedDirs that every node must see, such as uploads.',
    optional(objectOf(sharedFields)),
  ),
  localDirs: describe(
    "Those linkedDirs that are meant to be each node's own, although they have a name for uploads, such as media.",
    defaultsTo(listOf(pathInRelease), []),
  ),
  assets: describe(
    'Directories of static files, such as public/build: the releases on a node lend each other theirs, so that pages of the old and ' +
      'of the new release find their files on every node.',
    defaultsTo(listOf(pathInRelease), []),
  ),
  cron: describe(
    'Jobs that run on one node of the site, whatever nodes are deployed to.',
    optional(objectOf(cronFields)),
  ),
  keepReleases: describe(
    'Good releases that stay on each node, the live one and the one before among them.',
    defaultsTo(integer(2, 1000), 5),
  ),
  nodes: describe(
    'The machines that serve the site, each a host name or an object; or where their list comes from.',
    nodesField(inventories, find),
  ),
  witnesses: describe(
    'Machines that hold a copy of the lock, in deployTo, and nothing else: with one, two nodes of which one is dead can ' +
      'still be deployed to.',
    defaultsTo(nodeListOrNone, []),
  ),
  drift: describe(
    'What `sluice status --drift` compares beside packages, for nodes must be alike.',
    defaultsTo(objectOf(driftFields), {}, 'see below'),
  ),
  balancers: describe(
    'The load balancers in front of the nodes, by name; all are told, and all must agree.',
    defaultsTo(mapOf(variantOf('kind', balancersOfSite(balancers)), word), {}),
  ),
  addresses: describe(
    'IP addresses that float among balancers, by name: the balancer that has one is the active one, and is told last.',
    defaultsTo(mapOf(variantOf('kind', addressesOfSite(addresses)), word), {}),
  ),
  strategy: describe(
    'The order in which nodes change: the name of a strategy, an object of its name and options, or a strategy of your own.',
    defaultsTo(strategyOf(strategies), 'rolling'),
  ),
  servingMin: describe(
    'The capacity floor: the fewest nodes that serve at every moment, as a count or a part (rounded up) of all, or of the ' +
      'smaller of two pools.',
    defaultsTo(nodeCount, '50%'),
  ),
  drain: describe(
    'How a node leaves and joins the rotation.',
    defaultsTo(objectOf(drainFields), {}, 'see below'),
  ),
  checks: describe(
    'What a node out of rotation must answer, as the new release, before it takes traffic.',
    defaultsTo(listOf(objectOf(checkFields)), []),
  ),
  preview: describe(
    'How the pool without traffic is reached through the balancers, to be looked at, and checked, before all traffic is flipped to it.',
    optional(objectOf(previewFields)),
  ),
  activate: describe(
    'Commands on each node once current is switched, in the release: restart or reload what serves it.',
    defaultsTo(listOf(command), []),
  ),
  workers: describe(
    'Workers on a queue, such as Sidekiq, Horizon or the consumers of Magento: on each node they finish their jobs, and come up in the new ' +
      'release once it is live there.',
    optional(objectOf(workersFields)),
  ),
  hooks: describe(
    `Your own steps, a list at each point: ${hookPoints.slice(0, 2).join(', ')} and so on.`,
    defaultsTo(hooksAt(listOf(hookEntry(hooks))), {}),
  ),
  notices: describe(
    'Who is told when a run begins, waits for a person, fails, is rolled back, or succeeds. A notice that is not taken is a warning.',
    defaultsTo(listOf(variantOf('to', withNoticeFields(notices))), []),
  ),
  migrate: describe(
    'What brings the database to the new release: once for the fleet, on one node.',
    optional(objectOf(migrateFields)),
  ),
  backup: describe(
    'A backup that is made once, before the migration; without it nothing changes.',
    optional(backupField),
  ),
  maintenance: describe(
    'Turning visitors away, by the file <deployTo>/maintenance that the web server looks at, and by commands of the site.',
    optional(objectOf(maintenanceFields), 'when asked, by the file'),
  ),
  become: describe(
    'The user that commands on nodes run as, through sudo without a password.',
    optional(userName, 'the login user'),
  ),
  ssh: describe('How nodes are reached.', defaultsTo(objectOf(sshFields), {}, 'see below')),
  onFailure: describe(
    "What happens when a step fails: 'rollback' puts every node back, 'rollback-batch' only those that are out of " +
      "rotation, 'halt' changes nothing more, 'hold' likewise and waits for sluice promote or sluice abort.",
    defaultsTo(oneOf(['rollback', 'rollback-batch', 'halt', 'hold']), 'rollback'),
  ),
  failuresMax: describe(
    'How many nodes may fail, as a count or a part (rounded down) of all, before onFailure decides: they are left out, ' +
      'and come back with what they had.',
    defaultsTo(nodeCount, 0),
  ),
  stages: describe(
    'The places that the site runs at, each with the settings that differ there: objects merge with those above, ' +
      'lists and all else replace them.',
    refine(
      mapOf(anObject, word),
      'at least one stage, each an object',
      (stages) => Object.keys(stages).length > 0,
    ),
  ),
});

/** All settings at one stage, parsed. */
export type Settings = {
  readonly [K in keyof ReturnType<typeof siteFields>]: ValueOf<ReturnType<typeof siteFields>[K]>;
};

/** What a name must be that stands in paths, locks and log lines. */
const word = textLike('a name of letters, digits, dots and dashes', /^[A-Za-z0-9][\w.-]*$/);

const anObject: Field<Readonly<Record<string, unknown>>> = scalar('an object', { type: 'object' }, (value) =>
  isPlainObject(value) ? value : undefined,
);

/** Every kind of balancer, with what all of them have. */
export const balancersOfSite = (kinds: Registries['balancers']): Registries['balancers'] =>
  withOptions(kinds, { onUnreachable });

/** Every kind of address, with the balancers among which it floats. */
export const addressesOfSite = (kinds: Registries['addresses']): Registries['addresses'] =>
  withOptions(kinds, { balancers: amongBalancers });

const withOptions = (
  kinds: Readonly<Record<string, Kind>>,
  more: Kind['options'],
): Readonly<Record<string, Kind>> =>
  Object.fromEntries(
    Object.entries(kinds).map(([name, kind]) => [name, { ...kind, options: { ...kind.options, ...more } }]),
  );

const onUnreachable = describe(
  "What a run does while it cannot be reached: 'stop' before the next node leaves, or 'go on' without it, as long as the addresses that it " +
    'could have are seen at another balancer. Once it is back it is told what it missed.',
  defaultsTo(oneOf(['stop', 'go on']), 'stop'),
);

const amongBalancers = describe(
  'The balancers among which it floats, by name.',
  refine(listOf(text), 'a list of two balancers or more', (names) => new Set(names).size > 1),
);

/** What is released, and how it is built. */
export const sourceFields = {
  git: describe('The repository: a URL, an address such as git@host:path, or a path.', gitUrl),
  ref: describe(
    'The branch, tag or commit that is deployed unless the command line names another.',
    defaultsTo(gitRef, 'main'),
  ),
  directory: describe(
    'The directory of the repository that becomes the release; the rest stays behind.',
    defaultsTo(directoryInSource, '.'),
  ),
  submodules: describe('Whether submodules are checked out too.', defaultsTo(flag, true)),
  build: describe(
    'Commands that run once, in order, in a clean checkout on the machine that sluice runs on.',
    defaultsTo(listOf(command), []),
  ),
  env: describe(
    'Environment variables of the build; secrets may be named by their place.',
    defaultsTo(mapOf(textOrSecret, textLike('the name of a variable', /^[A-Za-z_]\w*$/)), {}),
  ),
  exclude: describe(
    'Paths that are left out of the release, such as tests.',
    defaultsTo(listOf(pathInRelease), []),
  ),
  timeout: describe('How long checkout and build may take together.', defaultsTo(period, '30m')),
};

/** Storage that all nodes mount. */
export const sharedFields = {
  path: describe(
    'Where it is on every node: each of its linkedDirs is a link to <path>/<dir>, which must be on the mount. The mount may be ' +
      'path itself, a directory above it, or each <path>/<dir>.',
    optional(absolutePath, '<deployTo>/shared'),
  ),
  kind: describe(
    'What must be mounted there.',
    optional(oneOf(Object.keys(storageKinds) as StorageKind[]), 'any network or cluster file system'),
  ),
  linkedDirs: describe('Those linkedDirs that are there.', listOf(pathInRelease, 1)),
};

/** What nodes are to have in common beside the site. */
export const driftFields = {
  paths: describe(
    'The configuration of the web server: files and directories, of which only digests are read.',
    defaultsTo(listOf(absolutePath), [
      '/etc/nginx',
      '/etc/apache2',
      '/etc/httpd',
      '/etc/php',
      '/etc/php.ini',
      '/etc/php.d',
      '/etc/php-fpm.conf',
      '/etc/php-fpm.d',
    ]),
  ),
  ignore: describe(
    'Names of packages, and absolute paths, that may differ: * stands for anything, as in linux-image-*.',
    defaultsTo(listOf(textLike('the name of a package or an absolute path', /^[\w/*][^\p{Cc}]*$/u)), []),
  ),
};

/** Something that runs by itself. */
export const cronJobFields = {
  schedule: describe('When it runs, as in a crontab: five fields, or a word such as @daily.', schedule),
  run: describe(
    'The command; it runs in the live release.',
    refine(command, 'a command on one line', (line) => !/\p{Cc}/u.test([line].flat().join(''))),
  ),
};

/** What shows that a machine is off. */
export const fenceFields = {
  run: describe(
    'The command, on the machine that sluice runs on; the name of the node is its last argument ($1 of a text). Status 0 says that ' +
      'the machine is off: it may put it off, or only look.',
    command,
  ),
  env: describe(
    'Environment variables of the command; secrets may be named by their place.',
    defaultsTo(mapOf(textOrSecret, textLike('the name of a variable', /^[A-Za-z_]\w*$/)), {}),
  ),
  timeout: describe('How long it may take for a node.', defaultsTo(period, '60s')),
};

/** Jobs that run on one node. */
export const cronFields = {
  node: describe('The node that has them.', optional(text)),
  role: describe(
    'Instead of node: some node with this role has them, the first that can, and keeps them as long as it can.',
    optional(text),
  ),
  jobs: describe('The jobs.', optional(listOf(objectOf(cronJobFields), 1))),
  file: describe(
    'Instead of jobs: a file of the release with lines as in a crontab, such as config/crontab. The jobs are those of the release that is live.',
    optional(pathInRelease),
  ),
  keptIn: describe(
    "What begins them: a block in the 'crontab' of the user that commands run as; a file of their own in /etc/cron.d ('cron.d'); timers and " +
      "services of 'systemd', or of that user's own ('systemd-user'). What stands there besides stays as it is.",
    defaultsTo(oneOf<CronPlace>(cronPlaces), 'crontab'),
  ),
  onRunning: describe(
    "What becomes of jobs under way where the cron is taken off: 'wait' lets them end, and it stays there if they do not in time; " +
      "'end' asks them to end, and ends those that do not.",
    defaultsTo(oneOf(['wait', 'end']), 'wait'),
  ),
  timeout: describe('How long they may take to end.', defaultsTo(period, '60s')),
  hold: describe(
    "'deploy': no job begins while a deploy or rollback goes on; 'migrations': none while a part of migrate runs; 'never': the cron stays " +
      'where it is meanwhile.',
    defaultsTo(oneOf(['never', 'deploy', 'migrations']), 'never'),
  ),
  fence: describe(
    'What shows that a node that cannot be read is off, before sluice cron --to moves the cron away from it.',
    optional(objectOf(fenceFields), 'only you can say so, by --fenced'),
  ),
};

/** What each notice may say beside the options of its kind. */
export const noticeFields = {
  on: describe('What is told.', optional(listOf(oneOf(moments), 1), 'what suits the kind')),
  timeout: describe('How long the receiver may take to answer.', defaultsTo(period, '10s')),
};

export const withNoticeFields = (kinds: Registries['notices']): Registries['notices'] =>
  Object.fromEntries(
    Object.entries(kinds).map(([name, kind]) => [
      name,
      { ...kind, options: { ...kind.options, ...noticeFields } },
    ]),
  );

/** How a node leaves and joins the rotation. */
export const drainFields = {
  timeout: describe(
    'How long requests in flight may take to end once nothing new comes.',
    defaultsTo(duration, '60s'),
  ),
  onTimeout: describe(
    "What then: 'put-back' leaves the node as it was and fails, 'force' changes it all the same.",
    defaultsTo(oneOf(['put-back', 'force']), 'put-back'),
  ),
  webSockets: describe(
    'How long WebSockets may stay open then, apart from requests: when it is over, and nothing else is left, the balancer ends them.',
    optional(duration, 'as long as requests'),
  ),
  enableTimeout: describe(
    'How long a node that was enabled may take until every balancer sends it traffic.',
    defaultsTo(period, '60s'),
  ),
  port: describe(
    "The application's port on a node: where a balancer cannot count requests in flight, connections to it are counted there.",
    optional(port, 'such a node is given the whole timeout'),
  ),
};

/** One question that a node must answer before it takes traffic. */
export const checkFields = {
  path: describe('The path that is asked for.', urlPath),
  scheme: describe('The protocol.', defaultsTo(oneOf(['http', 'https']), 'http')),
  port: describe('The port of the web server on the node.', optional(port, '80, or 443 for https')),
  host: describe('The Host header.', optional(hostHeader, "the node's address")),
  status: describe('The status that the answer must have.', defaultsTo(integer(100, 599), 200)),
  expect: describe(
    'Text that the answer must hold; `{{release}}` and `{{revision}}` stand for the new release.',
    optional(text),
  ),
  attempts: describe('How often to ask at most.', optional(integer(1, 10_000), 'until the time is up')),
  interval: describe('The pause between two questions.', defaultsTo(period, '1s')),
  timeout: describe(
    'The time from the first question to the last answer; a slow start belongs in here.',
    defaultsTo(period, '60s'),
  ),
  via: describe(
    "'ssh' asks through the node's SSH connection, so private nodes work; 'direct' asks straight.",
    defaultsTo(oneOf(['ssh', 'direct']), 'ssh'),
  ),
};

/** A store in S3. The SDK finds credentials where it always does: environment, profile, role. */
export const s3Fields = {
  bucket: describe(
    'The bucket, which is there.',
    textLike("a bucket's name such as 'shop-images'", /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
  ),
  prefix: describe(
    'What the keys of all objects begin with; one for each site.',
    optional(
      textLike("a path such as 'images/shop', without a slash at either end", /^[\w.-]+(\/[\w.-]+)*$/),
      'they stand at the top',
    ),
  ),
  region: describe(
    'The region of the bucket.',
    optional(textLike('a region such as eu-west-1', /^[a-z]+(-[a-z]+)+-\d+$/), 'as the SDK finds it'),
  ),
  profile: describe('A profile of ~/.aws/config.', optional(text, 'as the SDK finds it')),
  endpoint: describe(
    "Where the API is, if not at AWS's own address; nodes reach it there, too.",
    optional(
      textLike('an http:// or https:// URL without a slash at its end', /^https?:\/\/[^\s?#]*[^\s?#/]$/),
      "AWS's own",
    ),
  ),
};

/** A machine on which changes are made and tried; an image that is taken of it is what nodes get. */
export const seedFields = {
  host: describe('Its host name or address.', hostName),
  user: describe('The login user there.', optional(userName, 'ssh.user')),
  port: describe('The port of its SSH server.', optional(port, 'ssh.port')),
  path: describe('The directory there that images are taken of.', absolutePath),
  git: describe(
    'A repository that git on the seed fetches from, with its own keys: sluice seed build checks out --ref, by default HEAD, in path.',
    optional(
      refine(
        gitUrl,
        'a git URL or path without a password',
        (url) => !/^[a-z+]+:\/\/[^/]*:[^/]*@/i.test(url),
      ),
      'changes are made by hand',
    ),
  ),
  build: describe(
    'Commands that sluice seed build runs in path before the checks, such as a build and a restart.',
    defaultsTo(listOf(command), []),
  ),
  exclude: describe(
    'Paths that are no part of an image, such as caches, besides linkedDirs and linkedFiles.',
    defaultsTo(listOf(pathInRelease), ['.git']),
  ),
  store: describe(
    'What holds the images: a folder, on the machine that sluice runs on or on storage that it mounts; or S3, as { s3: { bucket } }.',
    storeField(),
  ),
  deliver: describe(
    "How the content of files comes to a node: 'stream' sends it over SSH; 'storage' lets the node copy it from the store, mounted there at the same path; 'urls' lets curl on the node fetch it from S3.",
    defaultsTo(oneOf(['stream', 'storage', 'urls']), 'stream'),
  ),
  checks: describe(
    'What the seed must answer before an image is taken; as checks, but it has no release to name.',
    defaultsTo(listOf(seedCheck()), []),
  ),
  timeout: describe('How long each look at the seed may take.', defaultsTo(period, '30m')),
};

export const seedSourceFields = {
  seed: describe('A seed server in place of git.', objectOf(seedFields)),
  ref: describe(
    'The image that is deployed unless the command line names another: newest, or the beginning of its name.',
    defaultsTo(
      textLike("'newest', or at least 4 digits of the name of an image", /^(newest|[\da-f]{4,64})$/),
      'newest',
    ),
  ),
};

export type SeedEntry = { readonly [K in keyof typeof seedFields]: ValueOf<(typeof seedFields)[K]> };

type SourceSettings =
  | { readonly [K in keyof typeof sourceFields]: ValueOf<(typeof sourceFields)[K]> }
  | { readonly [K in keyof typeof seedSourceFields]: ValueOf<(typeof seedSourceFields)[K]> };

/** Either of two kinds of source; what is in both is read as the kind's own. */
function sourceField(): Field<SourceSettings> {
  const [git, seed] = [objectOf(sourceFields), objectOf(seedSourceFields)];
  return {
    expected: 'an object with git or seed',
    summary: '',
    schema: { anyOf: [git.schema, seed.schema] },
    inside: { ...sourceFields, seed: { ...seedSourceFields.seed, absent: { value: null, shown: 'git' } } },
    parse(value, path, readSecret) {
      const kind: Field<SourceSettings> = isPlainObject(value) && 'seed' in value ? seed : git;
      return kind.parse(value, path, readSecret);
    },
  };
}

/** A path, or an object that says which kind of store it is. */
function storeField(): Field<StoreEntry> {
  const s3 = objectOf<S3Entry>({ s3: describe('Objects in S3.', objectOf(s3Fields)) });
  const expected = 'a path, or an object with s3';
  return {
    expected,
    summary: '',
    schema: { anyOf: [localPath.schema, s3.schema] },
    parse(value, path, readSecret): Parsed<StoreEntry> {
      if (isPlainObject(value)) return s3.parse(value, path, readSecret);
      return typeof value === 'string'
        ? localPath.parse(value, path, readSecret)
        : unexpected(path, expected, value);
    },
  };
}

type S3Entry = { readonly s3: { readonly [K in keyof typeof s3Fields]: ValueOf<(typeof s3Fields)[K]> } };
export type StoreEntry = string | S3Entry;

function seedCheck(): Field<CheckSettings> {
  const check: Field<CheckSettings> = objectOf(checkFields);
  return refine(
    check,
    'a check that names no {{release}} or {{revision}}',
    ({ expect }) => expect === null || !/\{\{(release|revision)\}\}/.test(expect),
  );
}

type CheckSettings = { readonly [K in keyof typeof checkFields]: ValueOf<(typeof checkFields)[K]> };

/** Processes that work on jobs of a queue. Their commands run in the live release. */
export const workersFields = {
  role: describe('The nodes that have them; each may have traffic: false.', optional(text, 'all nodes')),
  stop: describe(
    "Asks them to finish the job under way, take no other, and end, such as ['sudo', 'systemctl', 'stop', 'sidekiq'].",
    command,
  ),
  isRunning: describe(
    'Says by status 0 that some have not ended yet, for a stop that only asks.',
    optional(command, 'they have ended once stop has'),
  ),
  start: describe(
    'Commands that bring them up, in order; none where a supervisor does that by itself.',
    defaultsTo(listOf(command), []),
  ),
  drain: describe('How long jobs under way may take.', defaultsTo(period, '60s')),
  kill: describe(
    'What ends those that take longer.',
    optional(command, 'none is ended: the release fails, and they come up again by themselves'),
  ),
};

/** Requests that balancers send to the pool without traffic. */
export const previewFields = {
  urls: describe(
    'Where they are asked for, once for each balancer: each check is asked there as well before a flip.',
    listOf(httpOrigin, 1),
  ),
  headers: describe(
    'The headers that such requests have, and others have not; secrets may be named by their place.',
    defaultsTo(mapOf(textOrSecret, textLike('the name of a header', /^[\w-]+$/)), {}),
  ),
};

/** Two parts, between which both the old and the new release can use the database. */
export const migrateFields = {
  expand: describe(
    'Runs in the new release before the first node changes. It may only add: the old release is live.',
    command,
  ),
  contract: describe(
    'Runs in the new release once no node has the old one: takes away what only that one needed.',
    optional(command, 'nothing'),
  ),
  irreversible: describe(
    'Whether it closes the way back to the release before: true, false, or a command that is run in the new release before each ' +
      'part, and says yes by status 0, no by 1.',
    optional(orCommand(flag), 'contract does, expand does not'),
  ),
  role: describe('The first node with this role runs it.', optional(text, 'the first node')),
  timeout: describe('How long each part may take.', defaultsTo(period, '1h')),
};

/** The commands are for an application that does not look at the file. */
export const maintenanceFields = {
  when: describe(
    "Which deploys do: 'asked' those with --maintenance, 'always' all but those with --no-maintenance.",
    defaultsTo(oneOf(['asked', 'always']), 'asked'),
  ),
  on: describe('Sets it, in the live release.', optional(command)),
  off: describe('Lifts it.', optional(command)),
  isOn: describe(
    'Says by status 0 that it is on: then an operator set it, and it is not lifted.',
    optional(command),
  ),
};

/** How nodes are reached. */
export const sshFields = {
  transport: describe(
    "'ssh2' needs nothing installed; 'openssh' runs the ssh command, for certificates, hardware keys and " +
      "Kerberos; 'local' runs everything on this machine.",
    defaultsTo(oneOf(['ssh2', 'openssh', 'local']), 'ssh2'),
  ),
  user: describe('The login user.', optional(userName, 'what the SSH config says, or your own name')),
  port: describe('The port of the SSH servers.', optional(port, 'what the SSH config says, or 22')),
  keys: describe('Private key files.', defaultsTo(listOf(localPath), [], 'those that ssh would try')),
  agent: describe('Whether keys of the SSH agent are tried.', defaultsTo(flag, true)),
  jump: describe(
    'Machines to jump through, outermost first.',
    defaultsTo(listOf(jumpHost), [], 'what the SSH config says'),
  ),
  config: describe(
    'The OpenSSH client config that is read; false for none.',
    defaultsTo(orFalse(localPath), '~/.ssh/config'),
  ),
  knownHosts: describe(
    'Files that hold the host keys of the nodes.',
    defaultsTo(listOf(localPath), [], "those of the ssh config, or ssh's own"),
  ),
  hostKeys: describe(
    "'strict' refuses a host whose key is not known; 'accept-new' notes the key at first sight. A changed key is " +
      'refused by both.',
    defaultsTo(oneOf(['strict', 'accept-new']), 'strict'),
  ),
  connectTimeout: describe('How long a connection may take to open.', defaultsTo(period, '10s')),
  keepAlive: describe('How often a quiet connection is asked whether it lives.', defaultsTo(period, '15s')),
  attempts: describe(
    'How often to try a connection that fails for a passing reason.',
    defaultsTo(integer(1, 100), 3),
  ),
};

function strategyOf(kinds: Registries['strategies']): Field<StrategySettings> {
  const names = oneOf(Object.keys(kinds));
  const object = variantOf('name', kinds);
  return {
    expected: `${names.expected}, or an object with such a name and its options, or with steps of your own`,
    summary: '',
    schema: { anyOf: [names.schema, object.schema] },
    parse(value, path, readSecret) {
      if (isOwnStrategy(value)) {
        const own = ownStrategy.parse(value, path);
        return own.ok ? parsed({ name: own.value.name, options: { own: own.value } }) : own;
      }
      const named = typeof value === 'string' ? names.parse(value, path) : parsed(null);
      if (!named.ok) return named;
      const chosen = object.parse(typeof value === 'string' ? { name: value } : value, path, readSecret);
      return chosen.ok ? parsed({ name: chosen.value.kind, options: chosen.value.options }) : chosen;
    },
  };
}

type HooksAt = { readonly [K in HookPoint]: readonly HookEntry[] };

export function hooksAt(entries: Field<readonly HookEntry[]>): Field<HooksAt> {
  const points = Object.fromEntries(hookPoints.map((point) => [point, defaultsTo(entries, [])]));
  return { ...objectOf(points as Fields<HooksAt>), inside: commandHookFields, many: 'list' };
}

function orCommand(field: Field<boolean>): Field<boolean | CommandLine> {
  return {
    expected: `${field.expected}, or ${command.expected}`,
    summary: '',
    schema: { anyOf: [field.schema, command.schema] },
    parse(value, path) {
      const result = typeof value === 'boolean' ? parsed(value) : command.parse(value, path);
      return result.ok ? result : unexpected(path, this.expected, value);
    },
  };
}

function orFalse<T>(field: Field<T>): Field<T | false> {
  return {
    expected: `${field.expected}, or false`,
    summary: '',
    schema: { anyOf: [field.schema, { const: false }] },
    parse(value, path) {
      const result: Parsed<T | false> = value === false ? parsed(false) : field.parse(value, path);
      return result.ok ? result : unexpected(path, this.expected, value);
    },
  };
}
