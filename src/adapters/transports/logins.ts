import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import ssh2, { type AnyAuthMethod, type BaseAgent, type IdentityCallback, type ParsedKey } from 'ssh2';
import type { Hop } from './route.ts';

/**
 * The logins to try on a hop, in order: the keys that the user named, what the agent holds, the usual key files. A key
 * that is encrypted is left to the agent.
 */
export async function loginsOf(hop: Hop): Promise<Logins> {
  const named = await Promise.all(hop.keys.map(readKey));
  const usual = hop.keys.length > 0 ? [] : (await Promise.all(usualKeys.map(readKey))).filter(isThere);
  const agent = hop.agent === null ? null : agentOf(hop.agent, named, hop.onlyKeys);
  const ways = [
    ...named.map((file) => keyWay(file, hop.user)),
    ...(agent ? [{ tried: 'the agent', method: { type: 'agent', username: hop.user, agent } } as const] : []),
    ...usual.map((file) => keyWay(file, hop.user)),
  ];
  return {
    methods: ways.flatMap(({ method }) => (method ? [method] : [])),
    tried:
      ways.length === 0
        ? 'nothing: there is no agent and no key file'
        : ways.map(({ tried }) => tried).join(', '),
  };
}

export interface Logins {
  readonly methods: readonly AnyAuthMethod[];
  /** All that was thought of, and why it was passed over, for an error. */
  readonly tried: string;
}

interface KeyFile {
  readonly path: string;
  /** null: it cannot be used as it stands; `problem` says why. */
  readonly key: ParsedKey | null;
  readonly problem: string;
  readonly publicKey: Buffer | null;
}

async function readKey(path: string): Promise<KeyFile> {
  const [text, publicText] = await Promise.all([contents(path), contents(`${path}.pub`)]);
  const publicKey = publicBytes(publicText) ?? publicBytes(text);
  if (text === null) return { path, key: null, problem: 'cannot be read', publicKey };
  const key = ssh2.utils.parseKey(text);
  if (!(key instanceof Error) && key.isPrivateKey()) return { path, key, problem: '', publicKey };
  return { path, key: null, problem: problemOf(key), publicKey };
}

const contents = (path: string): Promise<string | null> => readFile(path, 'utf8').catch(() => null);

function publicBytes(text: string | null): Buffer | null {
  const key = text === null ? null : ssh2.utils.parseKey(text);
  return key === null || key instanceof Error ? null : key.getPublicSSH();
}

const problemOf = (key: ParsedKey | Error): string => {
  if (!(key instanceof Error)) return 'is a public key';
  return /encrypted|passphrase/i.test(key.message)
    ? 'is encrypted: add it to an agent'
    : 'is not a private key';
};

const isThere = (file: KeyFile): boolean => file.problem !== 'cannot be read';

/** ssh's own order (ssh_config(5), IdentityFile), without the types that need hardware. */
const usualKeys = ['id_rsa', 'id_ecdsa', 'id_ed25519'].map((name) => join(homedir(), '.ssh', name));

const keyWay = ({ path, key, problem }: KeyFile, username: string): Way => ({
  tried: key === null ? `${path} (${problem})` : path,
  method: key === null ? null : { type: 'publickey', username, key },
});

interface Way {
  readonly tried: string;
  readonly method: AnyAuthMethod | null;
}

/** The agent with the named keys first: a server counts refused keys, and gives up after a few (MaxAuthTries). */
function agentOf(socket: string, named: readonly KeyFile[], onlyNamed: boolean): BaseAgent {
  const isNamed = (key: ParsedKey): boolean =>
    named.some((file) => file.publicKey?.equals(key.getPublicSSH()) ?? false);
  return new ArrangedAgent(socket, (keys) => [
    ...keys.filter(isNamed),
    ...(onlyNamed ? [] : keys.filter((key) => !isNamed(key))),
  ]);
}

/** An agent that shows its keys in another order. */
class ArrangedAgent extends ssh2.OpenSSHAgent {
  readonly #arrange: (keys: readonly ParsedKey[]) => ParsedKey[];

  constructor(socket: string, arrange: (keys: readonly ParsedKey[]) => ParsedKey[]) {
    super(socket);
    this.#arrange = arrange;
  }

  override getIdentities(callback: IdentityCallback<ParsedKey>): void {
    // OpenSSHAgent gives parsed keys alone, though its type allows other shapes.
    super.getIdentities((error, keys) =>
      error ? callback(error) : callback(null, this.#arrange((keys ?? []) as ParsedKey[])),
    );
  }
}
