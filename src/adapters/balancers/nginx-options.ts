import {
  describe,
  type Field,
  type Fields,
  isPlainObject,
  listOf,
  mapOf,
  optional,
  type Parsed,
  period,
  refine,
  text,
  textLike,
  withDefault,
} from '../../core/field.ts';
import type { NodeName, PoolName } from '../../core/node.ts';
import type { Host } from '../../ports.ts';
import { sshHost } from './ssh-host.ts';

export interface NginxOptions {
  readonly file: string;
  /** Of all nodes; or of the nodes of each pool. */
  readonly upstream: string | Readonly<Record<PoolName, string>>;
  readonly live: string | null;
  readonly servers: Readonly<Record<NodeName, string>>;
  readonly host: Host | null;
  readonly become: string | null;
  readonly pid: string;
  readonly command: readonly string[];
  readonly timeout: number;
}

const path: Field<string> = textLike('the absolute path of a file', /^\/[^\0\n]+$/);
const name: Field<string> = textLike('a name of letters, digits and -_.', /^[\w.-]+$/);
const variable: Field<string> = textLike('the name of a variable, without its $', /^\w+$/);
const user: Field<string> = textLike('a user name', /^\w[\w.-]*$/);
const server: Field<string> = textLike('an address as it stands in the upstream', /^[^\s;{}'"]+$/);

const upstreams: Field<NginxOptions['upstream']> = (() => {
  const byPool = mapOf(name, 'the name of a pool');
  return {
    expected: `${name.expected}, or an object with one for each pool`,
    summary: '',
    schema: { anyOf: [name.schema, byPool.schema] },
    parse: (value, at, readSecret): Parsed<NginxOptions['upstream']> =>
      isPlainObject(value) ? byPool.parse(value, at, readSecret) : name.parse(value, at, readSecret),
  };
})();

const commandLine: Field<readonly string[]> = listOf(
  refine(
    text,
    'a word that does not say what to do, as -s and -t would',
    (word) => !/^-[stTqvVh?]/.test(word),
  ),
  1,
);

export const nginxOptions: Fields<NginxOptions> = {
  file: describe(
    'The file in which the upstream stands, as the machine of nginx has it. Of all that it holds only server lines are changed, and the default of the map for live.',
    path,
  ),
  upstream: describe(
    'The upstream in which every node is a server; or an object with one upstream for each pool.',
    upstreams,
  ),
  live: describe(
    'The variable that names the upstream in use, as in proxy_pass http://$shop_live: a flip changes the default of its map, which stands in the same file.',
    optional(variable),
  ),
  servers: describe(
    'The server of a node, as its line has it, such as 10.0.0.11:8080. Without it, the one whose host is the name of the node.',
    withDefault(mapOf(server, 'the name of a node'), {}),
  ),
  host: describe(
    'The machine of nginx, reached through SSH.',
    optional(sshHost, 'the machine on which sluice runs'),
  ),
  become: describe(
    'The user there, through sudo, who may write the file and reload nginx.',
    optional(user, 'the login user'),
  ),
  pid: describe(
    "The file that holds the number of nginx's master process.",
    withDefault(path, '/run/nginx.pid', '/run/nginx.pid'),
  ),
  command: describe(
    'How nginx is called there to test its configuration, as in [nginx, -c, /etc/nginx/edge.conf].',
    withDefault(commandLine, ['nginx'], '[nginx]'),
  ),
  timeout: describe('How long nginx may take to load its configuration.', withDefault(period, 10_000, '10s')),
};
