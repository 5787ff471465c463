import type { Duplex } from 'node:stream';
import { strictCommand } from '../../commands/shell.ts';
import type { CommandResult, NodeCommand } from '../../core/command.ts';
import { failure } from '../../core/errors.ts';
import type { Site, SshSettings } from '../../core/site.ts';
import type { Host, RunOptions, StreamTarget, Transport } from '../../ports.ts';
import { bounded } from './bounded.ts';
import { Pool } from './pool.ts';
import { type Hop, type Route, routeTo } from './route.ts';
import { readSshConfig, type SshConfig } from './ssh-config.ts';
import { Ssh2Connection } from './ssh2-connection.ts';
import { isPassing, login, unreachable } from './ssh2-login.ts';

/**
 * Speaks SSH itself. Host keys are checked against known_hosts, the user's OpenSSH config is read (host names, users,
 * ports, keys, agents, jump hosts). What it cannot do, certificates and keys in hardware say, `openssh` can.
 */
export async function ssh2Transport(
  settings: SshSettings,
  { become }: Pick<Site, 'become'>,
): Promise<Transport> {
  return new Ssh2Transport(settings, become, await readSshConfig(settings.configFile));
}

class Ssh2Transport implements Transport {
  readonly #routeTo: (host: Host) => Route;
  readonly #become: string | null;
  readonly #pool: Pool<Ssh2Connection>;
  #commands = 0;

  constructor(settings: SshSettings, become: string | null, config: SshConfig) {
    this.#routeTo = (host) => routeTo(host, settings, config);
    this.#become = become;
    this.#pool = new Pool({
      open: async (hop, via, { onLost, signal }) => {
        const stream = via && (await streamOf(via, hop, { kind: 'tcp', host: hop.hostName, port: hop.port }));
        return new Ssh2Connection(await login(hop, stream, settings, signal), hop, onLost);
      },
      end: (connection) => connection.end(),
      isPassing,
      attemptsMax: settings.attemptsMax,
    });
  }

  async run(host: Host, command: NodeCommand, options: RunOptions = {}): Promise<CommandResult> {
    const text = strictCommand(command.script, this.#become);
    this.#commands += 1;
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const connection = await this.#connection(host, options.signal);
      const result = await connection.run(command, text, options);
      if (result !== null) return result;
    }
    const reason = 'its connections are lost as soon as they are made';
    throw failure('NODE_UNREACHABLE', { node: host.name, address: host.address, reason });
  }

  async connect(host: Host, to: StreamTarget, signal?: AbortSignal): Promise<Duplex> {
    const connection = await this.#connection(host, signal);
    return streamOf(connection, host, to);
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  counts(): { readonly connections: number; readonly commands: number } {
    return { connections: this.#pool.opened, commands: this.#commands };
  }

  /** Others may wait for the same connection, so one who no longer waits does not end its opening. */
  async #connection(host: Host, signal: AbortSignal | undefined): Promise<Ssh2Connection> {
    signal?.throwIfAborted();
    const opening = this.#pool.get(this.#routeTo(host).map(withoutProxyCommand));
    return bounded(opening, { timeoutMs: null, signal }, () => signal?.reason);
  }
}

/** A stream over a connection, for the sake of a host: that one is out of reach if there is none. */
const streamOf = (
  over: Ssh2Connection,
  host: Pick<Host, 'name' | 'address'>,
  to: StreamTarget,
): Promise<Duplex> =>
  over.stream(to).catch((error) => {
    throw unreachable(host, error);
  });

/** Better refused than reached on another way than the user's config says. */
function withoutProxyCommand(hop: Hop, index: number): Hop {
  if (index > 0 || hop.proxyCommand === null) return hop;
  const reason =
    'your OpenSSH config has a ProxyCommand for it, which only ssh itself can run: set ssh.transport to openssh';
  throw failure('NODE_UNREACHABLE', { node: hop.name, address: hop.address, reason });
}
