import type { CommandResult, NodeCommand } from '../core/command.ts';
import { type DeployError, failure } from '../core/errors.ts';
import type { Host, RunOptions, Transport } from '../ports.ts';
import type { Fate } from './faults.ts';
import type { SimulatedNode } from './node.ts';
import { type Running, workOf } from './node-commands.ts';
import { digestOf } from './source-port.ts';
import { exchange, latencyMs, type Reply, type Wire } from './wire.ts';
import { nodeOf, type World } from './world.ts';

/** The transport, with everything that a network does to a command. */
export function transportTwin(wire: Wire): Transport {
  let commands = 0;
  return {
    run(host, command, options = {}) {
      commands++;
      const of = { node: host.name, command: command.summary };
      const line: Line = { isWhole: true, answers: true };
      return exchange<CommandResult>(
        wire,
        {
          text: `${command.name} ${host.name}`,
          signal: options.signal,
          timeout: {
            ms: command.timeoutMs,
            error: () => failure('COMMAND_TIMEOUT', { ...of, withinMs: command.timeoutMs }),
          },
          onAbort() {
            line.isWhole = false;
            return failure('OUTCOME_UNKNOWN', { ...of, reason: 'it was interrupted here' });
          },
        },
        (reply) => send({ wire, host, command, options, reply, line }),
      );
    },
    connect: (host) => Promise.reject(unreachable(host, 'the simulator has no streams')()),
    async close() {},
    counts: () => ({ connections: 0, commands }),
  };
}

interface Sending {
  readonly wire: Wire;
  readonly host: Host;
  readonly command: NodeCommand;
  readonly options: RunOptions;
  readonly reply: Reply<CommandResult>;
  readonly line: Line;
}

/** The connection, for as long as this command needs it. */
interface Line {
  /** What is sent to the command still arrives. */
  isWhole: boolean;
  /** What the command says comes back. */
  answers: boolean;
}

function send(sending: Sending): void {
  const { wire, host, command, reply } = sending;
  const { world } = wire;
  const node = nodeOf(world, host.name);
  const fate = world.faults.fate();
  const ways: { readonly [F in Fate]: () => void } = {
    arrives: () => arrive(sending, node, latencyMs(world)),
    slow: () => arrive(sending, node, world.random.integer({ min: 500, max: 8000 })),
    unreachable: () =>
      reply.fail(unreachable(host, 'connection refused'), world.random.integer({ min: 1, max: 3000 })),
    'lost request': () => reply.fail(lost(host, command), breakMs(world)),
    'lost reply': () => arrive(sending, node, latencyMs(world), breakMs(world)),
  };
  ways[fate]();
}

/** From the loss of a connection until it is noticed. */
const breakMs = ({ random }: World): number => random.pick([1, 10, 100, 1000, 15_000]);

/** `brokenAfterMs`: the connection breaks then, whatever the command does. */
function arrive(
  sending: Sending,
  node: SimulatedNode,
  ms: number,
  brokenAfterMs: number | null = null,
): void {
  const { wire, host, command, reply, line } = sending;
  const { world } = wire;
  if (isCutOff(world, node)) {
    reply.fail(unreachable(host, 'connection timed out'), 3000);
    return;
  }
  const sentAtMs = world.clock.passedMs();
  if (brokenAfterMs !== null) {
    line.answers = false;
    reply.fail(lost(host, command), ms + brokenAfterMs);
    world.clock.after(ms + brokenAfterMs, () => {
      line.isWhole = false;
    });
  }
  world.clock.after(ms, () => begin(sending, node, sentAtMs));
}

function begin(
  { wire, host, command, options, reply, line }: Sending,
  node: SimulatedNode,
  sentAtMs: number,
): void {
  const { world, session } = wire;
  const input = options.stdin?.();
  const digest = input === undefined ? null : digestOf(input);
  const digestOfInput = (): string | null => (line.isWhole && !session.isDead ? digest : null);
  const running: Running = { world, node, by: session, command, sentAtMs, digestOfInput };
  let atWork = 0;
  const ended = (result: CommandResult): void => {
    // Nobody hears of a command that arrived twice before both are done.
    if (--atWork > 0) return;
    if (isCutOff(world, node)) reply.fail(lost(host, command), 15_000);
    else if (line.answers) reply.ok(passed(result, options), latencyMs(world));
  };
  const goOn = (): void => {
    atWork++;
    work(running, { ended, lost: () => reply.fail(lost(host, command), 1000) });
  };
  goOn();
  if (world.faults.arrivesTwice()) goOn();
}

interface Ends {
  readonly ended: (result: CommandResult) => void;
  /** The machine went down meanwhile. */
  readonly lost: () => void;
}

function work(running: Running, { ended, lost }: Ends): void {
  const { world, node } = running;
  const steps = workOf(running);
  const { boots } = node;
  const goOn = (): void => {
    if (!node.isUp || node.boots !== boots) {
      lost();
      return;
    }
    const { done, value } = steps.next();
    if (done) ended(value);
    else world.clock.after(value, goOn);
  };
  goOn();
}

/** Bytes go to whoever takes them, and not into the result. */
function passed(result: CommandResult, { onStdout }: RunOptions): CommandResult {
  if (!onStdout) return result;
  onStdout(new TextEncoder().encode(result.stdout));
  return { ...result, stdout: '' };
}

const isCutOff = ({ clock }: World, { isUp, cutOffUntilMs }: SimulatedNode): boolean =>
  !isUp || clock.passedMs() < cutOffUntilMs;

const unreachable =
  ({ name, address }: Pick<Host, 'name' | 'address'>, reason: string) =>
  (): DeployError =>
    failure('NODE_UNREACHABLE', { node: name, address, reason });

const lost =
  ({ name }: Host, { summary }: NodeCommand) =>
  (): DeployError =>
    failure('OUTCOME_UNKNOWN', { node: name, command: summary, reason: 'the connection was reset' });
