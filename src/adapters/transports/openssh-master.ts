import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { execa } from 'execa';
import { words } from '../../commands/shell.ts';
import type { CommandResult, NodeCommand } from '../../core/command.ts';
import { failure, messageOf } from '../../core/errors.ts';
import type { SshSettings } from '../../core/site.ts';
import type { RunOptions, StreamTarget } from '../../ports.ts';
import { bounded } from './bounded.ts';
import { commandEnd } from './command-end.ts';
import { connectFailure } from './openssh-log.ts';
import type { OpenEvents } from './pool.ts';
import { runProcess } from './process.ts';
import type { Hop } from './route.ts';
import { SessionRefused, type Sessions, sessions } from './sessions.ts';

/** A master connection of ssh in the background, and the sessions that share it (ssh_config(5), ControlMaster). */
export class Master {
  readonly #hop: Hop;
  readonly #path: string;
  readonly #onLost: () => void;
  readonly #inSession: Sessions;
  readonly #forwards = new Map<string, Promise<string>>();
  #uses = 0;

  private constructor(hop: Hop, path: string, onLost: () => void) {
    this.#hop = hop;
    this.#inSession = sessions(hop);
    this.#path = path;
    this.#onLost = onLost;
  }

  /** Logs in. `path` will be its socket. Rejects with a `DeployError`. */
  static async open(
    hop: Hop,
    via: Master | null,
    settings: SshSettings,
    path: string,
    { onLost, signal }: OpenEvents,
  ): Promise<Master> {
    const proxy =
      via === null
        ? []
        : ['-o', `ProxyCommand=${words(...via.#client('false'), '-W', '[%h]:%p', '--', anyName)}`];
    const problem = await start(
      [...masterOptions(hop, settings, path), ...proxy, '--', hop.address],
      `${path}.log`,
      {
        timeoutMs: settings.connectTimeoutMs + loginMsMax,
        signal,
      },
    );
    if (problem !== null) throw connectFailure(hop, problem);
    return new Master(hop, path, onLost);
  }

  /** null: the master has ended, and nothing was run. Rejects as `Transport.run` does. */
  run(command: NodeCommand, text: string, options: RunOptions): Promise<CommandResult | null> {
    return this.#inSession(async () => {
      const mark = this.#nextPath();
      const line = [...this.#client(words('touch', mark)), '-T', '--', anyName, withStatus(text)];
      // A client of a master heeds no signal while its command runs, and has nothing to clean up.
      const end = await runProcess(line, { ...options, timeoutMs: command.timeoutMs, graceMs: 1000 });
      if (end.endedBy !== 'exit' || end.status !== 255) return commandEnd(this.#hop, command, end);
      if (end.stderr.endsWith(statusMark)) {
        return { status: 255, stdout: end.stdout, stderr: end.stderr.slice(0, -statusMark.length) };
      }
      const isBypassed = existsSync(mark);
      if (isBypassed && end.stderr.includes(refusal)) throw new SessionRefused(refusal);
      this.#onLost();
      if (isBypassed) return null;
      const reason = end.stderr.trim().split('\n').at(-1) || 'its master connection ended';
      throw failure('OUTCOME_UNKNOWN', { node: this.#hop.name, command: command.summary, reason });
    }, options.signal);
  }

  /** null: the master has ended. */
  async stream(to: StreamTarget, signal?: AbortSignal): Promise<Duplex | null> {
    const path = await this.#forward(to.kind === 'unix' ? to.path : `[${to.host}]:${to.port}`).catch(
      () => null,
    );
    if (path === null) return null;
    const socket = connect(path);
    try {
      await once(socket, 'connect', { signal });
      return socket;
    } catch {
      socket.destroy();
      signal?.throwIfAborted();
      this.#onLost();
      return null;
    }
  }

  async end(): Promise<void> {
    await this.#control('exit').catch(() => undefined);
  }

  /** The local socket that leads to an address; made once. */
  #forward(to: string): Promise<string> {
    const known = this.#forwards.get(to);
    if (known) return known;
    const path = this.#nextPath();
    const forward = this.#control('forward', '-L', `${path}:${to}`).then(() => path);
    this.#forwards.set(to, forward);
    forward.catch(() => this.#onLost());
    return forward;
  }

  async #control(request: 'exit' | 'forward', ...options: readonly string[]): Promise<void> {
    const line = ['-F', 'none', '-S', this.#path, '-O', request, ...options, '--', anyName];
    await execa('ssh', line, { ...apart, reject: true, timeout: controlMsMax });
  }

  /** A client of this master. Without the master it connects through `otherwise`, and would know of no other way. */
  #client(otherwise: string): readonly string[] {
    const options = ['ControlMaster=no', 'LogLevel=ERROR', `ProxyCommand=${otherwise}`];
    return ['ssh', '-F', 'none', '-S', this.#path, ...options.flatMap((option) => ['-o', option])];
  }

  #nextPath(): string {
    this.#uses += 1;
    return `${this.#path}.${this.#uses}`;
  }
}

/** What a client of a master says of a server that opens no session for it. */
const refusal = 'Session open refused by peer';
/** For a touch on a hardware key; sshd itself waits as long (LoginGraceTime). */
const loginMsMax = 120_000;
const controlMsMax = 10_000;
/** Where a client of a master connects to is the master's matter. */
const anyName = 'host';

/** Out of reach of a Ctrl-C on the terminal. */
const apart = { detached: true, cleanup: false, stdin: 'ignore' } as const;

/** null, or the log of why the login failed. */
async function start(
  options: readonly string[],
  log: string,
  { timeoutMs, signal }: StartBounds,
): Promise<string | null> {
  try {
    // Into a file: what goes to the background keeps its standard error, and a pipe would not end.
    const child = execa('ssh', ['-E', log, ...options], {
      ...apart,
      stdout: 'ignore',
      stderr: 'ignore',
      reject: false,
    });
    const end = await bounded(child, { timeoutMs, signal }, (by) => {
      child.kill();
      return new Error(by === 'timeout' ? `no login within ${timeoutMs} ms` : 'the transport is closed');
    });
    if (end.exitCode === 0) return null;
    return end.exitCode === undefined ? messageOf(end.cause) : await readFile(log, 'utf8');
  } catch (error) {
    return messageOf(error);
  }
}

interface StartBounds {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

function masterOptions(hop: Hop, settings: SshSettings, path: string): readonly string[] {
  const options = [
    'BatchMode=yes',
    `StrictHostKeyChecking=${settings.hostKeys === 'strict' ? 'yes' : 'accept-new'}`,
    `ConnectTimeout=${seconds(settings.connectTimeoutMs)}`,
    `ServerAliveInterval=${seconds(settings.keepAliveMs)}`,
    'ServerAliveCountMax=3',
    'ClearAllForwardings=yes',
    'ForwardAgent=no',
    'ForwardX11=no',
    'PermitLocalCommand=no',
    'LogLevel=DEBUG1',
    // A master whose owner was killed ends by itself.
    'ControlPersist=300',
    ...(settings.agent ? [] : ['IdentityAgent=none']),
    ...(settings.knownHosts.length === 0 ? [] : knownHostsOptions(settings.knownHosts)),
  ];
  return [
    ...configFile(settings.configFile),
    ...options.flatMap((option) => ['-o', option]),
    ...settings.keys.flatMap((key) => ['-i', key]),
    ...(hop.override.user === null ? [] : ['-l', hop.override.user]),
    ...(hop.override.port === null ? [] : ['-p', String(hop.override.port)]),
    ...['-M', '-N', '-f', '-S', path],
  ];
}

/** ssh reads its usual file, and the system's, only if it is not given one; one that is not there is an error to it. */
function configFile(file: string | null): readonly string[] {
  if (file === join(homedir(), '.ssh/config')) return [];
  return ['-F', file !== null && existsSync(file) ? file : 'none'];
}

const knownHostsOptions = (files: readonly string[]): readonly string[] => [
  `UserKnownHostsFile=${files.map((file) => `"${file}"`).join(' ')}`,
  'GlobalKnownHostsFile=/dev/null',
];

const seconds = (ms: number): number => Math.ceil(ms / 1000);

/**
 * ssh itself ends with 255 if a connection is lost, so a command that ends with 255 says so at the end of its standard
 * error. The outer shell also turns a signal into a status, which ssh does not report.
 */
const withStatus = (text: string): string =>
  words(
    'sh',
    '-c',
    `${text}\nstatus=$?\n[ "$status" -ne 255 ] || printf '${statusMark}' >&2\nexit "$status"`,
  );

const statusMark = '[status 255]';
