import { resolve } from 'node:path';

/** A repository's address, with what lets git in kept apart from it. */
export interface Remote {
  /** Without credentials: this one is stored, shown, and given to git. */
  readonly url: string;
  /** Gives git the credentials. The environment of a process is its owner's alone to read; its arguments are not. */
  readonly env: Readonly<Record<string, string>>;
  /** What no message may show. */
  readonly secrets: readonly string[];
}

/**
 * Takes the credentials out of a URL. Those of http and https become a header that goes to that host alone
 * (gitcredentials(7), `http.<url>.extraHeader` of git-config(1)); ssh takes no password, so one in its URL is dropped.
 */
export function remoteOf(address: string): Remote {
  const [, scheme, credentials, rest] = /^([a-z][a-z\d+.-]*:\/\/)(?:([^/]*)@)?(.*)$/is.exec(address) ?? [];
  if (scheme === undefined || rest === undefined) return { url: pathOrHost(address), env: {}, secrets: [] };
  if (credentials === undefined) return { url: address, env: {}, secrets: [] };
  const user = credentials.split(':', 1)[0]!;
  const password = credentials.slice(user.length + 1);
  if (!/^https?:/i.test(scheme))
    return { url: `${scheme}${user}@${rest}`, env: {}, secrets: known([password]) };
  const basic = Buffer.from(`${decoded(user)}:${decoded(password)}`).toString('base64');
  return {
    url: `${scheme}${rest}`,
    env: {
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: `http.${scheme}${rest.split('/', 1)[0]}/.extraHeader`,
      GIT_CONFIG_VALUE_0: `Authorization: Basic ${basic}`,
    },
    secrets: known([password, ...(password === '' || user.length >= tokenMin ? [user] : []), basic]),
  };
}

/** Tokens are given in the place of the user, too; a short user beside a password is a name such as `git`. */
const tokenMin = 16;

/** git runs elsewhere: a path must not depend on where. `host:path` is not one (git-clone(1), "GIT URLS"). */
const pathOrHost = (address: string): string => (/^[^/]*:/.test(address) ? address : resolve(address));

const known = (secrets: readonly string[]): readonly string[] =>
  [...new Set([...secrets, ...secrets.map(decoded)])].filter((secret) => secret !== '');

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
