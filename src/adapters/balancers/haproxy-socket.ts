import { connect } from 'node:net';
import { addAbortSignal, type Duplex } from 'node:stream';
import { failure, messageOf } from '../../core/errors.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Host, StreamTarget, Transport } from '../../ports.ts';
import { answersOf, batchesOf } from './haproxy-wire.ts';

/**
 * Runs commands on one HAProxy process, a connection for each batch of them, and reads their answers.
 * Rejects with `BALANCER_UNREACHABLE` if not all answers came in time, or `read` throws: whatever answered is not
 * a runtime API. Some commands may have been run then.
 */
export type Ask = <T>(
  commands: readonly string[],
  read: (answers: readonly string[]) => T,
  signal?: AbortSignal,
) => Promise<T>;

export interface Socket {
  readonly balancer: BalancerName;
  readonly to: StreamTarget;
  /** The machine from which the connection is made; null: this one. */
  readonly host: Host | null;
  readonly transport: Transport;
  readonly timeoutMs: number;
}

export const askThrough =
  (socket: Socket): Ask =>
  (commands, read, signal) =>
    within(socket, signal, async (ended) => {
      const answers: string[] = [];
      for (const batch of batchesOf(commands)) {
        const output = await exchange(socket, batch.line, ended, 'server closes');
        answers.push(...answersOf(output, batch));
      }
      return read(answers);
    });

/** Does work with a socket; whatever it fails with, or that it takes too long, is `BALANCER_UNREACHABLE`. */
export async function within<T>(
  socket: Socket,
  signal: AbortSignal | undefined,
  work: (ended: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = AbortSignal.timeout(socket.timeoutMs);
  const ended = signal ? AbortSignal.any([signal, timeout]) : timeout;
  try {
    return await work(ended);
  } catch (error) {
    signal?.throwIfAborted();
    const reason = timeout.aborted ? `no answer within ${socket.timeoutMs} ms` : reasonOf(error);
    throw failure(
      'BALANCER_UNREACHABLE',
      { balancer: socket.balancer, address: addressOf(socket), reason },
      error,
    );
  }
}

/** How a member is called: the path of its socket, or `host:port`. */
export const shownTarget = (to: StreamTarget): string => {
  if (to.kind === 'unix') return to.path;
  return to.host.includes(':') ? `[${to.host}]:${to.port}` : `${to.host}:${to.port}`;
};

/**
 * One line, and all that is answered until HAProxy closes the connection. The socket of a master has no mode that does so
 * by itself: it closes once it has answered all that there will be.
 */
export async function exchange(
  { to, host, transport }: Socket,
  line: string,
  signal: AbortSignal,
  end: 'server closes' | 'nothing follows',
): Promise<string> {
  signal.throwIfAborted();
  const stream = host === null ? connected(to) : await transport.connect(host, to, signal);
  addAbortSignal(signal, stream);
  if (end === 'nothing follows') stream.end(`${line}\n`);
  else stream.write(`${line}\n`);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > answerBytesMax) throw new Error(`the answer is longer than ${answerBytesMax} bytes`);
  }
  return Buffer.concat(chunks).toString();
}

const connected = (to: StreamTarget): Duplex =>
  to.kind === 'unix' ? connect(to.path) : connect(to.port, to.host);

/** `show stat` has about 500 bytes for a server. */
const answerBytesMax = 32 * 1024 * 1024;

const addressOf = ({ host, to }: Socket): string =>
  host === null ? shownTarget(to) : `${shownTarget(to)} on ${host.name}`;

/** The sentence around it ends with a full stop. */
const reasonOf = (error: unknown): string => messageOf(error).replace(/\.$/, '');
