import { once } from 'node:events';
import { type IncomingMessage, request as requestOf } from 'node:http';
import { connect as connectTcp, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { failure, messageOf } from '../core/errors.ts';
import type { Http, HttpAnswer, HttpQuestion, Transport } from '../ports.ts';
import { bounded } from './transports/bounded.ts';

/**
 * Asks over a connection of its own for each question: from here, or from a host over the transport. A certificate is
 * held against the name in the Host header, if there is one, for that is the site that is asked for.
 */
export const nodeHttp = (transport: Pick<Transport, 'connect'>, trust: Trust = {}): Http => ({
  async request(question, signal) {
    const over = new AbortController();
    const { url, timeoutMs } = question;
    try {
      return await bounded(ask(question, transport, trust, over.signal), { timeoutMs, signal }, (by) =>
        by === 'timeout' ? new Error(`no whole answer within ${timeoutMs} ms`) : new Error('interrupted'),
      );
    } catch (error) {
      throw failure('HTTP_UNANSWERED', { url, reason: messageOf(error).replace(/\.$/, '') }, error);
    } finally {
      over.abort();
    }
  },
});

export interface Trust {
  /** Certificates of authorities, in PEM; default: those that Node.js trusts. */
  readonly ca?: string[];
}

async function ask(
  question: HttpQuestion,
  transport: Pick<Transport, 'connect'>,
  trust: Trust,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const url = new URL(question.url);
  const { method, body, headers } = question;
  const stream = await open(url, question, transport, signal);
  const close = (): void => void stream.destroy();
  signal.addEventListener('abort', close);
  try {
    const connection =
      url.protocol === 'https:' ? await secure(stream, nameOf(url, question), trust) : stream;
    const request = requestOf(url, {
      method,
      headers: { host: url.host, 'user-agent': 'sluice', connection: 'close', ...headers },
      // What is said on a secured connection is said as on any other.
      protocol: 'http:',
      createConnection: () => connection,
      signal,
    });
    // Once the answer is read it is cut off on purpose, and that is told too.
    request.on('error', () => {});
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return { status: response.statusCode!, body: await beginning(response) };
  } finally {
    signal.removeEventListener('abort', close);
    close();
  }
}

async function open(
  url: URL,
  { via }: HttpQuestion,
  transport: Pick<Transport, 'connect'>,
  signal: AbortSignal,
): Promise<Duplex> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port) || defaultPorts[url.protocol as keyof typeof defaultPorts];
  if (via !== null) return transport.connect(via, { kind: 'tcp', host, port }, signal);
  const socket = connectTcp({ host, port, noDelay: true });
  try {
    await once(socket, 'connect', { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

const defaultPorts = { 'http:': 80, 'https:': 443 } as const;

async function secure(socket: Duplex, name: string, { ca }: Trust): Promise<Duplex> {
  // A server name is never an address (RFC 6066, 3).
  const named = isIP(name) ? { host: name } : { servername: name };
  const secured = connectTls({ socket, ...named, ...(ca ? { ca } : {}) });
  await once(secured, 'secureConnect');
  return secured;
}

/** The name of the site, without a port. */
function nameOf(url: URL, { headers }: HttpQuestion): string {
  const [, host = url.host] = Object.entries(headers).find(([name]) => name.toLowerCase() === 'host') ?? [];
  return host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}

/** The first 256 KiB; what comes after is not waited for. */
async function beginning(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= bodyBytesMax) break;
  }
  return Buffer.concat(chunks).subarray(0, bodyBytesMax).toString('utf8');
}

const bodyBytesMax = 256 * 1024;
