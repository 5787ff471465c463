import {
  describe,
  duration,
  type Field,
  type Fields,
  listOf,
  mapOf,
  objectOf,
  optional,
  port,
  refine,
  scalar,
  secret,
  textLike,
  withDefault,
} from '../../core/field.ts';
import type { NodeName, PoolName } from '../../core/node.ts';
import type { Secret } from '../../core/secret.ts';
import type { Host, StreamTarget } from '../../ports.ts';
import { sshHost } from './ssh-host.ts';

export interface VarnishOptions {
  /** One for each varnishd. */
  readonly members: readonly VarnishMember[];
  readonly backends: Readonly<Record<NodeName, string>>;
  /** Null: the site's nodes are backends of whatever VCL is in use. */
  readonly pools: VarnishPools | null;
  readonly timeout: number;
}

export interface VarnishPools {
  readonly vcl: Readonly<Record<PoolName, string>>;
  readonly label: string | null;
}

export interface VarnishMember {
  readonly host: Host | null;
  readonly cli: CliAddress;
  readonly secretFile: string;
  /** What stands in the secret file, instead of reading it. */
  readonly secret: Secret | null;
  /** As `varnishd -n` has it; null: varnishd's own default. */
  readonly instance: string | null;
}

export type CliAddress = Extract<StreamTarget, { kind: 'tcp' }>;

const cliAddress: Field<CliAddress> = scalar(
  'host:port',
  { type: 'string', pattern: '^[^/\\s]+:\\d+$' },
  (value) => {
    if (typeof value !== 'string') return undefined;
    const [, v6, host = v6, digits] = /^(?:\[([\da-fA-F:.]+)\]|([\w.-]+)):(\d+)$/.exec(value) ?? [];
    const number = port.parse(Number(digits), '');
    return host !== undefined && number.ok ? { kind: 'tcp', host, port: number.value } : undefined;
  },
);

/** Nothing in it parts or escapes words of the CLI, or is a pattern there. */
const vclName: Field<string> = textLike('the name of a VCL or a label', /^[A-Za-z][A-Za-z0-9_.-]*$/);
const backendName: Field<string> = textLike('the name of a backend', /^[A-Za-z][A-Za-z0-9_-]*$/);

/** No leading `-`: varnishstat would read it as an option. */
const instance: Field<string> = textLike(
  'a name or an absolute path, of letters, digits and -_./',
  /^[A-Za-z0-9_./][A-Za-z0-9_./-]*$/,
);

const loopbackCli: CliAddress = { kind: 'tcp', host: '127.0.0.1', port: 6082 };

const member: Field<VarnishMember> = objectOf<VarnishMember>({
  host: describe(
    'The machine of this Varnish, reached through SSH.',
    optional(sshHost, 'the machine on which sluice runs'),
  ),
  cli: describe(
    'Where the CLI listens (varnishd -T), as that machine sees it.',
    withDefault(cliAddress, loopbackCli, '127.0.0.1:6082'),
  ),
  secretFile: describe(
    'The secret file on that machine (varnishd -S). It is read only if the CLI asks for the secret.',
    withDefault(
      textLike('the absolute path of a file', /^\/[^\0\n]+$/),
      '/etc/varnish/secret',
      '/etc/varnish/secret',
    ),
  ),
  secret: describe(
    'The line in the secret file, where the file cannot be read by the login user.',
    optional(secret, 'read from secretFile'),
  ),
  instance: describe('The name of this Varnish for varnishstat (varnishd -n).', optional(instance)),
});

const members: Field<readonly VarnishMember[]> = refine(
  listOf(member, 1),
  'a list of at least one Varnish, none of them twice',
  (all) => new Set(all.map(({ host, cli }) => JSON.stringify([host?.address, cli]))).size === all.length,
);

const pools: Field<VarnishPools> = objectOf<VarnishPools>({
  vcl: describe(
    'The name under which the VCL of each pool is loaded. A flip puts it in use.',
    mapOf(vclName, 'the name of a pool'),
  ),
  label: describe(
    "The label by which the VCL in use reaches the site, as in return (vcl(shop)). A flip gives it to the pool's VCL, and the VCL in use stays.",
    optional(vclName),
  ),
});

export const varnishOptions: Fields<VarnishOptions> = {
  members: describe('Each Varnish that serves the site: all are told, all must agree.', members),
  backends: describe(
    'The name of a node as a backend in VCL, where it differs.',
    withDefault(mapOf(backendName, 'the name of a node'), {}),
  ),
  pools: describe('How a flip moves traffic to a pool, for a site that has two.', optional(pools)),
  timeout: describe('How long Varnish may take to answer.', withDefault(duration, 5000, '5s')),
};
