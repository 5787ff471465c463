import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { strictCommand } from '../../commands/shell.ts';
import type { CommandResult, NodeCommand } from '../../core/command.ts';
import { failure } from '../../core/errors.ts';
import type { Site, SshSettings } from '../../core/site.ts';
import type { Host, RunOptions, StreamTarget, Transport } from '../../ports.ts';
import { bounded } from './bounded.ts';
import { isPassing } from './openssh-log.ts';
import { Master } from './openssh-master.ts';
import { Pool } from './pool.ts';
import { type Route, routeTo } from './route.ts';
import { readSshConfig, type SshConfig } from './ssh-config.ts';

/**
 * The system's own `ssh`, for what only it can do: certificates, keys in hardware, GSSAPI, a ProxyCommand. One master
 * connection a host is shared by all commands and streams. A stream to an address where nothing listens opens, and
 * ends at once.
 */
export async function opensshTransport(
  settings: SshSettings,
  { become }: Pick<Site, 'become'>,
): Promise<Transport> {
  const config = await readSshConfig(settings.configFile);
  const folder = await mkdtemp(join(tmpdir().length > folderLengthMax ? '/tmp' : tmpdir(), 'sluice-'));
  return new OpensshTransport(settings, become, config, folder);
}

/** A unix socket's path has at most 104 bytes on some systems, and ssh adds 17 to the path of a master. */
const folderLengthMax = 60;

class OpensshTransport implements Transport {
  readonly #routeTo: (host: Host) => Route;
  readonly #become: string | null;
  readonly #folder: string;
  readonly #pool: Pool<Master>;
  #commands = 0;
  #masters = 0;

  constructor(settings: SshSettings, become: string | null, config: SshConfig, folder: string) {
    this.#routeTo = (host) => routeTo(host, settings, config);
    this.#become = become;
    this.#folder = folder;
    this.#pool = new Pool({
      open: (hop, via, events) => Master.open(hop, via, settings, this.#nextPath(), events),
      end: (master) => master.end(),
      isPassing,
      attemptsMax: settings.attemptsMax,
    });
  }

  run(host: Host, command: NodeCommand, options: RunOptions = {}): Promise<CommandResult> {
    this.#commands += 1;
    const text = strictCommand(command.script, this.#become);
    return this.#withMaster(host, options.signal, (master) => master.run(command, text, options));
  }

  connect(host: Host, to: StreamTarget, signal?: AbortSignal): Promise<Duplex> {
    return this.#withMaster(host, signal, (master) => master.stream(to, signal));
  }

  async close(): Promise<void> {
    await this.#pool.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  counts(): { readonly connections: number; readonly commands: number } {
    return { connections: this.#pool.opened, commands: this.#commands };
  }

  /** That a master has ended shows when it is used. Nothing was done then, so it is done with a new one. */
  async #withMaster<T>(
    host: Host,
    signal: AbortSignal | undefined,
    use: (master: Master) => Promise<T | null>,
  ): Promise<T> {
    const route = this.#routeTo(host);
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      signal?.throwIfAborted();
      const opening = this.#pool.get(route);
      const result = await use(await bounded(opening, { timeoutMs: null, signal }, () => signal?.reason));
      if (result !== null) return result;
    }
    const reason = 'its shared connection ended as soon as it was used';
    throw failure('NODE_UNREACHABLE', { node: host.name, address: host.address, reason });
  }

  #nextPath(): string {
    this.#masters += 1;
    return join(this.#folder, String(this.#masters));
  }
}
