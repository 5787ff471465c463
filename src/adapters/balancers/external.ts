import type { CommandLine } from '../../core/command.ts';
import { type DeployError, failure, isDeployError, list } from '../../core/errors.ts';
import {
  command,
  describe,
  duration,
  type Field,
  mapOf,
  textOrSecret,
  withDefault,
} from '../../core/field.ts';
import { type BalancerState, hasWeight, type ServerState } from '../../core/observation.ts';
import { Secret } from '../../core/secret.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Balancer, BalancerCapabilities } from '../../ports.ts';
import { runChild, shownCommand, tail } from '../child.ts';
import { redactor } from '../redact.ts';
import {
  type AnsweredCounts,
  type AnsweredMember,
  type AnsweredState,
  answerIn,
  capabilitiesField,
  countsField,
  type NamedServer,
  type Question,
  type Request,
  stateField,
  type ToldServer,
} from './external-protocol.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import { reasonUnreachable } from './members.ts';
import { type Change, mustBeKnown, ordersOf, type Target } from './target.ts';

/** What is believed of a balancer that has not said yet what it can: the least. */
export const unknownCapabilities: BalancerCapabilities = {
  drain: 'hard',
  sessions: 'none',
  settleMs: 0,
  successor: { rotation: 'forgotten', requests: 'uncounted' },
  weights: 'none',
  flip: 'none',
  counters: false,
};

/** Any balancer at all: a command of the user's own reads one request as JSON, does it, and writes one answer. */
export const external: BalancerKind = balancerKind<ExternalOptions>({
  summary: "Any balancer, through a command of the user's own.",
  capabilities: unknownCapabilities,
  options: {
    command: describe(
      'What reads a request on standard input and writes an answer to standard output.',
      command,
    ),
    env: describe(
      'Environment variables for it, beside those that sluice has.',
      withDefault(mapOf(textOrSecret, 'the name of a variable'), {}),
    ),
    timeout: describe('How long it may take for one answer.', withDefault(duration, 10_000, '10s')),
  },
  create: ({ name, options, nodes, pools = {} }) =>
    driver(
      name,
      options,
      nodes.map((node) => ({ name: node, pool: pools[node] ?? null })),
    ),
});

interface ExternalOptions {
  readonly command: CommandLine;
  readonly env: Readonly<Record<string, string | Secret>>;
  readonly timeout: number;
}

function driver(name: BalancerName, options: ExternalOptions, nodes: Request['nodes']): Balancer {
  let capabilities: BalancerCapabilities | null = null;
  const ask: Ask = async (question, field, signal) => {
    const asked = (one: Question): Request => ({ version: 1, balancer: name, nodes, ...one });
    capabilities ??= await answerOf(asked({ verb: 'capabilities' }), options, capabilitiesField, signal);
    return answerOf(asked(question), options, field, signal);
  };
  const look = async <Server extends NamedServer>(
    question: Question,
    field: Field<Answer<Server>>,
    signal: AbortSignal | undefined,
  ): Promise<View<Server>> => viewOf(name, nodes, (await ask(question, field, signal)).members);
  let known: readonly Seen<AnsweredState>[] = [];
  const state = async (question: Question, signal: AbortSignal | undefined): Promise<View<AnsweredState>> => {
    const seen = await look(question, stateField, signal);
    known = seen.servers;
    return seen;
  };
  /** Each server is told by the name that its member has for it: looks first, unless it has seen all of them. */
  const tell = async (
    changes: readonly Change[],
    askTo: (told: readonly ToldServer<Change['to']>[]) => Question,
    signal: AbortSignal | undefined,
  ): Promise<void> => {
    const isStray = (change: Change): boolean => ordersOf(known, [change]).length === 0;
    if (changes.some(isStray)) {
      const { members } = await state({ verb: 'observe' }, signal);
      if (changes.some(isStray)) mustBeRead(name, members);
      mustBeKnown(name, known, changes);
    }
    const orders = ordersOf(known, changes);
    const told = orders.map(({ member, own, node, to }) => ({ member, server: own, node, to }));
    const after = await state(askTo(told), signal);
    for (const order of orders) mustBeObeyed(name, order, after);
    mustBeRead(name, after.members);
  };
  return {
    name,
    hosts: [],
    get capabilities() {
      return capabilities ?? unknownCapabilities;
    },
    async observe(signal) {
      const { members, servers } = await state({ verb: 'observe' }, signal).catch((error: unknown) =>
        unread<AnsweredState>(name, error),
      );
      return { members, servers: servers.map(shownServer(name)) };
    },
    change: (changes, signal) =>
      tell(changes, (told) => ({ verb: 'change', changes: told as ToldServer<Rotation>[] }), signal),
    shift: (changes, signal) =>
      tell(changes, (told) => ({ verb: 'shift', changes: told as ToldServer<number>[] }), signal),
    async flip(to, signal) {
      const { members } = await state({ verb: 'flip', to }, signal);
      mustBeRead(name, members);
      const stray = members.find(({ pool }) => pool !== to);
      if (stray) throw notApplied(name, stray.member, to, stray.pool ?? 'no pool that it names');
    },
    async count(signal) {
      const { members, servers } = await look({ verb: 'count' }, countsField, signal).catch(
        (error: unknown) => unread<AnsweredCounts>(name, error),
      );
      return { members, servers: servers.map(shownServer(name)) };
    },
    describe: (change) => `${oneLine(shownCommand(options.command))}: ${shownChange(change)}`,
    async close() {},
  };
}

type Ask = <T>(question: Question, field: Field<T>, signal: AbortSignal | undefined) => Promise<T>;
type Rotation = ServerState['rotation'];

interface Answer<Server> {
  readonly members: readonly AnsweredMember<Server>[];
}

interface View<Server> {
  readonly members: readonly BalancerState[];
  readonly servers: readonly Seen<Server>[];
}

/** A server of one of the site's nodes; `own` is the name that its member has for it. */
type Seen<Server> = Target & { readonly member: string; readonly own: string; readonly answered: Server };

/** Throws `BALANCER_SERVER_UNKNOWN` if a member that was read has no server for a node. */
function viewOf<Server extends NamedServer>(
  balancer: BalancerName,
  nodes: Request['nodes'],
  members: readonly AnsweredMember<Server>[],
): View<Server> {
  for (const { unreachable: lost, servers } of members)
    for (const { name: node } of nodes)
      if (lost === null && !servers.some((server) => server.node === node))
        throw failure('BALANCER_SERVER_UNKNOWN', {
          balancer,
          server: node,
          node,
          known: servers.map(({ server }) => server),
        });
  return {
    members: members.map(({ name, unreachable: lost, incarnation, pool }) => ({
      balancer,
      member: name,
      unreachable: lost,
      incarnation,
      pool,
    })),
    servers: members.flatMap(({ name, servers }) =>
      servers
        .filter(({ node }) => nodes.some((one) => one.name === node))
        .map((answered) => ({
          node: answered.node,
          member: name,
          own: answered.server,
          id: `${balancer} ${answered.server}${members.length > 1 ? ` @${name}` : ''}`,
          answered,
        })),
    ),
  };
}

const shownServer =
  (balancer: BalancerName) =>
  <Server extends NamedServer>({ member, node, id, answered }: Seen<Server>) => ({
    ...answered,
    balancer,
    member,
    node,
    server: id,
  });

/** What is seen of a balancer whose command gives no answer: one member that is unreachable. */
function unread<Server>(balancer: BalancerName, error: unknown): View<Server> {
  const lost = isDeployError(error, 'BALANCER_REFUSED')
    ? `it answered ${String(error.details.answer)}`
    : reasonUnreachable(error);
  return {
    members: [{ balancer, member: balancer, unreachable: lost, incarnation: '', pool: null }],
    servers: [],
  };
}

function mustBeObeyed(
  balancer: BalancerName,
  { member, id, to }: Seen<AnsweredState> & Pick<Change, 'to'>,
  after: View<AnsweredState>,
): void {
  // Of a member that cannot be read, nothing is known; `mustBeRead` says so once the others were looked at.
  if (after.members.some((one) => one.member === member && one.unreachable !== null)) return;
  const seen = after.servers.find((server) => server.id === id)?.answered;
  if (seen === undefined) throw notApplied(balancer, id, String(to), 'gone');
  if (typeof to === 'string') {
    if (seen.rotation !== to) throw notApplied(balancer, id, to, seen.rotation);
  } else if (!hasWeight(seen, to))
    throw notApplied(balancer, id, `weight ${to} %`, `weight ${seen.weight} %`);
}

const notApplied = (balancer: BalancerName, server: string, wanted: string, seen: string): DeployError =>
  failure('BALANCER_NOT_APPLIED', { balancer, server, wanted, seen });

function mustBeRead(balancer: BalancerName, members: readonly BalancerState[]): void {
  const lost = members.filter(({ unreachable }) => unreachable !== null);
  if (lost.length === 0) return;
  throw failure('BALANCER_UNREACHABLE', {
    balancer,
    address: list(lost.map(({ member }) => member)),
    reason: lost.map(({ unreachable }) => unreachable).join('; '),
  });
}

const shownChange = ({ node, to }: Change): string =>
  typeof to === 'number' ? `${node} to weight ${to}%` : `${node} ${to}`;

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

/**
 * Runs the command once. Rejects with `BALANCER_UNREACHABLE` if it gives no answer, and with `BALANCER_REFUSED` if it
 * refuses. Secrets of its environment show in neither.
 */
async function answerOf<T>(
  request: Request,
  { command, env, timeout }: ExternalOptions,
  field: Field<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { balancer, verb } = request;
  const secrets = Object.values(env).flatMap((value) => (value instanceof Secret ? [value.reveal()] : []));
  const redact = redactor(secrets);
  const unanswered = (reason: string): DeployError =>
    failure('BALANCER_UNREACHABLE', {
      balancer,
      address: oneLine(shownCommand(command)),
      reason: redact(reason).replace(/\.$/, ''),
    });
  const written = await run({ command, env: revealed(env), timeout, input: JSON.stringify(request) }, signal);
  if (!written.ok) throw unanswered(`${verb}: ${written.reason}`);
  const read = answerIn(written.text, field);
  if (!read.ok) throw unanswered(`${verb}: ${read.problems.join('; ')}`);
  if ('answer' in read.value) return read.value.answer;
  const { code, message } = read.value.error;
  if (code === 'unreachable') throw unanswered(message);
  throw failure('BALANCER_REFUSED', { balancer, request: verb, answer: redact(message) });
}

const revealed = (env: ExternalOptions['env']): Readonly<Record<string, string | undefined>> => ({
  ...process.env,
  ...Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, value instanceof Secret ? value.reveal() : value]),
  ),
});

type Written = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly reason: string };

/** All that the command writes to its standard output, if it ends well and in time. */
async function run(
  {
    command,
    env,
    timeout,
    input,
  }: {
    readonly command: CommandLine;
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly timeout: number;
    readonly input: string;
  },
  signal: AbortSignal | undefined,
): Promise<Written> {
  const tooMuch = new AbortController();
  const stderr = tail(1024);
  let text = '';
  const { endedBy, status } = await runChild({
    command,
    env,
    timeoutMs: timeout,
    signal: signal ? AbortSignal.any([signal, tooMuch.signal]) : tooMuch.signal,
    input,
    onOutput(part, from) {
      if (from === 'stderr') stderr.add(part);
      else if (text.length + part.length <= answerLengthMax) text += part;
      else tooMuch.abort();
    },
  });
  signal?.throwIfAborted();
  const said = oneLine(stderr.text());
  const reason = (what: string): Written => ({ ok: false, reason: said === '' ? what : `${what} (${said})` });
  if (tooMuch.signal.aborted) return reason(`it wrote more than ${answerLengthMax} characters`);
  if (endedBy === 'timeout') return reason(`no answer within ${timeout} ms`);
  return status === 0 ? { ok: true, text } : reason(`exit status ${status}`);
}

/** A server takes about 150 of them. */
const answerLengthMax = 4 * 1024 * 1024;
