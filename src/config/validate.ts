import { calendarOf } from '../core/calendar.ts';
import { list } from '../core/errors.ts';
import { isPlainObject, join, shown } from '../core/field.ts';
import { hookPoints } from '../core/hook.ts';
import { dutyNames } from '../core/migration.ts';
import { suggestion } from '../core/nearest.ts';
import { workersName } from '../core/workers.ts';
import type { SeedEntry, Settings } from './fields.ts';
import type { HookEntry } from './hook-entry.ts';
import type { WantedList } from './listed-nodes.ts';
import { countOf } from './node-count.ts';
import { fewestTogether, type NodeList, nodesMax, poolsOf } from './node-list.ts';

/**
 * What the settings must be together: every broken rule, each problem beginning with its path. A rule is left out
 * while a setting that it needs could not be read.
 */
export const validate = (read: Partial<Settings>): readonly string[] => rules.flatMap((check) => check(read));

const rule =
  <K extends keyof Settings>(
    needs: readonly K[],
    check: (settings: Pick<Settings, K>) => readonly string[],
  ): ((read: Partial<Settings>) => readonly string[]) =>
  (read) =>
    needs.every((name) => read[name] !== undefined) ? check(read as Pick<Settings, K>) : [];

const rules = [
  rule(['linkedDirs', 'linkedFiles'], ({ linkedDirs, linkedFiles }) =>
    overlaps([...placed('linkedDirs', linkedDirs), ...placed('linkedFiles', linkedFiles)]),
  ),
  rule(['linkedDirs', 'linkedFiles', 'assets'], ({ linkedDirs, linkedFiles, assets }) =>
    sharedTwice(placed('assets', assets), [
      ...placed('linkedDirs', linkedDirs),
      ...placed('linkedFiles', linkedFiles),
    ]),
  ),
  rule(['linkedDirs', 'shared', 'localDirs'], ({ linkedDirs, shared, localDirs }) =>
    unlinked(linkedDirs, shared?.linkedDirs ?? [], localDirs),
  ),
  rule(['source'], ({ source }) => ('seed' in source ? undelivered(source.seed) : [])),
  rule(['nodes'], ({ nodes }) => tooManyNodes(nodes)),
  rule(['nodes', 'ssh'], ({ nodes, ssh }) => repeatedNodes(nodes, ssh.port ?? 22)),
  rule(['nodes', 'balancers', 'servingMin'], (settings) => floorThatCannotBeKept(settings)),
  rule(['nodes'], ({ nodes }) => unpaired(nodes)),
  rule(['nodes'], ({ nodes }) => withoutTraffic(nodes)),
  rule(['nodes', 'preview', 'checks'], ({ nodes, preview, checks }) =>
    preview === null ? [] : previewOfNothing(nodes, checks.length),
  ),
  rule(['nodes', 'balancers'], ({ nodes, balancers }) => backendsOfNobody(nodes, balancers)),
  rule(['nodes', 'balancers'], ({ nodes, balancers }) => serversOfNobody(nodes, balancers)),
  rule(['balancers', 'addresses'], (settings) => addressesOfNobody(settings)),
  rule(['nodes', 'hooks'], ({ nodes, hooks }) => rolesOfNobody(nodes, hooks)),
  rule(['nodes', 'cron'], ({ nodes, cron }) => cronOfNobody(nodes, cron)),
  rule(['cron'], ({ cron }) => jobsOfNobody(cron)),
  rule(['cron', 'migrate'], ({ cron, migrate }) =>
    cron?.hold === 'migrations' && migrate === null
      ? ['cron.hold: migrations are what migrate says, and it is not set']
      : [],
  ),
  rule(['nodes', 'migrate'], ({ nodes, migrate }) => roleOfNobody(nodes, 'migrate', migrate?.role ?? null)),
  rule(['nodes', 'backup'], ({ nodes, backup }) =>
    roleOfNobody(nodes, 'backup', backup?.options.role ?? null),
  ),
  rule(['nodes', 'workers'], ({ nodes, workers }) => roleOfNobody(nodes, 'workers', workers?.role ?? null)),
  rule(['maintenance'], ({ maintenance }) => halfMaintained(maintenance)),
  rule(['hooks'], ({ hooks }) => repeatedHookNames(hooks)),
  rule(['hooks', 'migrate', 'backup'], ({ hooks, migrate, backup }) =>
    migrate || backup ? reservedHookNames(hooks, Object.values(dutyNames), 'migrate or backup does') : [],
  ),
  rule(['hooks', 'workers'], ({ hooks, workers }) =>
    workers ? reservedHookNames(hooks, [workersName], 'is done for workers') : [],
  ),
];

/**
 * Lists that the site's own balancers change: a node that is out of rotation would be no node. By convention `targetGroup`, in the
 * options of any kind of either, names what both share.
 */
export const listsOfBalancers = (
  lists: readonly WantedList[],
  balancers: Settings['balancers'],
): readonly string[] =>
  lists.flatMap(({ path, options: { targetGroup } }) =>
    Object.entries(balancers).flatMap(([balancer, { options }]) =>
      typeof targetGroup === 'string' && groupsIn(options.targetGroup).includes(nameInArn(targetGroup))
        ? [
            `${path}.targetGroup: balancer ${balancer} takes nodes out of ${targetGroup} while they change, and then they would be missing here; name them by tags or by their Auto Scaling group`,
          ]
        : [],
    ),
  );

/** A name, a list of such, or such for each pool. */
const groupsIn = (setting: unknown): readonly string[] =>
  typeof setting === 'string'
    ? [nameInArn(setting)]
    : Object.values((setting ?? {}) as object).flatMap(groupsIn);

/** An ARN ends with `targetgroup/<name>/<id>`. */
const nameInArn = (group: string): string => group.split('/').at(-2) ?? group;

function undelivered({ store, deliver }: SeedEntry): readonly string[] {
  const isFolder = typeof store === 'string';
  if (deliver === 'urls' && isFolder)
    return [`source.seed.deliver: 'urls' needs a store in S3, and source.seed.store is the folder ${store}`];
  if (deliver === 'storage' && !isFolder)
    return [
      "source.seed.deliver: 'storage' needs a store in a folder that nodes mount, and source.seed.store is in S3",
    ];
  return deliver === 'storage' && isFolder && !store.startsWith('/')
    ? [
        `source.seed.store: expected an absolute path, the same on the nodes (deliver: 'storage'), got ${shown(store)}`,
      ]
    : [];
}

/** A value and where it stands. */
interface Placed {
  readonly path: string;
  readonly value: string;
}

const placed = (path: string, values: readonly string[]): readonly Placed[] =>
  values.map((value, i) => ({ path: `${path}[${i}]`, value }));

/** Linked paths that are linked already, by themselves or with a directory around them. */
function overlaps(links: readonly Placed[]): readonly string[] {
  const first = firstPaths(links);
  return links.flatMap(({ path, value }) => {
    const parts = value.split('/');
    const around = parts.map((_, i) => parts.slice(0, i).join('/')).find((outer) => first.has(outer));
    if (around !== undefined)
      return [`${path}: ${value} lies inside ${around}, which is linked (${first.get(around)})`];
    return first.get(value) === path ? [] : [`${path}: ${value} is linked already (${first.get(value)})`];
  });
}

const firstPaths = (entries: readonly Placed[]): ReadonlyMap<string, string> =>
  new Map(entries.toReversed().map(({ path, value }) => [value, path]));

/** Assets that all releases share already, by a link. */
const sharedTwice = (assets: readonly Placed[], links: readonly Placed[]): readonly string[] =>
  assets.flatMap((asset) => {
    const link = links.find(
      ({ value }) => `${asset.value}/`.startsWith(`${value}/`) || value.startsWith(`${asset.value}/`),
    );
    return link
      ? [`${asset.path}: ${asset.value} and ${link.value}, which is linked (${link.path}), overlap`]
      : [];
  });

/** What stands in `shared` or `localDirs` and is not linked, or stands in both. */
function unlinked(
  linkedDirs: readonly string[],
  sharedDirs: readonly string[],
  localDirs: readonly string[],
): readonly string[] {
  const named = [...placed('shared.linkedDirs', sharedDirs), ...placed('localDirs', localDirs)];
  const strange = named
    .filter(({ value }) => !linkedDirs.includes(value))
    .map(
      ({ path, value }) =>
        `${path}: expected one of linkedDirs, got ${shown(value)}${suggestion(value, linkedDirs)}`,
    );
  return strange.length > 0 ? strange : overlaps(named);
}

const tooManyNodes = (nodes: NodeList): readonly string[] => {
  const count = nodes.flat().length;
  return count > nodesMax ? [`nodes: expected at most ${nodesMax} nodes, got ${count}`] : [];
};

/** Nodes with the name, or the address and port, of one before. */
function repeatedNodes(nodes: NodeList, sshPort: number): readonly string[] {
  const entries = nodes.flatMap((entry, i) => entry.map((node) => ({ node, path: `nodes[${i}]` })));
  const names = entries.map(({ node, path }) => ({ path, value: node.name }));
  const places = entries.map(({ node, path }) => ({
    path,
    value: `${node.address}:${node.port ?? sshPort}`,
  }));
  const byName = repeated(names, 'name');
  return byName.length > 0 ? byName : repeated(places, 'address');
}

function repeated(entries: readonly Placed[], what: string): readonly string[] {
  const seen = new Map<string, string>();
  return entries.flatMap(({ path, value }) => {
    const before = seen.get(value);
    seen.set(value, before ?? path);
    return before === undefined ? [] : [`${path}: ${value} is the ${what} of ${before} too`];
  });
}

function floorThatCannotBeKept({
  nodes,
  balancers,
  servingMin,
}: Pick<Settings, 'nodes' | 'balancers' | 'servingMin'>): readonly string[] {
  const total = fewestTogether(nodes.flat());
  const hasPools = poolsOf(nodes.flat()).length > 0;
  const behindBalancer = Object.keys(balancers).length > 0;
  const most = behindBalancer && !hasPools ? total - 1 : total;
  const count = countOf(servingMin, total, 'up');
  if (count <= most) return [];
  const got = `got ${shown(servingMin)}${typeof servingMin === 'number' ? '' : `, which is ${nodeCount(count)}`}`;
  if (!behindBalancer) return [`servingMin: expected at most ${most}, the number of nodes, ${got}`];
  if (hasPools) return [`servingMin: expected at most ${most}, the nodes of the smaller pool, ${got}`];
  return total === 1
    ? [`servingMin: expected 0 (a single node leaves nobody behind when it leaves the balancer), ${got}`]
    : [`servingMin: expected at most ${most} (of ${total} nodes one must be able to leave), ${got}`];
}

const nodeCount = (count: number): string => `${count} ${count === 1 ? 'node' : 'nodes'}`;

/** Pools come in twos, and every node is in one of them. */
function unpaired(nodes: NodeList): readonly string[] {
  const pools = poolsOf(nodes.flat());
  if (pools.length === 0) return [];
  const outside = nodes.flatMap((entry, i) =>
    entry.some(({ pool }) => pool === null) ? [`nodes[${i}]: expected a pool, as other nodes have one`] : [],
  );
  return pools.length === 2
    ? outside
    : [...outside, `nodes: expected two pools, got ${pools.length === 1 ? `only ${pools[0]}` : list(pools)}`];
}

/** Some node gets traffic; one that does not has nothing to do with pools. */
function withoutTraffic(nodes: NodeList): readonly string[] {
  if (nodes.flat().every(({ traffic }) => !traffic))
    return ['nodes: expected a node that gets traffic, and all have traffic: false'];
  if (poolsOf(nodes.flat()).length === 0) return [];
  return nodes.flatMap((entry, i) =>
    entry.some(({ traffic }) => !traffic)
      ? [`nodes[${i}].traffic: all nodes get traffic where there are pools`]
      : [],
  );
}

const previewOfNothing = (nodes: NodeList, checks: number): readonly string[] => [
  ...(poolsOf(nodes.flat()).length === 0 ? ['preview: expected nodes in two pools, got none in a pool'] : []),
  ...(checks === 0 ? ['preview: expected checks, which are asked there, got none'] : []),
];

/** By convention `backend`, in the options of any kind of balancer, may map each pool to what serves it. */
function backendsOfNobody(nodes: NodeList, balancers: Settings['balancers']): readonly string[] {
  const pools = poolsOf(nodes.flat());
  return Object.entries(balancers).flatMap(([balancer, { options }]) => {
    const path = `${join('balancers', balancer)}.backend`;
    const mapped = isPlainObject(options.backend) ? Object.keys(options.backend) : null;
    if (mapped === null) return [];
    return [
      ...mapped
        .filter((pool) => !pools.includes(pool))
        .map((pool) => `${join(path, pool)}: no node is in this pool${suggestion(pool, pools)}`),
      ...pools
        .filter((pool) => !mapped.includes(pool))
        .map((pool) => `${path}: expected a backend for pool ${pool} as well`),
    ];
  });
}

/** By convention `servers`, in the options of any kind of balancer, maps nodes to servers. */
function serversOfNobody(nodes: NodeList, balancers: Settings['balancers']): readonly string[] {
  const names = nodes.flat().map(({ name }) => name);
  return Object.entries(balancers).flatMap(([balancer, { options }]) => {
    const servers = options.servers;
    const mapped = isPlainObject(servers) ? Object.keys(servers) : [];
    return mapped
      .filter((node) => !names.includes(node))
      .map(
        (node) =>
          `${join(`${join('balancers', balancer)}.servers`, node)}: no node has this name${suggestion(node, names)}`,
      );
  });
}

/**
 * Balancers among which an address floats are balancers of the site, and only one that has such an address can be gone on without. By convention `droplets`, `instances` and `names`, in the options of
 * any kind of address, map them; the first two map each.
 */
function addressesOfNobody({
  balancers,
  addresses,
}: Pick<Settings, 'balancers' | 'addresses'>): readonly string[] {
  const known = Object.keys(balancers);
  const unseen = Object.entries(balancers).flatMap(([name, { options }]) =>
    options.onUnreachable === 'go on' &&
    !Object.values(addresses).some((one) => (one.options.balancers as readonly string[]).includes(name))
      ? [
          `${join('balancers', name)}.onUnreachable: 'go on' needs an address in addresses that floats to ${name}, which shows that another balancer gets the traffic`,
        ]
      : [],
  );
  const stray = Object.entries(addresses).flatMap(([address, { options }]) => {
    const path = join('addresses', address);
    const among = options.balancers as readonly string[];
    const mapped = [...Object.keys(mapsOfEach), 'names'].flatMap((option) =>
      Object.keys(options[option] ?? {}).map((name) => ({ path: join(`${path}.${option}`, name), name })),
    );
    return [
      ...among.flatMap((name, i) =>
        known.includes(name)
          ? []
          : [`${path}.balancers[${i}]: no balancer has the name ${name}${suggestion(name, known)}`],
      ),
      ...mapped.flatMap(({ path: at, name }) =>
        among.includes(name) ? [] : [`${at}: it does not float to ${name}${suggestion(name, among)}`],
      ),
      ...Object.entries(mapsOfEach).flatMap(([option, noun]) =>
        options[option] === undefined
          ? []
          : among
              .filter((name) => !Object.keys(options[option] ?? {}).includes(name))
              .map((name) => `${path}.${option}: expected the ${noun} of ${name} as well`),
      ),
    ];
  });
  return [...unseen, ...stray];
}

const mapsOfEach = { droplets: 'droplet', instances: 'instance' } as const;

const rolesOfNobody = (nodes: NodeList, hooks: Settings['hooks']): readonly string[] =>
  entriesOf(hooks).flatMap(({ path, entry: { action } }) =>
    action.kind === 'nodes' ? roleOfNobody(nodes, path, action.role) : [],
  );

function roleOfNobody(nodes: NodeList, path: string, role: unknown): readonly string[] {
  const roles = [...new Set(nodes.flat().flatMap((node) => node.roles))];
  return typeof role !== 'string' || roles.includes(role)
    ? []
    : [`${path}.role: no node has the role ${role}; they have ${list(roles)}`];
}

/** One of the commands without the others: what was set could not be lifted, or not be told from an operator's. */
function halfMaintained(maintenance: Settings['maintenance']): readonly string[] {
  const commands = (['on', 'off', 'isOn'] as const).filter((name) => maintenance?.[name]);
  return commands.length % 3 === 0
    ? []
    : [`maintenance: expected on, off and isOn together, got only ${list(commands)}`];
}

/** Hooks that would pass for, and leave the marks of, what settings imply. */
const reservedHookNames = (
  hooks: Settings['hooks'],
  names: readonly string[],
  what: string,
): readonly string[] =>
  entriesOf(hooks).flatMap(({ path, entry: { name } }) =>
    name !== null && names.includes(name) ? [`${path}.name: ${name} is the name of what ${what}`] : [],
  );

/** One of node and role, and one that is there. */
function cronOfNobody(nodes: NodeList, cron: Settings['cron']): readonly string[] {
  if (cron === null) return [];
  const { node, role } = cron;
  if ((node === null) === (role === null))
    return [`cron: expected either node or role, got ${node === null ? 'neither' : 'both'}`];
  const names = nodes.flat().map(({ name }) => name);
  if (node !== null)
    return names.includes(node) ? [] : [`cron.node: no node has the name ${node}${suggestion(node, names)}`];
  const roles = [...new Set(nodes.flat().flatMap((one) => one.roles))];
  return roles.includes(role ?? '')
    ? []
    : [`cron.role: no node has the role ${role}; they have ${list(roles)}`];
}

/** One of jobs and file, and what can be kept where it is to be. */
function jobsOfNobody(cron: Settings['cron']): readonly string[] {
  if (cron === null) return [];
  const { jobs, file, keptIn } = cron;
  if ((jobs === null) === (file === null))
    return [`cron: expected either jobs or file, got ${file === null ? 'neither' : 'both'}`];
  return (jobs ?? []).flatMap(({ schedule }, i) =>
    keptIn.startsWith('systemd') && calendarOf(schedule) === null
      ? [`cron.jobs[${i}].schedule: timers of systemd have no ${schedule}`]
      : [],
  );
}

const repeatedHookNames = (hooks: Settings['hooks']): readonly string[] =>
  repeated(
    entriesOf(hooks).flatMap(({ path, entry }) =>
      entry.name === null ? [] : [{ path: `${path}.name`, value: entry.name }],
    ),
    'name',
  );

const entriesOf = (
  hooks: Settings['hooks'],
): readonly { readonly path: string; readonly entry: HookEntry }[] =>
  hookPoints.flatMap((point) =>
    hooks[point].map((entry, i) => ({ path: `${join('hooks', point)}[${i}]`, entry })),
  );
