import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type NetConnectOpts, type Socket } from 'node:net';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import ssh2, {
  type AuthContext,
  type Connection,
  type ParsedKey,
  type ServerChannel,
  type Session,
} from 'ssh2';
import { type MachineView, realCommand, realPort, seenOutput } from './machine-view.ts';

/**
 * Starts a real SSH server on 127.0.0.1 that needs no root and no installed server. It lets in whoever has the one
 * key, under any name, runs their commands as the user of this process, and forwards connections to 127.0.0.1 and to
 * unix sockets.
 */
export async function startSshServer(settings: SshServerSettings): Promise<SshServer> {
  const children = new Set<ChildProcess>();
  const authorized = parse(settings.authorizedKey);
  const ssh = new ssh2.Server({ hostKeys: [settings.hostKey] }, (connection) => {
    connection.on('error', () => undefined);
    connection.on('authentication', (attempt) =>
      isAllowed(attempt, authorized) ? attempt.accept() : attempt.reject(['publickey']),
    );
    connection.on('ready', () => serve(connection, settings, children));
  });
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket.once('close', () => sockets.delete(socket)));
    ssh.injectSocket(socket);
  });
  await once(server.listen(settings.port ?? 0, '127.0.0.1'), 'listening');
  const { port } = server.address() as { readonly port: number };
  return {
    port,
    knownHost: `[127.0.0.1]:${port} ${publicLine(parse(settings.hostKey))}`,
    async close() {
      for (const child of children) signalGroup(child, 'SIGKILL');
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

export interface SshServerSettings {
  /** Default: any free port. */
  readonly port?: number;
  /** The server's private key. */
  readonly hostKey: string;
  /** The public key that is let in. */
  readonly authorizedKey: string;
  /** Where commands start; their HOME. */
  readonly home: string;
  /** Absent: the machine as it is. */
  readonly view?: MachineView;
}

export interface SshServer {
  readonly port: number;
  /** The server's line for a known_hosts file. */
  readonly knownHost: string;
  /** Ends all connections and all commands that still run. */
  close(): Promise<void>;
}

/**
 * A new key pair, in the form in which OpenSSH keeps it in files. ssh2 spoils those whose public key begins with a
 * zero byte, one of 256 (mscdex/ssh2#1390): such a pair is made anew.
 */
export function generateKeyPair(comment = 'sandbox'): KeyPair {
  const pair = ssh2.utils.generateKeyPairSync('ed25519', { comment });
  if (ssh2.utils.parseKey(pair.public) instanceof Error) return generateKeyPair(comment);
  return { privateKey: pair.private, publicKey: pair.public };
}

export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

function parse(text: string): ParsedKey {
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) throw key;
  return key;
}

const publicLine = (key: ParsedKey): string => `${key.type} ${key.getPublicSSH().toString('base64')}`;

/** A client first asks whether a key would do, without a signature. */
function isAllowed(attempt: AuthContext, authorized: ParsedKey): boolean {
  if (attempt.method !== 'publickey' || !attempt.key.data.equals(authorized.getPublicSSH())) return false;
  const { signature, blob, hashAlgo } = attempt;
  return (
    signature === undefined || blob === undefined || authorized.verify(blob, signature, hashAlgo) === true
  );
}

function serve(connection: Connection, settings: SshServerSettings, children: Set<ChildProcess>): void {
  connection.on('session', (accept) => serveSession(accept(), settings, children));
  connection.on('tcpip', (accept, reject, { destIP, destPort }) => {
    if (!['127.0.0.1', 'localhost'].includes(destIP)) return reject();
    forward({ host: '127.0.0.1', port: realPort(destPort, settings.view) }, accept, reject);
  });
  connection.on('openssh.streamlocal', (accept, reject, { socketPath }) =>
    forward({ path: socketPath }, accept, reject),
  );
}

function serveSession(session: Session, settings: SshServerSettings, children: Set<ChildProcess>): void {
  session.on('exec', (accept, _, { command }) => {
    const child = run(command, accept(), settings);
    children.add(child.once('close', () => children.delete(child)));
    session.on('signal', (_accept, _reject, { name }) =>
      signalGroup(child, `SIG${name.replace(/^SIG/, '')}`),
    );
  });
}

/** In a group of its own, so that a Ctrl-C on the terminal of the sandbox does not end what a "far" machine does. */
function run(command: string, channel: ServerChannel, { home, view }: SshServerSettings): ChildProcess {
  const env = { PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: home, SHELL: '/bin/sh', LANG: 'C.UTF-8' };
  const child = spawn('/bin/sh', ['-c', realCommand(command, view)], { cwd: home, env, detached: true });
  const passed = [pass(child.stdout, channel, view), pass(child.stderr, channel.stderr, view)];
  channel.pipe(child.stdin);
  // A command need not read its input.
  child.stdin.on('error', () => undefined);
  child.on('error', () => channel.exit(127));
  child.on('close', async (status, signal) => {
    await Promise.all(passed);
    if (signal === null) channel.exit(status ?? 127);
    else channel.exit(signal.replace(/^SIG/, ''));
    channel.end();
  });
  return child;
}

/** Resolves once all output was handed on. */
function pass(output: Readable, channel: Writable, view: MachineView | undefined): Promise<unknown> {
  const seen = output.pipe(seenOutput(view));
  seen.pipe(channel, { end: false });
  return once(seen, 'end');
}

function forward(to: NetConnectOpts, accept: () => ServerChannel, reject: () => void): void {
  const socket = connect(to);
  socket.once('error', reject);
  socket.once('connect', () => {
    const channel = accept();
    socket.off('error', reject).on('error', () => channel.close());
    socket.pipe(channel).pipe(socket);
    channel.on('close', () => socket.destroy());
  });
}

function signalGroup(child: ChildProcess, signal: string): void {
  if (child.pid === undefined || !(signal in constants.signals)) return;
  try {
    process.kill(-child.pid, signal as NodeJS.Signals);
  } catch {
    // It ended by itself.
  }
}
