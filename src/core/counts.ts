import { list } from './errors.ts';
import type { NodeName } from './node.ts';
import type { BalancerState } from './observation.ts';
import type { BalancerName } from './site.ts';

/** What all members of balancers had counted at one moment. Plain data. */
export interface Counted {
  readonly members: readonly BalancerState[];
  readonly servers: readonly ServerCounts[];
}

/** One server, since its member started. */
export interface ServerCounts {
  readonly balancer: BalancerName;
  readonly member: string;
  readonly node: NodeName;
  /** As `ServerState.server`. */
  readonly server: string;
  /** Null: the balancer does not count answers of this server. */
  readonly answers: Answers | null;
}

/**
 * Requests that a server was the last to be tried for. Those that have no answer yet are not among them; one whose
 * answer was cut off may be counted as two, of which one is an error.
 */
export interface Answers {
  readonly requests: number;
  /** Of these, never more: answered with 5xx, cut off, or not answered at all. */
  readonly errors: number;
  /** Of these: answered with 4xx. */
  readonly refused: number;
  /**
   * The average time to the head of an answer; null: unknown. Each answer counts for a 1024th: what was before has
   * 37 % of the weight after 1,024 answers, and 5 % after 3,072.
   */
  readonly responseMs: number | null;
}

/** The canary and the nodes that it is compared with. */
export interface Sides<T> {
  readonly canary: T;
  readonly others: T;
}

export type Compared =
  | ({ readonly kind: 'counts' } & Sides<Answers>)
  /** `because` is a clause, such as `lb was restarted in between`. */
  | { readonly kind: 'unknown'; readonly because: string };

/**
 * What both sides answered between two readings, at all balancers together: each request counts once only if no
 * balancer stands behind another. A restart, a member that cannot be read and a counter that was set back make the
 * difference unknown, never wrong.
 */
export function answeredBetween(
  before: Counted,
  after: Counted,
  nodes: Sides<readonly NodeName[]>,
): Compared {
  const hindrance = [membersDiffer(before, after), countersDiffer(before, after, nodes)].find(
    (reason) => reason !== null,
  );
  if (hindrance) return { kind: 'unknown', because: hindrance };
  const side = (names: readonly NodeName[]): Answers =>
    together(ofNodes(after, names).map((server) => difference(server, before)));
  return { kind: 'counts', canary: side(nodes.canary), others: side(nodes.others) };
}

export type Answered =
  | { readonly kind: 'counts'; readonly answers: Answers }
  | Extract<Compared, { kind: 'unknown' }>;

/** The same of nodes that are compared with themselves at another time. */
export function answeredBy(before: Counted, after: Counted, nodes: readonly NodeName[]): Answered {
  const compared = answeredBetween(before, after, { canary: nodes, others: [] });
  return compared.kind === 'unknown' ? compared : { kind: 'counts', answers: compared.canary };
}

/** So many answers leave 5 % of an average to those before. */
export const freshAfter = 3072;

function membersDiffer(before: Counted, after: Counted): string | null {
  if (before.members.length === 0) return 'no balancer counts answers';
  const unread = [...before.members, ...after.members].find(({ unreachable }) => unreachable !== null);
  if (unread) return `${unread.member} could not be read: ${unread.unreachable}`;
  const keys = (members: readonly BalancerState[]) => new Set(members.map(keyOf));
  const [had, has] = [keys(before.members), keys(after.members)];
  const changed = [
    ...after.members.filter((member) => !had.has(keyOf(member))),
    ...before.members.filter((member) => !has.has(keyOf(member))),
  ];
  const names = [...new Set(changed.map(({ member }) => member))];
  return names.length === 0 ? null : `${list(names)} was restarted or reloaded in between`;
}

const keyOf = ({ balancer, member, incarnation }: BalancerState): string =>
  JSON.stringify([balancer, member, incarnation]);

function countersDiffer(
  before: Counted,
  after: Counted,
  { canary, others }: Sides<readonly NodeName[]>,
): string | null {
  const nodes = [...canary, ...others];
  const uncounted = nodes.find((node) => ofNodes(after, [node]).length === 0);
  if (uncounted !== undefined) return `no balancer counts answers of ${uncounted}`;
  for (const { server, answers: now } of ofNodes(after, nodes)) {
    const was = before.servers.find((one) => one.server === server)?.answers;
    if (!was || !now) return `answers of ${server} are not counted`;
    const isBack = countersOf(now).some((count, i) => count < countersOf(was)[i]!);
    if (isBack) return `the counters of ${server} were set back in between`;
  }
  return null;
}

const countersOf = ({ requests, errors, refused }: Answers): readonly number[] => [requests, errors, refused];

const ofNodes = ({ servers }: Counted, nodes: readonly NodeName[]): readonly ServerCounts[] =>
  servers.filter(({ node }) => nodes.includes(node));

/** `countersDiffer` has seen that both are there. */
function difference({ server, answers }: ServerCounts, { servers }: Counted): Answers {
  const [now, was] = [answers!, servers.find((one) => one.server === server)!.answers!];
  const requests = now.requests - was.requests;
  return {
    requests,
    errors: now.errors - was.errors,
    refused: now.refused - was.refused,
    responseMs: requests >= freshAfter ? now.responseMs : null,
  };
}

/** One that had no requests says nothing about time; one that had too few makes it unknown. */
function together(parts: readonly Answers[]): Answers {
  const sum = (of: (answers: Answers) => number) => parts.reduce((total, part) => total + of(part), 0);
  const requests = sum((part) => part.requests);
  const isKnown = requests > 0 && parts.every((part) => part.requests === 0 || part.responseMs !== null);
  return {
    requests,
    errors: sum((part) => part.errors),
    refused: sum((part) => part.refused),
    responseMs: isKnown ? sum((part) => part.requests * (part.responseMs ?? 0)) / requests : null,
  };
}
