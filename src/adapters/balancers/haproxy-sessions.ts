import { type ServerName, serverName } from './haproxy-wire.ts';

/** The commands whose answers `webSocketsOf` reads. */
export const sessionCommands: readonly string[] = ['show sess all'];

/**
 * The upgraded connections of each server, as `backend/server`. HAProxy 2.4 to 3.2 has a paragraph for each stream
 * (management guide, 9.3, `show sess`), in which the state of the answer is a tunnel once it was upgraded.
 */
export function webSocketsOf([sessions = '']: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const stream of sessions.split(/^(?=0x[\da-f]+: )/m)) {
    if (!/ rsp\.st=MSG_TUNNEL\b/.test(stream)) continue;
    const [backend, server] = ['backend', 'server'].map(
      (name) => new RegExp(`^ *${name}=(\\S+) `, 'm').exec(stream)?.[1],
    );
    const key = `${backend}/${server}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** Ends every stream of the server at once. */
export const endSessions = (server: ServerName): string => `shutdown sessions server ${serverName(server)}`;
