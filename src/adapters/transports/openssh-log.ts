import { type DeployError, failure } from '../../core/errors.ts';
import type { Hop } from './route.ts';

/** What went wrong, by the log of an ssh (LogLevel DEBUG1) that could not connect: it has no other way to say it. */
export function connectFailure(hop: Hop, log: string): DeployError {
  const { name: node, address, user } = hop;
  const found = (pattern: RegExp, fallback: string): string => pattern.exec(log)?.[1] ?? fallback;
  const file = hop.knownHosts.join(', ');
  const shown = { node, address, fingerprint: found(/Server host key: \S+ (\S+)/, 'another key') };
  if (/REVOKED HOST KEY/.test(log)) return failure('HOST_KEY_REVOKED', { ...shown, place: file });
  if (/HOST IDENTIFICATION HAS CHANGED/.test(log)) {
    return failure('HOST_KEY_CHANGED', { ...shown, place: found(/Offending .*key in (\S+)/, file) });
  }
  if (/Host key verification failed/.test(log)) return failure('HOST_KEY_UNKNOWN', { ...shown, file });
  if (/Permission denied|Too many authentication failures/.test(log)) {
    return failure('AUTH_REFUSED', {
      node,
      address,
      user: found(/^(\S+)@\S+: Permission denied/m, user),
      tried: offered(log),
    });
  }
  return failure('NODE_UNREACHABLE', { node, address, reason: lastWords(log) }, new Error(log));
}

/** Whether what failed may well succeed a moment later: trouble on the line, or a server that has too much to do. */
export const isPassing = ({ cause }: DeployError): boolean =>
  cause instanceof Error &&
  /kex_exchange_identification|banner exchange|Connection (reset|closed|timed out)|Broken pipe/.test(
    cause.message,
  );

const offered = (log: string): string => {
  const keys = [...log.matchAll(/Offering public key: (\S+)/g)].map(([, key]) => key);
  return keys.length > 0 ? keys.join(', ') : 'all that ssh has';
};

const lastWords = (log: string): string => {
  const said = log.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('debug'));
  return said.at(-1)?.replace(/^ssh: |\.$/g, '') ?? 'ssh ended without a word';
};
