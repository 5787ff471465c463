import { connect, type Socket } from 'node:net';

/** One client on a connection that it keeps: a question at a time, each as soon as the last one is answered. */
export interface RapidClient {
  /** Resolves with the status and what is wrong with the answer, if anything. Never rejects. */
  ask(): Promise<RapidAnswer>;
  /** The next question opens another connection. */
  close(): void;
}

export interface RapidAnswer {
  /** Null if none came. */
  readonly status: number | null;
  readonly failure: {
    readonly kind: 'truncated' | 'late' | 'refused' | 'wrong';
    readonly reason: string;
  } | null;
}

export interface RapidOptions {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Of silence in the midst of an answer. */
  readonly lateMs: number;
  /** What each body must end with. */
  readonly bodyEnd: string;
}

/**
 * Asks on a bare socket, at a fraction of what an HTTP client of Node.js costs: so that the clients are not what limits a
 * load. It knows answers that have their length, and no others.
 */
export function rapidClient(options: RapidOptions): RapidClient {
  const { host, port, path } = options;
  const question = `GET ${path} HTTP/1.1\r\nhost: ${host}:${port}\r\n\r\n`;
  let socket: Socket | null = null;
  let answered: (answer: RapidAnswer) => void = () => {};
  let received = '';
  const settle = (answer: RapidAnswer, keeps: boolean): void => {
    if (!keeps) {
      socket?.destroy();
      socket = null;
    }
    received = '';
    answered(answer);
  };
  const open = (): Socket => {
    const opened = connect({ host, port, noDelay: true });
    opened.setEncoding('latin1').setTimeout(options.lateMs);
    opened.on('data', (chunk) => {
      received += chunk;
      const answer = answerIn(received, options.bodyEnd);
      if (answer !== null) settle(answer, answer.keeps);
    });
    const lost = (kind: 'late' | 'refused', reason: string) => () => {
      if (opened !== socket) return;
      const status = received === '' ? null : statusOf(received);
      const cutOff = received !== '' && kind === 'refused';
      settle({ status, failure: { kind: cutOff ? 'truncated' : kind, reason } }, false);
    };
    opened.on('timeout', lost('late', `nothing for ${options.lateMs} ms`));
    opened.on('error', () => {});
    opened.on('close', lost('refused', 'the connection was closed before the whole answer'));
    return opened;
  };
  return {
    ask: () =>
      new Promise((resolve) => {
        answered = resolve;
        socket ??= open();
        socket.write(question);
      }),
    close() {
      socket?.destroy();
      socket = null;
    },
  };
}

/** Null if it is not whole yet. */
function answerIn(received: string, bodyEnd: string): (RapidAnswer & { readonly keeps: boolean }) | null {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd < 0) return null;
  const head = received.slice(0, headEnd).toLowerCase();
  const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1];
  const status = statusOf(received);
  const keeps = !/\r\nconnection: *close/.test(head);
  if (length === undefined)
    return { status, failure: { kind: 'wrong', reason: 'an answer without its length' }, keeps: false };
  const body = received.slice(headEnd + 4);
  if (body.length < Number(length)) return null;
  if (status !== 200) return { status, failure: { kind: 'wrong', reason: `status ${status}` }, keeps };
  const isWhole = body.length === Number(length) && body.endsWith(bodyEnd);
  const failure = isWhole ? null : { kind: 'truncated' as const, reason: 'a body without its end' };
  return { status, failure, keeps };
}

const statusOf = (received: string): number => Number(received.slice(9, 12));
