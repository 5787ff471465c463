import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { failure } from '../../core/errors.ts';
import type { SshSettings } from '../../core/site.ts';
import type { Host } from '../../ports.ts';
import type { HostConfig, SshConfig } from './ssh-config.ts';

/**
 * The hops to a host, outermost jump host first, the host itself last. What stands at the host wins over the settings,
 * the settings over the OpenSSH config; a jump host takes user and port from its own text or from the config. A host
 * that is itself one of the jump hosts is reached through those before it.
 */
export function routeTo(host: Host, settings: SshSettings, config: SshConfig): Route {
  const wanted = { ...host, user: host.user ?? settings.user, port: host.port ?? settings.port };
  const target = toHop(wanted, settings, config(host.address, wanted.user));
  const jumps =
    settings.jump.length > 0
      ? settings.jump.map((text) => jumpHop(text, settings, config))
      : jumpsOfConfig(target, settings, config, []);
  const own = jumps.findIndex((hop) => isSamePlace(hop, target));
  return [...(own === -1 ? jumps : jumps.slice(0, own)), target];
}

export type Route = readonly Hop[];

/** A machine that is logged in to, with all that is needed for it. */
export interface Hop {
  /** As errors call it. */
  readonly name: string;
  /** As the user wrote it; `hostName` is what the OpenSSH config makes of it. */
  readonly address: string;
  readonly hostName: string;
  readonly port: number;
  readonly user: string;
  /** What overrides the OpenSSH config, for ssh itself. */
  readonly override: { readonly user: string | null; readonly port: number | null };
  /** The name and port under which its key is on record. */
  readonly recordedAs: { readonly hostName: string; readonly port: number };
  readonly knownHosts: readonly string[];
  /** Key files that the user named; empty: the usual ones. */
  readonly keys: readonly string[];
  /** The agent's socket; null: none. */
  readonly agent: string | null;
  /** Whether the agent's other keys are left alone. */
  readonly onlyKeys: boolean;
  readonly proxyCommand: string | null;
}

/** `user@host:port`, `host`, `[::1]:22` or the like with `ssh://` before it. */
function jumpHop(text: string, settings: SshSettings, config: SshConfig): Hop {
  const parts = /^(?:ssh:\/\/)?(?:([^@]+)@)?(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?\/?$/.exec(text.trim());
  if (!parts)
    throw unreachable(text, `a jump host was expected as user@host:port, got ${JSON.stringify(text)}`);
  const [, user = null, bracketed, plain, port] = parts;
  const address = bracketed ?? plain!;
  const wanted = { name: address, address, user, port: port === undefined ? null : Number(port) };
  return toHop(wanted, settings, config(address, user));
}

function jumpsOfConfig(
  target: Hop,
  settings: SshSettings,
  config: SshConfig,
  inner: readonly Hop[],
): readonly Hop[] {
  if (inner.some((hop) => isSamePlace(hop, target)))
    throw unreachable(target.name, 'its jump hosts form a loop');
  const hops = config(target.address, target.override.user).proxyJump.map((text) =>
    jumpHop(text, settings, config),
  );
  const [outermost] = hops;
  if (!outermost || isSamePlace(outermost, target)) return [];
  return [...jumpsOfConfig(outermost, settings, config, [...inner, target]), ...hops];
}

const isSamePlace = (a: Hop, b: Hop): boolean => a.hostName === b.hostName && a.port === b.port;

const toHop = ({ name, address, user, port }: Host, settings: SshSettings, said: HostConfig): Hop => ({
  name,
  address,
  hostName: said.hostName,
  port: port ?? said.port ?? 22,
  user: user ?? said.user ?? userInfo().username,
  override: { user, port },
  recordedAs: said.hostKeyAlias
    ? { hostName: said.hostKeyAlias, port: 22 }
    : { hostName: said.hostName, port: port ?? said.port ?? 22 },
  knownHosts: firstFilled(settings.knownHosts, said.knownHosts, defaultKnownHosts),
  keys: firstFilled(settings.keys, said.identityFiles),
  agent: settings.agent ? agentSocket(said) : null,
  onlyKeys: said.identitiesOnly,
  proxyCommand: said.proxyCommand,
});

const firstFilled = (...lists: readonly (readonly string[])[]): readonly string[] =>
  lists.find((list) => list.length > 0) ?? [];

const defaultKnownHosts = [join(homedir(), '.ssh/known_hosts'), '/etc/ssh/ssh_known_hosts'];

const agentSocket = ({ identityAgent }: HostConfig): string | null => {
  if (identityAgent === 'none') return null;
  return identityAgent ?? process.env.SSH_AUTH_SOCK ?? null;
};

const unreachable = (name: string, reason: string): Error =>
  failure('NODE_UNREACHABLE', { node: name, address: name, reason });
