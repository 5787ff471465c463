import { failure, isDeployError } from '../../core/errors.ts';
import {
  describe,
  duration,
  type Field,
  flag,
  mapOf,
  objectOf,
  oneOrMore,
  optional,
  scalar,
  secret,
  text,
  withDefault,
} from '../../core/field.ts';
import type { PoolName } from '../../core/node.ts';
import type { BalancerState, ServerState } from '../../core/observation.ts';
import type { Secret } from '../../core/secret.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Balancer, BalancerCapabilities, RotationChange } from '../../ports.ts';
import type { CountedServer } from './haproxy-counts.ts';
import {
  type Api,
  type ApiVersion,
  ask,
  countedIn,
  hasWeights,
  type MapEntryName,
  mapEntry,
  processIn,
  processInfo,
  type Question,
  runtimeServersIn,
  serversIn,
  shownQuestion,
  statistics,
  statisticsIn,
  tellServer,
  valueIn,
} from './haproxy-dataplane-api.ts';
import { isList } from './haproxy-map.ts';
import { backends, type HaproxyOptions, mapKey, name } from './haproxy-options.ts';
import { found, type HaproxyTarget, targetsOf } from './haproxy-targets.ts';
import type { ServerName } from './haproxy-wire.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import { type MemberView, reasonUnreachable, settled, viewsOf } from './members.ts';
import { type Change, mustBeKnown, ordersOf } from './target.ts';
import { percentOf, weightAt } from './weight.ts';

/**
 * HAProxy, over the Data Plane API beside it (its specification, v2 and v3): what is told there is told at run time, and
 * HAProxy's configuration is not touched. Only a flip outlives a restart, for the API writes the map file.
 */
export const haproxyDataplane: BalancerKind = balancerKind<DataplaneOptions>({
  summary: 'HAProxy, over the Data Plane API beside it.',
  capabilities: capable({ version: { major: 3, minor: 0 }, map: null, backend: [] }),
  options: {
    url: describe(
      'Where the Data Plane API is, such as https://lb1.example.org:5555; a list if several HAProxy processes serve the site. Over http:// the password crosses the network as it is.',
      oneOrMore(apiUrl()),
    ),
    user: describe('A user of its userlist.', text),
    password: describe('The password of that user.', secret),
    version: describe(
      'The version of the API, which is that of HAProxy: 2.9, say. Weights can be set from 3.4 on.',
      withDefault(apiVersion(), { major: 3, minor: 0 }, '3.0'),
    ),
    backend: describe(
      'The backend in which every node is a server, or a list of such; or an object with one backend for each pool.',
      backends,
    ),
    map: describe(
      'The map that chooses among the backends of pools, as in use_backend %[str(active),map(/etc/haproxy/maps/site.map)]: a flip changes one entry of it.',
      optional(dataplaneMap()),
    ),
    servers: describe(
      'The name of a node at HAProxy, where it differs.',
      withDefault(mapOf(name, 'the name of a node'), {}),
    ),
    timeout: describe('How long an answer may take.', withDefault(duration, 5000, '5s')),
  },
  create({ name: balancer, options, nodes, pools = {} }) {
    const { url: urls, user, password, version, timeout } = options;
    const members = urls.map((url): Member => {
      const suffix = urls.length > 1 ? ` @${url}` : '';
      return {
        balancer,
        url,
        user,
        password,
        version,
        timeoutMs: timeout,
        targets: targetsOf(balancer, options, { nodes, pools, suffix }),
        flips: flipsOf(options),
        incarnation: processes(),
      };
    });
    return driver(balancer, members, capable(options));
  },
});

interface DataplaneOptions extends Pick<HaproxyOptions, 'backend' | 'servers' | 'timeout'> {
  readonly url: readonly string[];
  readonly user: string;
  readonly password: Secret;
  readonly version: ApiVersion;
  readonly map: DataplaneMap | null;
}

interface DataplaneMap {
  readonly name: string;
  readonly key: string;
  readonly keep: boolean;
}

function apiUrl(): Field<string> {
  return scalar(
    'an http:// or https:// URL without a path, a user and a password',
    { type: 'string', pattern: '^https?://[^/@]+/?$' },
    (value) =>
      typeof value === 'string' && /^https?:\/\/[^/@?#]+\/?$/.test(value) && URL.canParse(value)
        ? new URL(value).origin
        : undefined,
  );
}

function apiVersion(): Field<ApiVersion> {
  return scalar('a version, such as 2.9 or 3.0', { type: 'string', pattern: '^[23]\\.\\d+$' }, (value) => {
    const [, major, minor] = /^([23])\.(\d+)$/.exec(typeof value === 'string' ? value : '') ?? [];
    return major === undefined ? undefined : { major: Number(major), minor: Number(minor) };
  });
}

function dataplaneMap(): Field<DataplaneMap> {
  return objectOf<DataplaneMap>({
    name: describe('Its name at the API, such as site.map.', name),
    key: describe('The key of the entry.', withDefault(mapKey, 'active', 'active')),
    keep: describe(
      'Whether the API writes the file too (force_sync), so that a flip outlives a restart of HAProxy.',
      withDefault(flag, true, 'true'),
    ),
  });
}

function capable({
  version,
  map,
  backend,
}: Pick<DataplaneOptions, 'version' | 'map' | 'backend'>): BalancerCapabilities {
  return {
    drain: 'both',
    sessions: 'exact',
    settleMs: 0,
    successor: { rotation: 'forgotten', requests: 'uncounted' },
    weights: hasWeights(version) ? 'server' : 'none',
    flip: map === null || isList(backend) ? 'none' : map.keep ? 'kept' : 'forgotten',
    counters: true,
  };
}

/** One HAProxy process, and the API beside it. */
interface Member extends Api {
  readonly targets: readonly HaproxyTarget[];
  readonly flips: Flips | null;
  readonly incarnation: (process: ReturnType<typeof processIn>) => string;
}

/**
 * The API tells how long a process has run, in whole seconds, and not since when: a start that moves by less than two is
 * the same one.
 */
function processes(): Member['incarnation'] {
  let known = { pid: 0, startSec: 0 };
  return ({ pid, uptimeSec }) => {
    const startSec = Math.round(Date.now() / 1000) - uptimeSec;
    if (pid !== known.pid || Math.abs(startSec - known.startSec) > 1) known = { pid, startSec };
    return `${known.pid} since ${known.startSec}`;
  };
}

interface Flips {
  readonly entry: MapEntryName;
  readonly keep: boolean;
  readonly backends: Readonly<Record<PoolName, string>>;
}

const flipsOf = ({ map, backend }: DataplaneOptions): Flips | null =>
  map === null || isList(backend)
    ? null
    : { entry: { map: map.name, key: map.key }, keep: map.keep, backends: backend };

function driver(
  balancer: BalancerName,
  members: readonly Member[],
  capabilities: BalancerCapabilities,
): Balancer {
  const targets = members.flatMap((member) => member.targets);
  const change = async (changes: readonly Change[], signal?: AbortSignal): Promise<void> => {
    mustBeKnown(balancer, targets, changes);
    const orders = members.map((member) => ordersAt(member, changes, signal));
    // A member that cannot be reached does not keep the others from being told, and is reported in the end.
    await settled(orders).catch(reasonUnreachable);
    await settled(members.map(async (member, i) => tell(member, await orders[i]!, signal)));
  };
  return {
    name: balancer,
    hosts: [],
    capabilities,
    async observe(signal) {
      return viewsOf(await settled(members.map((member) => view(member, statesOf, signal))));
    },
    change,
    async shift(changes, signal) {
      if (capabilities.weights === 'none')
        throw failure('BALANCER_REFUSED', {
          balancer,
          request: 'set weights',
          answer: 'the API cannot before version 3.4',
        });
      await change(changes, signal);
    },
    async flip(to, signal) {
      await settled(members.map((member) => turn(member, to, signal)));
    },
    async count(signal) {
      return viewsOf(await settled(members.map((member) => view(member, countsOf, signal))));
    },
    describe: (change) => [...new Set(questionsFor(members, change))].join('; '),
    async close() {},
  };
}

const questionsFor = (members: readonly Member[], change: Change): readonly string[] =>
  members.flatMap((member) =>
    ordersOf(member.targets, [change]).map((order) =>
      shownQuestion(
        tellServer(
          member,
          order,
          typeof order.to === 'number' ? { weight: `${order.to}%` } : { admin_state: words[order.to] },
        ),
      ),
    ),
  );

const words = { in: 'ready', draining: 'drain', out: 'maint' } as const satisfies Record<
  RotationChange['to'],
  string
>;

type Shown<T> = ServerName & { readonly shown: T };
type Look<T> = (member: Member, signal?: AbortSignal) => Promise<readonly Shown<T>[]>;

async function view<T>(member: Member, look: Look<T>, signal?: AbortSignal): Promise<MemberView<T>> {
  const { balancer, url } = member;
  const seen = await seenAt(member, look, signal).catch(reasonUnread);
  if (typeof seen === 'string')
    return {
      state: { balancer, member: url, unreachable: seen, incarnation: '', pool: null },
      servers: [],
    };
  const { servers, ...state } = seen;
  return {
    state: { balancer, member: url, unreachable: null, ...state },
    servers: member.targets.map((target) => ({
      balancer,
      member: url,
      node: target.node,
      server: target.id,
      ...found(member, target, servers).shown,
    })),
  };
}

async function seenAt<T>(
  member: Member,
  look: Look<T>,
  signal?: AbortSignal,
): Promise<Pick<BalancerState, 'incarnation' | 'pool'> & { readonly servers: readonly Shown<T>[] }> {
  const process = await read(member, processInfo, processIn, signal);
  return {
    incarnation: member.incarnation(process),
    pool: await poolAt(member, signal),
    servers: await look(member, signal),
  };
}

/** Whoever is not let in cannot read either. */
function reasonUnread(error: unknown): string {
  if (isDeployError(error, 'BALANCER_REFUSED')) return `it answered ${error.details.answer}`;
  return reasonUnreachable(error);
}

/** An answer that cannot be read is one of something else. */
async function read<T>(
  member: Member,
  question: Question,
  as: (answer: unknown) => T,
  signal?: AbortSignal,
): Promise<T> {
  const answer = await ask(member, question, signal);
  try {
    return as(answer);
  } catch (error) {
    const { balancer, url } = member;
    const reason = error instanceof Error ? error.message : String(error);
    throw failure('BALANCER_UNREACHABLE', { balancer, address: url, reason }, error);
  }
}

const readingOf = async (member: Member, signal?: AbortSignal) => {
  const all = await read(member, statistics, statisticsIn, signal);
  const names = [...new Set(member.targets.map(({ backend }) => backend))];
  const each = names.map((backend) => {
    const servers = (answer: unknown) => runtimeServersIn(backend, answer, all);
    return read(member, serversIn(member, backend), servers, signal).catch(absent);
  });
  return (await Promise.all(each)).flatMap((servers) => servers ?? []);
};

/** Null for what is not there; any other failure is thrown. */
function absent(error: unknown): null {
  if (isDeployError(error, 'BALANCER_REFUSED') && String(error.details.answer).startsWith('404')) return null;
  throw error;
}

const statesOf: Look<Pick<ServerState, 'rotation' | 'health' | 'sessions' | 'weight'>> = async (
  member,
  signal,
) =>
  (await readingOf(member, signal)).map(({ backend, server, weight, ...state }) => ({
    backend,
    server,
    shown: { ...state, weight: percentOf(weight) },
  }));

const countsOf: Look<Pick<CountedServer, 'answers'>> = async (member, signal) =>
  (await read(member, statistics, (answer) => countedIn(statisticsIn(answer)), signal)).map(
    ({ answers, ...named }) => ({ ...named, shown: { answers } }),
  );

/** One change of one server, and how it reads once it is so. */
interface Order {
  readonly target: HaproxyTarget;
  readonly body: { readonly weight: number } | { readonly admin_state: string };
  readonly wanted: string;
}

/** Reads the configured weights first: nothing is told if one of them is too coarse. */
async function ordersAt(
  member: Member,
  changes: readonly Change[],
  signal?: AbortSignal,
): Promise<readonly Order[]> {
  const { balancer } = member;
  const now = await readingOf(member, signal);
  return ordersOf(member.targets, changes).map(({ to, ...target }): Order => {
    const { configured } = found(member, target, now).weight;
    if (typeof to !== 'number') return { target, body: { admin_state: words[to] }, wanted: to };
    const weight = weightAt(to, { balancer, server: target.id, configured });
    return { target, body: { weight }, wanted: `weight ${weight}` };
  });
}

/** Tells servers one after another, and reads all of them back. */
async function tell(member: Member, orders: readonly Order[], signal?: AbortSignal): Promise<void> {
  const { balancer } = member;
  for (const { target, body } of orders) await ask(member, tellServer(member, target, body), signal);
  const after = await readingOf(member, signal);
  for (const { target, body, wanted } of orders) {
    const { rotation, weight } = found(member, target, after);
    const seen = 'weight' in body ? `weight ${weight.now}` : rotation;
    if (seen !== wanted) throw failure('BALANCER_NOT_APPLIED', { balancer, server: target.id, wanted, seen });
  }
}

/** Null: it knows no pools, or the entry names none of this site. */
async function poolAt(member: Member, signal?: AbortSignal): Promise<PoolName | null> {
  const { flips } = member;
  if (flips === null) return null;
  const value = await read(member, mapEntry(member, flips.entry), valueIn, signal).catch(absent);
  return Object.entries(flips.backends).find(([, backend]) => backend === value)?.[0] ?? null;
}

/** One change for all requests that come from now on, read back. */
async function turn(member: Member, to: PoolName, signal?: AbortSignal): Promise<void> {
  const { balancer, url, flips } = member;
  const value = flips?.backends[to];
  if (!flips || value === undefined)
    throw failure('BALANCER_REFUSED', {
      balancer,
      request: `flip to ${to}`,
      answer: flips ? 'it has no backend for it' : 'it has no map',
    });
  const { path, query = {} } = mapEntry(member, flips.entry);
  const sync = { ...query, force_sync: String(flips.keep) };
  await ask(member, { method: 'PUT', path, query: sync, body: { value } }, signal);
  const seen = await poolAt(member, signal);
  if (seen !== to)
    throw failure('BALANCER_NOT_APPLIED', {
      balancer,
      server: url,
      wanted: to,
      seen: seen ?? 'no pool that it names',
    });
}
