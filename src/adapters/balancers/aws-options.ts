import { isIP } from 'node:net';
import {
  describe,
  type Field,
  type Fields,
  isPlainObject,
  mapOf,
  oneOrMore,
  type Parsed,
  parsed,
  port,
  problem,
  scalar,
  textLike,
  withDefault,
} from '../../core/field.ts';
import type { NodeName, PoolName } from '../../core/node.ts';
import { type AwsAccess, awsAccess } from '../aws/access.ts';
import { settle } from './hosted.ts';

export interface AwsOptions extends AwsAccess {
  /** By name or ARN, of all nodes; or of the nodes of each pool, the same number for each. */
  readonly targetGroup: readonly string[] | Readonly<Record<PoolName, readonly string[]>>;
  readonly servers: Readonly<Record<NodeName, AwsServer>>;
  readonly settle: number;
}

/** What a target group calls a node: an instance or an address, and the port, if it is not the group's. */
export interface AwsServer {
  readonly id: string;
  readonly port: number | null;
}

/** As users write it. */
export const shownServer = ({ id, port: number }: AwsServer): string => {
  if (number === null) return id;
  return id.includes(':') ? `[${id}]:${number}` : `${id}:${number}`;
};

/** The server that a text stands for; undefined if it is none. */
export function serverNamed(name: string): AwsServer | undefined {
  const [, v6, other, digits] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(name) ?? [];
  const id = isIP(name) === 6 ? name : (v6 ?? other ?? '');
  if (!instanceId.test(id) && isIP(id) === 0) return undefined;
  if (digits === undefined || id === name) return { id, port: null };
  const number = port.parse(Number(digits), '');
  return number.ok ? { id, port: number.value } : undefined;
}

export const instanceId = /^i-[0-9a-f]{8,17}$/;

const awsServer: Field<AwsServer> = scalar(
  "an instance such as 'i-0abc1234def567890' or an IP address, with :port where it is not the group's",
  { type: 'string', minLength: 1 },
  (value) => (typeof value === 'string' ? serverNamed(value) : undefined),
);

export const groupName: Field<string> = textLike(
  'the name or the ARN of a target group',
  /^([A-Za-z0-9-]{1,32}|arn:[\w-]+:elasticloadbalancing:[\w-]+:\d{12}:targetgroup\/[\w-]+\/[\w-]+)$/,
);

/** Pools are flipped group by group: the first of one against the first of the other. */
const targetGroups: Field<AwsOptions['targetGroup']> = (() => {
  const each = oneOrMore(groupName);
  const byPool = mapOf(each, 'the name of a pool');
  return {
    expected: `${each.expected}, or an object with such for each pool`,
    summary: '',
    schema: { anyOf: [each.schema, byPool.schema] },
    parse(value, path, readSecret): Parsed<AwsOptions['targetGroup']> {
      if (!isPlainObject(value)) return each.parse(value, path, readSecret);
      const pools = byPool.parse(value, path, readSecret);
      if (!pools.ok) return pools;
      const counts = Object.values(pools.value).map(({ length }) => length);
      return new Set(counts).size <= 1
        ? parsed(pools.value)
        : problem(path, `expected as many target groups for each pool, got ${counts.join(' and ')}`);
    },
  };
})();

export const awsOptions: Fields<AwsOptions> = {
  targetGroup: describe(
    'The target group in which every node is a target, by name or ARN, or a list of such (one for port 80, one for 443); or an object with such for each pool.',
    targetGroups,
  ),
  servers: describe(
    'The target of a node: its instance or its IP address. Not needed where the node is named so.',
    withDefault(mapOf(awsServer, 'the name of a node'), {}),
  ),
  settle,
  ...awsAccess,
};
