import { readdir, readFile } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { type Directive, glob, type Line, SSHConfig } from 'ssh-config';
import { failure, messageOf } from '../../core/errors.ts';

/**
 * Reads an OpenSSH client config (ssh_config(5)) with all that it includes; a file that is not there says nothing.
 * Rejects with `CONFIG_UNREADABLE`.
 */
export async function readSshConfig(file: string | null): Promise<SshConfig> {
  const config = file === null ? new SSHConfig() : await readLines(resolve(file), 0);
  return (host, user) => toHostConfig(host, config.compute(query(host, user), { ignoreCase: true }));
}

/** What the config says about a host, by the name that the user gave it, for a login as `user`. */
export type SshConfig = (host: string, user: string | null) => HostConfig;

/** null: the config does not say. Paths are absolute. */
export interface HostConfig {
  readonly hostName: string;
  readonly user: string | null;
  readonly port: number | null;
  readonly identityFiles: readonly string[];
  readonly identitiesOnly: boolean;
  /** A socket; `none`: no agent is to be asked. */
  readonly identityAgent: string | null;
  readonly knownHosts: readonly string[];
  readonly hostKeyAlias: string | null;
  /** `user@host:port`, outermost first. */
  readonly proxyJump: readonly string[];
  readonly proxyCommand: string | null;
}

/** Included lines stand where the Include stands; what is conditional there stays conditional. */
async function readLines(file: string, depth: number): Promise<SSHConfig> {
  const config = parse(await readFile(file, 'utf8').catch(absentOr(file)), file);
  return included(config, dirname(file), depth);
}

async function included(lines: SSHConfig, folder: string, depth: number): Promise<SSHConfig> {
  const result = new SSHConfig();
  for (const line of lines) result.push(...(await expanded(line, folder, depth)));
  return result;
}

async function expanded(line: Line, folder: string, depth: number): Promise<readonly Line[]> {
  if (!('param' in line)) return [line];
  if ('config' in line) return [{ ...line, config: await included(line.config, folder, depth) }];
  if (line.param.toLowerCase() !== 'include' || depth >= includesDepthMax) return [line];
  const files = await Promise.all(valuesOf(line).map((pattern) => filesOf(pattern, folder)));
  const configs = await Promise.all(files.flat().map((file) => readLines(file, depth + 1)));
  return configs.flat();
}

/** As in ssh, which refuses more; files that include each other end here. */
const includesDepthMax = 16;

const valuesOf = ({ value }: Directive): readonly string[] =>
  typeof value === 'string' ? [value] : value.map(({ val }) => val);

/** Wildcards stand in the last part of a path. */
async function filesOf(pattern: string, folder: string): Promise<readonly string[]> {
  const path = resolve(folder, expandHome(pattern));
  if (!/[*?]/.test(basename(path))) return [path];
  const names = await readdir(dirname(path)).catch(() => []);
  return names
    .filter((name) => glob(basename(path), name))
    .sort()
    .map((name) => join(dirname(path), name));
}

function parse(text: string, file: string): SSHConfig {
  try {
    return SSHConfig.parse(text);
  } catch (error) {
    throw failure('CONFIG_UNREADABLE', { file, reason: messageOf(error) }, error);
  }
}

const query = (host: string, user: string | null): { Host: string; User?: string } =>
  user === null ? { Host: host } : { Host: host, User: user };

function toHostConfig(host: string, settings: Readonly<Record<string, string | string[]>>): HostConfig {
  const all = (name: string): readonly string[] =>
    [settings[name] ?? []].flat().filter((value) => value !== '');
  const one = (name: string): string | null => all(name)[0] ?? null;
  const hostName = (one('hostname') ?? host).replaceAll('%h', host);
  const tokens = { h: hostName, n: host, r: one('user') ?? userInfo().username, p: one('port') ?? '22' };
  const path = (text: string): string => expandPath(text, tokens);
  const agent = one('identityagent');
  return {
    hostName,
    user: one('user'),
    port: one('port') === null ? null : Number(one('port')),
    identityFiles: all('identityfile').filter(isSet).map(path),
    identitiesOnly: one('identitiesonly')?.toLowerCase() === 'yes',
    identityAgent:
      agent === null || agent === 'SSH_AUTH_SOCK' || !isSet(agent) ? agentOf(agent) : path(agent),
    knownHosts: all('userknownhostsfile').filter(isSet).map(path),
    hostKeyAlias: one('hostkeyalias'),
    proxyJump: all('proxyjump')
      .flatMap((hops) => hops.split(','))
      .filter(isSet),
    proxyCommand: all('proxycommand').find(isSet) ?? null,
  };
}

const isSet = (value: string): boolean => value.toLowerCase() !== 'none';

const agentOf = (setting: string | null): string | null =>
  setting === null || isSet(setting) ? null : 'none';

/** `~`, `$VARIABLE` and the tokens of ssh_config(5). */
const expandPath = (path: string, tokens: Readonly<Record<string, string>>): string =>
  resolve(
    homedir(),
    expandHome(path)
      .replace(/\$\{(\w+)\}|^\$(\w+)/g, (_, braced, bare) => process.env[braced ?? bare] ?? '')
      .replace(/%([%\w])/g, (whole, token: string) => fixedTokens[token] ?? tokens[token] ?? whole),
  );

const fixedTokens: Readonly<Record<string, string>> = { '%': '%', d: homedir(), u: userInfo().username };

const expandHome = (path: string): string => path.replace(/^~(?=\/|$)/, homedir());

const absentOr =
  (file: string) =>
  (error: NodeJS.ErrnoException): string => {
    if (error.code === 'ENOENT') return '';
    throw failure('CONFIG_UNREADABLE', { file, reason: error.message }, error);
  };
