import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { addAbortSignal, type Duplex } from 'node:stream';
import { assert } from '../../core/assert.ts';
import { failure, isDeployError, messageOf } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Host, Transport } from '../../ports.ts';
import type { CliAddress } from './varnish-options.ts';

/**
 * Runs commands in one session of a Varnish CLI (varnish-cli(7)), all of them whatever the others answer. Rejects with
 * `BALANCER_UNREACHABLE` if not all answers came in time or `read` throws, and with `BALANCER_REFUSED` if the secret is
 * not the right one. Some commands may have been run then.
 */
export type AskCli = <T>(
  commands: readonly string[],
  read: (answers: readonly CliAnswer[]) => T | Promise<T>,
  signal?: AbortSignal,
) => Promise<T>;

export interface CliAnswer {
  readonly status: number;
  readonly text: string;
}

/** Statuses that this driver tells apart (varnish-cli(7), vcli.h): 107 comes first if a secret is asked for. */
export const cliStatus = { ok: 200, authenticate: 107, close: 500 } as const;

export interface Cli {
  readonly balancer: BalancerName;
  readonly address: string;
  readonly cli: CliAddress;
  /** The machine from which the connection is made; null: this one. */
  readonly host: Host | null;
  readonly transport: Transport;
  readonly timeoutMs: number;
  /** The bytes of the secret file, in hexadecimal. Asked for only if Varnish does. */
  readonly secret: (signal: AbortSignal) => Promise<Secret>;
}

export const askThrough =
  (cli: Cli): AskCli =>
  async (commands, read, signal) => {
    assert(
      commands.every((command) => !/[\n\r"\\]/.test(command)),
      'nothing in a command parts or escapes it',
    );
    const timeout = AbortSignal.timeout(cli.timeoutMs);
    const ended = signal ? AbortSignal.any([signal, timeout]) : timeout;
    try {
      return await read(await session(cli, commands, ended));
    } catch (error) {
      signal?.throwIfAborted();
      if (isDeployError(error, 'BALANCER_REFUSED', 'BALANCER_SERVER_UNKNOWN')) throw error;
      const reason = timeout.aborted ? `no answer within ${cli.timeoutMs} ms` : reasonOf(error);
      throw failure('BALANCER_UNREACHABLE', { balancer: cli.balancer, address: cli.address, reason }, error);
    }
  };

async function session(
  cli: Cli,
  commands: readonly string[],
  signal: AbortSignal,
): Promise<readonly CliAnswer[]> {
  signal.throwIfAborted();
  const { host, transport, cli: to } = cli;
  const stream = host === null ? connect(to.port, to.host) : await transport.connect(host, to, signal);
  addAbortSignal(signal, stream);
  try {
    const answers = answersIn(stream);
    await authenticate(cli, stream, answers, signal);
    stream.write(commands.map((command) => `${command}\n`).join(''));
    const given: CliAnswer[] = [];
    for (const _ of commands) given.push(await next(answers));
    return given;
  } finally {
    stream.destroy();
  }
}

/** Varnish begins: with its banner, or with a challenge. A wrong secret makes it close the session. */
async function authenticate(
  { balancer, secret }: Cli,
  stream: Duplex,
  answers: AsyncIterator<CliAnswer>,
  signal: AbortSignal,
): Promise<void> {
  let greeting = await next(answers);
  if (greeting.status === cliStatus.authenticate) {
    stream.write(`auth ${responseTo(greeting.text, await secret(signal))}\n`);
    greeting = await next(answers);
  }
  if (greeting.status === cliStatus.ok) return;
  const answer = `${greeting.status} (the secret is not that of its secret file)`;
  throw failure('BALANCER_REFUSED', { balancer, request: 'auth', answer });
}

/**
 * SHA-256 over the challenge and a line break, the bytes of the secret file as they are, and both once more
 * (varnish-cli(7), "Authentication with -S").
 */
export function responseTo(greeting: string, secret: Secret): string {
  const [challenge = ''] = greeting.split('\n');
  if (!/^[a-z]{32}$/.test(challenge)) throw new Error('its challenge is not one of 32 letters');
  const hash = createHash('sha256').update(`${challenge}\n`);
  return hash.update(Buffer.from(secret.reveal(), 'hex')).update(`${challenge}\n`).digest('hex');
}

async function next(answers: AsyncIterator<CliAnswer>): Promise<CliAnswer> {
  const { done, value } = await answers.next();
  if (done) throw new Error('the connection ended before every command was answered');
  return value;
}

/** Answers as they come: a line of 13 bytes with status and length, as many bytes as that says, a line break. */
export async function* answersIn(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<CliAnswer, undefined, undefined> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of chunks) {
    bytes = Buffer.concat([bytes, chunk]);
    for (let head = headOf(bytes); head !== null && bytes.length > head.end; head = headOf(bytes)) {
      if (bytes[head.end] !== lineBreak) throw notCli(bytes);
      yield { status: head.status, text: bytes.toString('utf8', headBytes, head.end) };
      bytes = bytes.subarray(head.end + 1);
    }
  }
  if (bytes.length > 0) throw new Error('the connection ended in the middle of an answer');
}

/** Of the answer that the bytes begin with; null: not all of its first line is there. */
function headOf(bytes: Buffer): { readonly status: number; readonly end: number } | null {
  if (bytes.length < headBytes) return null;
  const [, status, length] = /^(\d{3}) (\d{1,8}) *\n$/.exec(bytes.toString('latin1', 0, headBytes)) ?? [];
  if (status === undefined) throw notCli(bytes);
  if (Number(length) > answerBytesMax) throw new Error(`an answer is longer than ${answerBytesMax} bytes`);
  return { status: Number(status), end: headBytes + Number(length) };
}

const headBytes = 13;
const lineBreak = 0x0a;
/** `backend.list` has about 200 bytes for a backend. */
const answerBytesMax = 32 * 1024 * 1024;

const notCli = (bytes: Buffer): Error =>
  new Error(`what answers is no Varnish CLI: ${JSON.stringify(bytes.toString('latin1', 0, 60))}`);

/** The sentence around it ends with a full stop. */
const reasonOf = (error: unknown): string => messageOf(error).replace(/\.$/, '');
