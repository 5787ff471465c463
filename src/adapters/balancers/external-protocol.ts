import type { Answers } from '../../core/counts.ts';
import {
  type Field,
  flag,
  integer,
  isPlainObject,
  join,
  listOf,
  objectOf,
  oneOf,
  type Parsed,
  parsed,
  problem,
  scalar,
  text,
  unexpected,
  withDefault,
} from '../../core/field.ts';
import type { NodeName, PoolName } from '../../core/node.ts';
import type { ServerState } from '../../core/observation.ts';
import type { BalancerName } from '../../core/site.ts';
import type { BalancerCapabilities } from '../../ports.ts';

/** What the command of a balancer of kind `external` reads from its standard input: one of these as JSON. */
export type Request = {
  readonly version: 1;
  readonly balancer: BalancerName;
  readonly nodes: readonly { readonly name: NodeName; readonly pool: PoolName | null }[];
} & Question;

export type Question =
  | { readonly verb: 'capabilities' | 'observe' | 'count' }
  | { readonly verb: 'change'; readonly changes: readonly ToldServer<ServerState['rotation']>[] }
  /** In percent of the configured weight. */
  | { readonly verb: 'shift'; readonly changes: readonly ToldServer<number>[] }
  | { readonly verb: 'flip'; readonly to: PoolName };

export interface ToldServer<To> {
  readonly member: string;
  readonly server: string;
  readonly node: NodeName;
  readonly to: To;
}

/** What it may write instead of an answer. `unreachable` is tried again for a while, `refused` is not. */
export interface Refusal {
  readonly code: 'refused' | 'unreachable';
  readonly message: string;
}

/** One process of the balancer, with every server that it has: those of other sites are passed over. */
export interface AnsweredMember<Server> {
  readonly name: string;
  /** Why it cannot be read; null: it was. */
  readonly unreachable: string | null;
  /** Another one for each process. */
  readonly incarnation: string;
  readonly pool: PoolName | null;
  readonly servers: readonly Server[];
}

export interface NamedServer {
  readonly node: NodeName;
  /** Unique in its member. */
  readonly server: string;
}

export type AnsweredState = NamedServer & Pick<ServerState, 'rotation' | 'health' | 'sessions' | 'weight'>;
export type AnsweredCounts = NamedServer & { readonly answers: Answers | null };

/** The field, or null if it is null or absent. */
const orNull = <T>(field: Field<T>): Field<T | null> => ({
  ...(field as Field<T | null>),
  expected: `${field.expected} or null`,
  absent: { value: null, shown: 'null' },
  parse: (value, path) => (value === null ? parsed(null) : field.parse(value, path)),
});

const natural = integer(0, Number.MAX_SAFE_INTEGER);
const between = (expected: string, max: number): Field<number> =>
  scalar(expected, { type: 'number', minimum: 0, maximum: max }, (value) =>
    typeof value === 'number' && value >= 0 && value <= max ? value : undefined,
  );
const percent = between('a number from 0 to 100', 100);
const milliseconds = between('a number of milliseconds', Number.MAX_SAFE_INTEGER);

export const capabilitiesField: Field<BalancerCapabilities> = objectOf<
  Omit<BalancerCapabilities, 'flipsOnly'>
>({
  drain: oneOf(['soft', 'hard', 'both']),
  sessions: oneOf(['exact', 'estimate', 'none']),
  settleMs: integer(0, 60_000),
  successor: objectOf<BalancerCapabilities['successor']>({
    rotation: oneOf(['kept', 'forgotten']),
    requests: oneOf(['counted', 'uncounted']),
  }),
  weights: oneOf(['server', 'none']),
  flip: oneOf(['kept', 'forgotten', 'none']),
  counters: flag,
});

/** No name stands twice; a member that was read has an incarnation, and one that was not has no servers. */
const membersOf = <Server extends NamedServer>(
  server: Field<Server>,
): Field<{ readonly members: readonly AnsweredMember<Server>[] }> => {
  const member = objectOf<AnsweredMember<Server>>({
    name: text,
    unreachable: orNull(text),
    incarnation: withDefault(text, ''),
    pool: orNull(text),
    servers: withDefault(listOf(server), []),
  });
  const whole: Field<AnsweredMember<Server>> = {
    ...member,
    parse(value, path) {
      const read = member.parse(value, path);
      if (!read.ok) return read;
      const { unreachable, incarnation, servers } = read.value;
      if (unreachable === null && incarnation === '')
        return unexpected(join(path, 'incarnation'), text.expected, undefined);
      if (unreachable !== null && servers.length > 0)
        return problem(join(path, 'servers'), 'expected none of a member that is unreachable');
      const twice = twiceIn(servers.map((one) => one.server));
      return twice === null ? read : problem(join(path, 'servers'), `two are called ${twice}`);
    },
  };
  const several = listOf(whole, 1);
  const members: typeof several = {
    ...several,
    parse(value, path) {
      const read = several.parse(value, path);
      const twice = read.ok ? twiceIn(read.value.map(({ name }) => name)) : null;
      return twice === null ? read : problem(path, `two are called ${twice}`);
    },
  };
  return objectOf({ members });
};

const twiceIn = (names: readonly string[]): string | null =>
  names.find((name, i) => names.indexOf(name) < i) ?? null;

export const stateField = membersOf<AnsweredState>(
  objectOf<AnsweredState>({
    node: text,
    server: text,
    rotation: oneOf(['in', 'draining', 'out']),
    health: oneOf(['up', 'down', 'starting', 'unchecked']),
    sessions: orNull(natural),
    weight: withDefault(percent, 100),
  }),
);

export const countsField = membersOf<AnsweredCounts>(
  objectOf<AnsweredCounts>({
    node: text,
    server: text,
    answers: orNull(
      objectOf<Answers>({
        requests: natural,
        errors: natural,
        refused: natural,
        responseMs: orNull(milliseconds),
      }),
    ),
  }),
);

const refusalField: Field<{ readonly error: Refusal }> = objectOf<{ readonly error: Refusal }>({
  error: objectOf<Refusal>({ code: oneOf(['refused', 'unreachable']), message: text }),
});

/** Reads what the command wrote: an answer or a refusal, or all that is wrong with it, each problem with its place. */
export function answerIn<T>(
  written: string,
  field: Field<T>,
): Parsed<{ readonly answer: T } | { readonly error: Refusal }> {
  const value = jsonIn(written);
  if (!value.ok) return value;
  if (isPlainObject(value.value) && 'error' in value.value) return refusalField.parse(value.value, '');
  const read = field.parse(value.value, '');
  return read.ok ? parsed({ answer: read.value }) : read;
}

function jsonIn(written: string): Parsed<unknown> {
  try {
    return parsed(JSON.parse(written));
  } catch {
    const begin = written.trim().slice(0, 60);
    return problem('', begin === '' ? 'it wrote no answer' : `expected JSON, got ${JSON.stringify(begin)}`);
  }
}
