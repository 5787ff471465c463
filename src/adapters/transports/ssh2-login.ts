import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import ssh2, { type Client, type ServerHostKeyAlgorithm } from 'ssh2';
import { type DeployError, failure, isDeployError, messageOf } from '../../core/errors.ts';
import type { SshSettings } from '../../core/site.ts';
import { bounded } from './bounded.ts';
import {
  fingerprint,
  judgeHostKey,
  type KnownHost,
  knownKeyTypes,
  readKnownHosts,
  storeHostKey,
  type Verdict,
} from './known-hosts.ts';
import { type Logins, loginsOf } from './logins.ts';
import type { Hop } from './route.ts';

/**
 * Logs in to a hop over a byte stream, or over a TCP connection of its own if `stream` is null. Rejects with
 * `HOST_KEY_UNKNOWN`, `HOST_KEY_CHANGED`, `HOST_KEY_REVOKED`, `AUTH_REFUSED` or `NODE_UNREACHABLE`.
 */
export async function login(
  hop: Hop,
  stream: Duplex | null,
  settings: LoginSettings,
  signal: AbortSignal,
): Promise<Client> {
  const client = new ssh2.Client();
  let socket = stream;
  try {
    const [known, logins] = await Promise.all([readKnownHosts(hop.knownHosts), loginsOf(hop)]);
    if (logins.methods.length === 0) throw refused(hop, logins);
    const hostKey = hostKeyCheck(hop, known, settings.hostKeys);
    socket ??= await openSocket(hop, settings.connectTimeoutMs, signal);
    const lost = lossOf(client);
    await handshake(client, hop, { socket, hostKey, logins, settings, signal, lost });
    await hostKey.store();
    // Meanwhile, too: whoever gets the connection hears only of what comes later.
    await Promise.race([lost, null]);
    return client;
  } catch (error) {
    client.destroy();
    socket?.destroy();
    throw isDeployError(error) ? error : unreachable(hop, error);
  }
}

export type LoginSettings = Pick<SshSettings, 'hostKeys' | 'connectTimeoutMs' | 'keepAliveMs'>;

/** Whether what failed may well succeed a moment later: trouble on the line, or a server that has too much to do. */
export function isPassing({ cause }: DeployError): boolean {
  const { code, level } = (cause ?? {}) as { readonly code?: unknown; readonly level?: unknown };
  return passingCodes.has(code) || passingLevels.has(level);
}

const passingCodes = new Set<unknown>([
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'ECONNABORTED',
  'EAI_AGAIN',
  'ECLOSED',
]);
/** Levels of ssh2's errors: a server that dropped the connection before its greeting, or that fell silent. */
const passingLevels = new Set<unknown>(['protocol', 'client-timeout']);

export const unreachable = ({ name, address }: Pick<Hop, 'name' | 'address'>, error: unknown): DeployError =>
  failure('NODE_UNREACHABLE', { node: name, address, reason: messageOf(error) }, error);

/** An error like those of Node.js: `code` says what it is. */
export const coded = (code: string, message: string): Error => Object.assign(new Error(message), { code });

async function openSocket({ hostName, port }: Hop, timeoutMs: number, signal: AbortSignal): Promise<Duplex> {
  const socket = connect({ host: hostName, port, noDelay: true });
  try {
    await bounded(once(socket, 'connect'), { timeoutMs, signal }, (by) =>
      coded(
        'ETIMEDOUT',
        by === 'timeout' ? `no connection within ${timeoutMs} ms` : 'the transport is closed',
      ),
    );
    return socket;
  } catch (error) {
    socket.on('error', () => undefined).destroy();
    throw error;
  }
}

/** Rejects when the connection fails or is closed, be it before or after the login. */
function lossOf(client: Client): Promise<never> {
  const lost = new Promise<never>((_, reject) => {
    client.once('close', () => reject(coded('ECLOSED', 'the connection was closed during the login')));
    // It stays for good: an error without a listener would end the process. An agent that fails is passed over.
    client.on('error', (error) => {
      if (error.level !== 'agent') reject(error);
    });
  });
  // Nobody waits for it after the login.
  lost.catch(() => undefined);
  return lost;
}

interface Handshake {
  readonly socket: Duplex;
  readonly hostKey: HostKeyCheck;
  readonly logins: Logins;
  readonly settings: LoginSettings;
  readonly signal: AbortSignal;
  readonly lost: Promise<never>;
}

async function handshake(
  client: Client,
  hop: Hop,
  { socket, hostKey, logins, settings, signal, lost }: Handshake,
): Promise<void> {
  let isAtLogin = false;
  client.once('handshake', () => {
    isAtLogin = true;
  });
  const ready = new Promise<void>((resolve) => client.once('ready', resolve));
  client.connect({
    sock: socket,
    username: hop.user,
    authHandler: [...logins.methods],
    hostVerifier: (key: Buffer): boolean => hostKey.accepts(key),
    algorithms: { serverHostKey: [...hostKey.algorithms] },
    readyTimeout: settings.connectTimeoutMs,
    keepaliveInterval: settings.keepAliveMs,
    keepaliveCountMax: 3,
    // Servers other than OpenSSH forward to unix sockets too; one that does not will say so.
    strictVendor: false,
  });
  try {
    await bounded(Promise.race([lost, ready]), { timeoutMs: null, signal }, () =>
      coded('ECLOSED', 'the transport is closed'),
    );
  } catch (error) {
    throw hostKey.refusal() ?? (isAtLogin && isRefusal(error) ? refused(hop, logins, error) : error);
  }
}

/** All ways were tried, or the server said that it had enough: its disconnect message has a number (RFC 4253, 11.1). */
const isRefusal = (error: unknown): boolean => {
  const { level, code } = error as { readonly level?: unknown; readonly code?: unknown };
  return level === 'client-authentication' || code === 2 || code === 14;
};

const refused = ({ name, user, address }: Hop, { tried }: Logins, cause?: unknown): DeployError =>
  failure('AUTH_REFUSED', { node: name, user, address, tried }, cause);

interface HostKeyCheck {
  /** In order of preference: a key on record is not to be missed because the server shows one of another type. */
  readonly algorithms: readonly ServerHostKeyAlgorithm[];
  accepts(key: Buffer): boolean;
  /** Why it did not accept the key. */
  refusal(): DeployError | null;
  /** Puts a key that was new and accepted on record. Called when the server has proved that the key is its own. */
  store(): Promise<void>;
}

function hostKeyCheck(hop: Hop, known: readonly KnownHost[], policy: SshSettings['hostKeys']): HostKeyCheck {
  let refusal: DeployError | null = null;
  let newKey: Buffer | null = null;
  return {
    algorithms: hostKeyAlgorithms(knownKeyTypes(known, hop.recordedAs)),
    accepts(key) {
      const verdict = judgeHostKey(known, hop.recordedAs, key);
      if (verdict.kind === 'unknown' && policy === 'accept-new') newKey = key;
      else refusal = refusalOf(hop, verdict, fingerprint(key));
      return refusal === null;
    },
    refusal: () => refusal,
    async store() {
      if (newKey) await storeHostKey(hop.knownHosts[0]!, hop.recordedAs, newKey);
    },
  };
}

function refusalOf(hop: Hop, verdict: Verdict, print: string): DeployError | null {
  const shown = { node: hop.name, address: hop.address, fingerprint: print };
  switch (verdict.kind) {
    case 'matched':
      return null;
    case 'unknown':
      return failure('HOST_KEY_UNKNOWN', { ...shown, file: hop.knownHosts.join(', ') });
    case 'changed':
      return failure('HOST_KEY_CHANGED', { ...shown, place: verdict.place });
    case 'revoked':
      return failure('HOST_KEY_REVOKED', { ...shown, place: verdict.place });
  }
}

const hostKeyAlgorithms = (knownTypes: readonly string[]): readonly ServerHostKeyAlgorithm[] => {
  const isKnown = (algorithm: ServerHostKeyAlgorithm): boolean => knownTypes.includes(keyTypeOf(algorithm));
  return [...algorithms.filter(isKnown), ...algorithms.filter((algorithm) => !isKnown(algorithm))];
};

/** An RSA key signs with SHA-2 under other names than its own (RFC 8332). */
const keyTypeOf = (algorithm: string): string => (algorithm.startsWith('rsa-sha2-') ? 'ssh-rsa' : algorithm);

/** Without ssh-rsa, whose SHA-1 signatures OpenSSH refuses too. */
const algorithms: readonly ServerHostKeyAlgorithm[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
];
