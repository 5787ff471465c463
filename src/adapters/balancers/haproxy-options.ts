import {
  type Conflict,
  describe,
  duration,
  type Field,
  type Fields,
  flag,
  isPlainObject,
  mapOf,
  objectOf,
  oneOrMore,
  optional,
  type Parsed,
  port,
  scalar,
  withDefault,
} from '../../core/field.ts';
import type { NodeName, PoolName } from '../../core/node.ts';
import type { Host, StreamTarget } from '../../ports.ts';
import { isName } from './haproxy-wire.ts';
import { sshHost } from './ssh-host.ts';

export interface HaproxyOptions {
  /** One for each process. */
  readonly socket: readonly StreamTarget[];
  readonly host: Host | null;
  /** The socket of the master of each process, in the same order; null: its old workers are not counted. */
  readonly master: readonly StreamTarget[] | null;
  /** Where each process finds what it was told before it started anew; null: it forgets that. */
  readonly stateFile: readonly string[] | null;
  /** Of all nodes; or of the nodes of each pool. */
  readonly backend: readonly string[] | Readonly<Record<PoolName, string>>;
  readonly map: HaproxyMap | null;
  readonly servers: Readonly<Record<NodeName, string>>;
  readonly timeout: number;
}

/** The entry whose value is the backend that new requests go to. */
export interface HaproxyMap {
  readonly file: string;
  readonly key: string;
  readonly keep: boolean;
}

const socketAddress: Field<StreamTarget> = scalar(
  'the absolute path of a unix socket, or host:port',
  { type: 'string', pattern: '^(/.+|[^/\\s]+:\\d+)$' },
  (value) => {
    if (typeof value !== 'string') return undefined;
    if (/^\/[^\0\n]+$/.test(value)) return { kind: 'unix', path: value };
    const [, v6, host = v6, digits] = /^(?:\[([\da-fA-F:.]+)\]|([\w.-]+)):(\d+)$/.exec(value) ?? [];
    const number = port.parse(Number(digits), '');
    return host !== undefined && number.ok ? { kind: 'tcp', host, port: number.value } : undefined;
  },
);

export const name: Field<string> = scalar(
  'a name of letters, digits and -_.:',
  { type: 'string', pattern: '^[A-Za-z0-9_.:-]+$' },
  (value) => (typeof value === 'string' && isName(value) ? value : undefined),
);

export const backends: Field<HaproxyOptions['backend']> = (() => {
  const [each, byPool] = [oneOrMore(name), mapOf(name, 'the name of a pool')];
  return {
    expected: `${each.expected}, or an object with one for each pool`,
    summary: '',
    schema: { anyOf: [each.schema, byPool.schema] },
    parse: (value, path, readSecret): Parsed<HaproxyOptions['backend']> =>
      isPlainObject(value) ? byPool.parse(value, path, readSecret) : each.parse(value, path, readSecret),
  };
})();

/** Nothing in it parts or escapes commands of the runtime API, or means anything to sh. */
const plainFile: Field<string> = scalar(
  'the absolute path of a file, of letters, digits and -_./',
  { type: 'string', pattern: '^/[A-Za-z0-9_./-]+$' },
  (value) => (typeof value === 'string' && /^\/[\w./-]+$/.test(value) ? value : undefined),
);

export const mapKey: Field<string> = scalar(
  'a word of letters, digits, - and _',
  { type: 'string', pattern: '^[A-Za-z0-9_-]+$' },
  (value) => (typeof value === 'string' && /^[\w-]+$/.test(value) ? value : undefined),
);

const haproxyMap: Field<HaproxyMap> = objectOf<HaproxyMap>({
  file: describe('The file, as the configuration of HAProxy names it.', plainFile),
  key: describe('The key of the entry.', withDefault(mapKey, 'active', 'active')),
  keep: describe(
    'Whether the file is written too, so that a flip outlives a restart of HAProxy. It must be within reach: through host, or where the socket is a path on this machine.',
    withDefault(flag, true, 'true'),
  ),
});

export const haproxyOptions: Fields<HaproxyOptions> = {
  socket: describe(
    'Where the runtime API listens: the path of a unix socket, or host:port. A list if several HAProxy processes serve the site: all are told, all must agree.',
    oneOrMore(socketAddress),
  ),
  host: describe(
    'The machine of the balancer, reached through SSH: the socket is then as that machine sees it.',
    optional(sshHost, 'the machine on which sluice runs'),
  ),
  master: describe(
    "The socket of HAProxy's master process (its option -S), as socket names one, one for each socket. Requests that old workers still answer after a reload are then counted, and waited for no longer than they last.",
    optional(oneOrMore(socketAddress)),
  ),
  stateFile: describe(
    'The file that server-state-file names, one for each socket: sluice writes there what it told servers, so that a reload keeps their rotation and weights. It must be within reach, as the file of map.',
    optional(oneOrMore(plainFile)),
  ),
  backend: describe(
    'The backend in which every node is a server, or a list of such; or an object with one backend for each pool.',
    backends,
  ),
  map: describe(
    'The map that chooses among the backends of pools, as in use_backend %[str(active),map(/etc/haproxy/site.map)]: a flip changes one entry of it.',
    optional(haproxyMap),
  ),
  servers: describe(
    'The name of a node at HAProxy, where it differs.',
    withDefault(mapOf(name, 'the name of a node'), {}),
  ),
  timeout: describe('How long HAProxy may take to answer.', withDefault(duration, 5000, '5s')),
};

/** What is wrong with settings that are right one by one. */
export const haproxyConflicts = ({
  socket,
  master,
  stateFile,
  host,
}: HaproxyOptions): readonly Conflict[] => [
  ...Object.entries({ master, stateFile }).flatMap(([setting, each]) =>
    each === null || each.length === socket.length
      ? []
      : [{ setting, problem: `expected one for each socket (${socket.length}), got ${each.length}` }],
  ),
  ...(stateFile === null || host !== null || socket.every(({ kind }) => kind === 'unix')
    ? []
    : [{ setting: 'stateFile', problem: 'is not within reach: name the machine that has it as host' }]),
];
