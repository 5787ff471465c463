import { failure, messageOf } from '../../core/errors.ts';
import { type Field, parseFields, scalar } from '../../core/field.ts';
import type { Secret } from '../../core/secret.ts';
import type { BalancerName } from '../../core/site.ts';
import { answersIn, type CountedServer } from './haproxy-counts.ts';
import type { Cell } from './haproxy-table.ts';
import type { ServerName, ServerReading } from './haproxy-wire.ts';

/** One Data Plane API, which stands beside one HAProxy. */
export interface Api {
  readonly balancer: BalancerName;
  /** Without a slash at its end, and without its version. */
  readonly url: string;
  readonly user: string;
  readonly password: Secret;
  readonly version: ApiVersion;
  readonly timeoutMs: number;
}

export interface ApiVersion {
  readonly major: number;
  readonly minor: number;
}

/** From 3.4 on, weights can be read and set at run time. */
export const hasWeights = ({ major, minor }: ApiVersion): boolean => major > 3 || (major === 3 && minor >= 4);

export interface Question {
  readonly method: 'GET' | 'PUT';
  /** Below `/services/haproxy`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Readonly<Record<string, string | number>>;
}

/**
 * Asks with basic authentication. Rejects with `BALANCER_UNREACHABLE` if there is no answer, or none of a HAProxy that
 * runs (a status of 500 and above), and with `BALANCER_REFUSED` for any other that is not a success. Causes are left out:
 * got's errors hold the request, and with it the password.
 */
export async function ask(api: Api, question: Question, signal?: AbortSignal): Promise<unknown> {
  const { balancer, url, user, password, version, timeoutMs } = api;
  const { got } = await import('got');
  const { method, path, query = {}, body } = question;
  const unreachable = (reason: string) => failure('BALANCER_UNREACHABLE', { balancer, address: url, reason });
  const login = Buffer.from(`${user}:${password.reveal()}`).toString('base64');
  const answer = await got(`${url}/v${version.major}/services/haproxy${path}`, {
    method,
    searchParams: query,
    headers: { authorization: `Basic ${login}` },
    ...(body ? { json: body } : {}),
    ...(signal ? { signal } : {}),
    timeout: { request: timeoutMs },
    retry: { limit: 0 },
    throwHttpErrors: false,
    followRedirect: false,
  }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw unreachable(messageOf(error).replace(/\.$/, ''));
  });
  const said = `${answer.statusCode} ${answer.body.trim().slice(0, 200)}`;
  if (answer.statusCode >= 500) throw unreachable(`it answered ${said}`);
  if (answer.statusCode >= 300)
    throw failure('BALANCER_REFUSED', { balancer, request: shownQuestion(question), answer: said });
  try {
    return JSON.parse(answer.body);
  } catch {
    throw unreachable(`its answer is not that of a Data Plane API: ${said}`);
  }
}

/** For people. */
export const shownQuestion = ({ method, path, body }: Question): string =>
  [method, path, ...(body ? [JSON.stringify(body)] : [])].join(' ');

/** The servers of a backend, with their states: `runtime/servers`. */
export const serversIn = ({ version }: Api, backend: string): Question =>
  version.major === 2
    ? { method: 'GET', path: '/runtime/servers', query: { backend } }
    : { method: 'GET', path: `/runtime/backends/${encodeURIComponent(backend)}/servers` };

/** Sets what a server is told at run time. */
export function tellServer(
  api: Api,
  { backend, server }: ServerName,
  body: NonNullable<Question['body']>,
): Question {
  const { path, query = {} } = serversIn(api, backend);
  return { method: 'PUT', path: `${path}/${encodeURIComponent(server)}`, query, body };
}

export interface MapEntryName {
  readonly map: string;
  readonly key: string;
}

/** One entry of a map that HAProxy has loaded. */
export function mapEntry({ version }: Pick<Api, 'version'>, { map, key }: MapEntryName): Question {
  const id = encodeURIComponent(key);
  return version.major === 2
    ? { method: 'GET', path: `/runtime/maps_entries/${id}`, query: { map } }
    : { method: 'GET', path: `/runtime/maps/${encodeURIComponent(map)}/entries/${id}` };
}

export const processInfo: Question = { method: 'GET', path: '/runtime/info' };

export const statistics: Question = { method: 'GET', path: '/stats/native', query: { type: 'server' } };

/** Throws unless this is what `processInfo` answers. Version 2 answers for each socket of the runtime API. */
export function processIn(answer: unknown): { readonly pid: number; readonly uptimeSec: number } {
  const { info } = fieldsIn({ info: record }, many(answer)[0]);
  const { pid, uptime } = fieldsIn({ pid: number, uptime: number }, info);
  return { pid, uptimeSec: uptime };
}

type Statistics = ServerName & { readonly cell: Cell };

/** Throws unless this is what `statistics` answers. */
export const statisticsIn = (answer: unknown): readonly Statistics[] =>
  many(answer)
    .flatMap((one) => many(fieldsIn({ stats: anything }, one).stats))
    .map((row) => {
      const { backend_name, name, stats } = fieldsIn(
        { backend_name: string, name: string, stats: record },
        row,
      );
      return { backend: backend_name, server: name, cell: (column) => String(stats[column] ?? '') };
    });

type RuntimeServer = Omit<ServerReading, 'because'>;

/** Throws unless this is what `serversIn` answers, and there are statistics of each of them. */
export const runtimeServersIn = (
  backend: string,
  answer: unknown,
  all: readonly Statistics[],
): readonly RuntimeServer[] =>
  many(answer).map((row) => {
    const { name, admin_state, operational_state } = fieldsIn(
      { name: string, admin_state: string, operational_state: string },
      row,
    );
    const own = all.filter((one) => one.backend === backend && one.server === name);
    const [{ cell } = unreadableServer(`${backend}/${name}`)] = own;
    const { uweight = null, iweight = null } = row as {
      readonly uweight?: number;
      readonly iweight?: number;
    };
    const told = rotations[admin_state as keyof typeof rotations] ?? unreadableServer(admin_state);
    // Before version 3.4 there is only the weight at this moment, which says nothing of a server that is not up.
    const isIdle = told === 'in' && operational_state === 'up' && cell('weight') === '0';
    const weight = { now: uweight ?? (isIdle ? 0 : 1), configured: iweight ?? 1 };
    return {
      backend,
      server: name,
      rotation: told === 'in' && weight.now === 0 ? 'draining' : told,
      health: told === 'out' ? 'unchecked' : healthOf(operational_state, cell),
      sessions: own.reduce((sum, one) => sum + countIn(one.cell, 'scur') + countIn(one.cell, 'qcur'), 0),
      weight,
    };
  });

const rotations = { ready: 'in', drain: 'draining', maint: 'out' } as const;

/** As of the runtime API: a server that was just made ready is up before it was checked. */
function healthOf(operation: string, cell: Cell): ServerReading['health'] {
  if (cell('throttle') !== '' && cell('throttle') !== '100') return 'starting';
  if (operation === 'stopping') return 'down';
  if (operation === 'down') return countIn(cell, 'check_health') > 0 ? 'starting' : 'down';
  if (cell('check_status') === '') return 'unchecked';
  const whole = countIn(cell, 'check_rise') + countIn(cell, 'check_fall') - 1;
  return countIn(cell, 'check_health') < whole ? 'starting' : 'up';
}

const countIn = (cell: Cell, column: string): number => Number(cell(column) || '0');

export const countedIn = (all: readonly Statistics[]): readonly CountedServer[] =>
  all.map(({ backend, server, cell }) => ({
    backend,
    server,
    answers: cell('hrsp_2xx') === '' ? null : answersIn((column) => cell(column) || '0'),
  }));

/** Throws unless this is what `mapEntry` answers. */
export const valueIn = (answer: unknown): string => fieldsIn({ value: string }, answer).value;

const string = scalar('a text', {}, (value) => (typeof value === 'string' ? value : undefined));
const number = scalar('a number', {}, (value) => (typeof value === 'number' ? value : undefined));
const anything: Field<unknown> = scalar('something', {}, (value) => value);
const record = scalar('an object', {}, (value) =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined,
);

/** These settings of an answer; what else stands there is not looked at. */
function fieldsIn<T>(fields: { readonly [K in keyof T]-?: Field<T[K]> }, answer: unknown): T {
  const all = record.parse(answer, '');
  const known = all.ok ? Object.fromEntries(Object.keys(fields).map((name) => [name, all.value[name]])) : {};
  const result = parseFields(fields, known);
  if (result.ok) return result.value;
  throw new Error(`the answer is not that of a Data Plane API (${result.problems.join('; ')})`);
}

const many = (answer: unknown): readonly unknown[] => (Array.isArray(answer) ? answer : [answer]);

function unreadableServer(what: string): never {
  throw new Error(`the answer is not that of a Data Plane API (nothing is known of ${what})`);
}
