import { dirname, join, resolve } from 'node:path';
import {
  type Field,
  type Fields,
  type Parsed,
  parsed,
  parseField,
  problemsOf,
  type ReadSecret,
  unknownSettings,
} from '../core/field.ts';
import { type HookSpec, hookPoints, type Workers } from '../core/hook.ts';
import type { Listing } from '../core/inventory.ts';
import { dutyHooks, type Migration } from '../core/migration.ts';
import type { Secret } from '../core/secret.ts';
import type {
  Check,
  CronSettings,
  DrainSettings,
  GitSource,
  MaintenanceSettings,
  NoticeSettings,
  SeedSource,
  Site,
  SshSettings,
  StoreSettings,
} from '../core/site.ts';
import { workersHooks } from '../core/workers.ts';
import { backupOf } from './backup.ts';
import { type Registries, type Settings, type StoreEntry, siteFields } from './fields.ts';
import { nodesField, type WantedList } from './listed-nodes.ts';
import { countOf } from './node-count.ts';
import { fewestTogether } from './node-list.ts';
import { type Overrides, withOverrides } from './overrides.ts';
import { secretReader } from './secrets.ts';
import { atStage } from './stage.ts';
import { listsOfBalancers, validate } from './validate.ts';

export interface SiteInput {
  readonly stage: string;
  /** Absolute path of the config; paths in it are relative to its directory. */
  readonly file: string;
  readonly registries: Registries;
  /** Where secrets and the home directory (`HOME`) are read from. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads a file as text; throws if it cannot. */
  readonly readFile: (path: string) => string;
  readonly overrides?: Overrides;
  /** Told of each secret that is read. */
  readonly onSecret?: (secret: Secret) => void;
  /** What was read of the lists that `wantedLists` gave, by their paths; default: nothing. */
  readonly listings?: ReadonlyMap<string, Listing>;
}

/** A config at one stage as the rest of the program sees it, or every problem with it. `raw` may be anything. */
export function parseSite(raw: unknown, input: SiteInput): Parsed<Site> {
  const { listings = new Map<string, Listing>() } = input;
  const lists: WantedList[] = [];
  const fields = siteFields(input.registries, (list) => {
    lists.push(list);
    return listings.get(list.path) ?? null;
  });
  const stage = atStage(raw, input.stage, fields);
  if (!stage.ok) return stage;
  const layered = withOverrides(stage.value, input.overrides ?? {}, input.registries);
  if (!layered.ok) return layered;
  const local = localPaths(input);
  const settings = readSettings(fields, layered.value.settings, {
    readSecret: secretReader({ ...input, local }),
    lists,
  });
  return settings.ok
    ? parsed(siteOf(settings.value, { stage: input.stage, local, listings: [...listings.values()] }))
    : { ok: false, problems: settings.problems.map(layered.value.place) };
}

/** The lists of nodes that a config names at a stage, as far as they are well written: what they say is still to be read. */
export function wantedLists(raw: unknown, input: SiteInput): readonly WantedList[] {
  const stage = atStage(raw, input.stage, siteFields(input.registries));
  if (!stage.ok) return [];
  const wanted: WantedList[] = [];
  const nodes = nodesField(input.registries.inventories, (list) => {
    wanted.push(list);
    return null;
  });
  nodes.parse(stage.value.settings.nodes, 'nodes', secretReader({ ...input, local: localPaths(input) }));
  return wanted;
}

/** Reads each setting by itself, so that a rule among good settings is checked even if others are wrong. */
function readSettings(
  fields: Fields<Settings>,
  raw: Readonly<Record<string, unknown>>,
  { readSecret, lists }: { readonly readSecret: ReadSecret; readonly lists: readonly WantedList[] },
): Parsed<Settings> {
  const results = Object.entries<Field<unknown>>(fields).map(
    ([name, field]) => [name, parseField(field, raw[name], name, readSecret)] as const,
  );
  const read = Object.fromEntries(
    results.flatMap(([name, result]) => (result.ok ? [[name, result.value]] : [])),
  ) as Partial<Settings>;
  const problems = [
    ...unknownSettings(fields, raw, '').flatMap(problemsOf),
    ...results.flatMap(([, result]) => problemsOf(result)),
    ...validate(read),
    ...listsOfBalancers(lists, read.balancers ?? {}),
  ];
  return problems.length > 0 ? { ok: false, problems } : parsed(read as Settings);
}

type Local = (path: string) => string;

/** `~/` is the home directory; other paths are relative to the config. */
export const localPaths =
  ({ file, env }: Pick<SiteInput, 'file' | 'env'>): Local =>
  (path) =>
    path.startsWith('~/') && env.HOME ? join(env.HOME, path.slice(2)) : resolve(dirname(file), path);

interface Around {
  readonly stage: string;
  readonly local: Local;
  readonly listings: readonly Listing[];
}

const siteOf = (settings: Settings, { stage, local, listings }: Around): Site => ({
  name: settings.name,
  stage,
  source: sourceOf(settings.source, local),
  deployTo: settings.deployTo,
  linkedDirs: settings.linkedDirs,
  linkedFiles: settings.linkedFiles,
  shared: settings.shared && {
    ...settings.shared,
    path: settings.shared.path ?? `${settings.deployTo}/shared`,
  },
  localDirs: settings.localDirs,
  assets: settings.assets,
  cron: cronOf(settings.cron),
  keepReleases: settings.keepReleases,
  nodes: settings.nodes.flat(),
  lists: listings.map(({ shown, nodes }) => ({ shown, nodes: nodes.length })),
  witnesses: settings.witnesses.flat(),
  drift: settings.drift,
  balancers: Object.entries(settings.balancers).map(([name, { kind, options }]) => {
    const { onUnreachable, ...own } = options;
    // Read by its field, as every setting of a kind.
    return { name, kind, onUnreachable: onUnreachable as 'stop' | 'go on', options: own };
  }),
  addresses: Object.entries(settings.addresses).map(([name, { kind, options }]) => {
    const { balancers, ...own } = options;
    // Read by its field, as every setting of a kind.
    return { name, kind, balancers: balancers as readonly string[], options: own };
  }),
  strategy: settings.strategy,
  servingMin: countOf(settings.servingMin, fewestTogether(settings.nodes.flat()), 'up'),
  drain: drainOf(settings.drain),
  checks: settings.checks.map(checkOf),
  preview: settings.preview,
  notices: settings.notices.map(noticeOf),
  activate: settings.activate,
  hooks: [
    ...dutyHooks(
      settings.migrate && migrationOf(settings.migrate),
      settings.backup && backupOf(settings.backup),
    ),
    ...workersHooks(settings.workers && workersOf(settings.workers)),
    ...hookPoints.flatMap((point) => hooksOf(point, settings.hooks[point])),
  ],
  maintenance: settings.maintenance && maintenanceOf(settings.maintenance),
  become: settings.become,
  ssh: sshOf(settings.ssh, local),
  onFailure: settings.onFailure,
  failuresMax: countOf(settings.failuresMax, settings.nodes.flat().length, 'down'),
});

function sourceOf(settings: Settings['source'], local: Local): GitSource | SeedSource {
  if ('seed' in settings) {
    const { host, store, checks, timeout, ...seed } = settings.seed;
    return {
      ...seed,
      kind: 'seed',
      ref: settings.ref,
      name: host,
      address: host,
      store: storeOf(store, local),
      checks: checks.map(checkOf),
      timeoutMs: timeout,
    };
  }
  const { git, timeout, ...source } = settings;
  return {
    ...source,
    kind: 'git',
    url: /^(~|\.{1,2})\//.test(git) ? local(git) : git,
    timeoutMs: timeout,
  };
}

const storeOf = (store: StoreEntry, local: Local): StoreSettings =>
  typeof store === 'string'
    ? { kind: 'folder', path: local(store) }
    : { ...store.s3, kind: 's3', prefix: store.s3.prefix === null ? '' : `${store.s3.prefix}/` };

const cronOf = (settings: Settings['cron']): CronSettings | null => {
  if (settings === null) return null;
  const { timeout, fence, ...cron } = settings;
  return {
    ...cron,
    jobs: cron.jobs ?? [],
    timeoutMs: timeout,
    fence: fence && { command: fence.run, env: fence.env, timeoutMs: fence.timeout },
  };
};

const drainOf = ({ timeout, webSockets, enableTimeout, ...drain }: Settings['drain']): DrainSettings => ({
  ...drain,
  timeoutMs: timeout,
  ...(webSockets === null ? {} : { webSocketsMs: webSockets }),
  enableTimeoutMs: enableTimeout,
});

const checkOf = ({ port, attempts, interval, timeout, ...check }: Settings['checks'][number]): Check => ({
  ...check,
  port: port ?? defaultPorts[check.scheme],
  attemptsMax: attempts,
  intervalMs: interval,
  timeoutMs: timeout,
});
const defaultPorts = { http: 80, https: 443 } as const;

const migrationOf = ({ timeout, ...migration }: NonNullable<Settings['migrate']>): Migration => ({
  ...migration,
  timeoutMs: timeout,
});

const workersOf = ({ drain, ...workers }: NonNullable<Settings['workers']>): Workers => ({
  ...workers,
  drainMs: drain,
});

const maintenanceOf = ({
  when,
  on,
  off,
  isOn,
}: NonNullable<Settings['maintenance']>): MaintenanceSettings => ({
  when,
  commands: on && off && isOn ? { on, off, isOn } : null,
});

export const hooksOf = (
  point: HookSpec['point'],
  entries: Settings['hooks'][HookSpec['point']],
): readonly HookSpec[] =>
  entries.map(({ name, action }, i) => ({ name: name ?? `${point}[${i}]`, point, action }));

const sshOf = (ssh: Settings['ssh'], local: Local): SshSettings => ({
  transport: ssh.transport,
  user: ssh.user,
  port: ssh.port,
  keys: ssh.keys.map(local),
  agent: ssh.agent,
  jump: ssh.jump,
  configFile: ssh.config === false ? null : local(ssh.config),
  knownHosts: ssh.knownHosts.map(local),
  hostKeys: ssh.hostKeys,
  connectTimeoutMs: ssh.connectTimeout,
  keepAliveMs: ssh.keepAlive,
  attemptsMax: ssh.attempts,
});

export const noticeOf = ({ kind, options }: Settings['notices'][number]): NoticeSettings => {
  // The fields of every kind end with these two.
  const { on, timeout, ...own } = options as typeof options & {
    readonly on: NoticeSettings['on'];
    readonly timeout: number;
  };
  return { kind, options: own, on, timeoutMs: timeout };
};
