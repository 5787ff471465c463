import { createHash, createHmac } from 'node:crypto';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * What is on record about the key that a host shows (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). `changed`: the host is on
 * record with other keys only, whatever their type; nobody can pass for it by showing a key of a new type. Lines of
 * certificate authorities are passed over.
 */
export function judgeHostKey(known: readonly KnownHost[], host: HostAddress, key: Uint8Array): Verdict {
  const verdict = judgeName(known, nameOf(host), key);
  if (verdict.kind !== 'unknown' || host.port === 22) return verdict;
  // As ssh does: a machine's key is good on any port, but the record of port 22 is no evidence against another port.
  const onAnyPort = judgeName(known, host.hostName, key);
  return onAnyPort.kind === 'changed' ? verdict : onAnyPort;
}

/** A line of a known_hosts file. */
export interface KnownHost {
  /** Names, patterns, negations, or one hashed name. */
  readonly names: readonly string[];
  readonly type: string;
  readonly key: string;
  readonly revoked: boolean;
  /** `file:line`. */
  readonly place: string;
}

export interface HostAddress {
  readonly hostName: string;
  readonly port: number;
}

export type Verdict =
  | { readonly kind: 'matched' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'changed' | 'revoked'; readonly place: string };

/** The lines of all files, in order; a file that is not there has none. */
export async function readKnownHosts(files: readonly string[]): Promise<readonly KnownHost[]> {
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(absent)));
  return texts.flatMap((text, i) => parseKnownHosts(text, files[i]!));
}

export const parseKnownHosts = (text: string, file: string): readonly KnownHost[] =>
  text.split(/\r?\n/).flatMap((line, i) => parseLine(line.trim(), `${file}:${i + 1}`));

/** The types of the keys that are on record for a host. */
export const knownKeyTypes = (known: readonly KnownHost[], host: HostAddress): readonly string[] => {
  const entries = known.filter((entry) => !entry.revoked);
  const exact = entries.filter((entry) => covers(entry, nameOf(host)));
  const found = exact.length > 0 ? exact : entries.filter((entry) => covers(entry, host.hostName));
  return [...new Set(found.map((entry) => entry.type))];
};

/** Adds a line, and makes the file (mode 0600) and its directory (0700) if they are not there. */
export async function storeHostKey(file: string, host: HostAddress, key: Uint8Array): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const before = await readFile(file, 'utf8').catch(absent);
  const gap = before === '' || before.endsWith('\n') ? '' : '\n';
  await appendFile(file, `${gap}${nameOf(host)} ${keyType(key)} ${base64(key)}\n`, { mode: 0o600 });
}

/** As `ssh-keygen -l` shows it. */
export const fingerprint = (key: Uint8Array): string =>
  `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;

function judgeName(known: readonly KnownHost[], name: string, key: Uint8Array): Verdict {
  const entries = known.filter((entry) => covers(entry, name));
  const same = entries.filter((entry) => entry.key === base64(key));
  const revoked = same.find((entry) => entry.revoked);
  if (revoked) return { kind: 'revoked', place: revoked.place };
  if (same.length > 0) return { kind: 'matched' };
  const other = entries.find((entry) => !entry.revoked);
  return other ? { kind: 'changed', place: other.place } : { kind: 'unknown' };
}

function parseLine(line: string, place: string): readonly KnownHost[] {
  if (line === '' || line.startsWith('#')) return [];
  const fields = line.split(/\s+/);
  const marker = fields[0]!.startsWith('@') ? fields.shift() : null;
  const [names, type, key] = fields;
  if (marker === '@cert-authority' || names === undefined || type === undefined || key === undefined)
    return [];
  return [{ names: names.split(','), type, key, revoked: marker === '@revoked', place }];
}

function covers({ names }: KnownHost, name: string): boolean {
  const isNamed = (pattern: string): boolean => matches(pattern, name.toLowerCase());
  if (names.some((pattern) => pattern.startsWith('!') && isNamed(pattern.slice(1)))) return false;
  return names.some((pattern) => !pattern.startsWith('!') && isNamed(pattern));
}

/** `|1|salt|hash` is the HMAC-SHA1 of the name; else `*` and `?` stand for any text and any character. */
function matches(pattern: string, name: string): boolean {
  const [, salt, hash] = /^\|1\|([^|]+)\|(.+)$/.exec(pattern) ?? [];
  if (salt !== undefined)
    return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
  const literal = pattern.toLowerCase().replace(/[\\^$.|+()[\]{}]/g, '\\$&');
  return new RegExp(`^${literal.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(name);
}

const nameOf = ({ hostName, port }: HostAddress): string =>
  (port === 22 ? hostName : `[${hostName}]:${port}`).toLowerCase();

/** A key begins with its type as a string with a length before it (RFC 4253, 6.6). */
const keyType = (key: Uint8Array): string => {
  const bytes = Buffer.from(key);
  return bytes.toString('latin1', 4, 4 + bytes.readUInt32BE(0));
};

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

function absent(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return '';
  throw error;
}
