import { setTimeout as sleep } from 'node:timers/promises';
import type { Secret } from '../core/secret.ts';

export interface RotationWatch {
  stop(): Promise<RotationSeen>;
}

export interface RotationSeen {
  /** The fewest servers that the balancer sent traffic to, in any look. */
  readonly servingMin: number;
  /** By the name of the server: how long it was out of rotation in all. */
  readonly outMs: Readonly<Record<string, number>>;
  readonly looks: number;
}

/** Looks at a sandbox balancer every 25 ms through its admin API. Rejects on `stop` if it could not be read. */
export function watchRotation(adminUrl: string, token: Secret): RotationWatch {
  const stopping = new AbortController();
  const seen = look(adminUrl, token, stopping.signal);
  seen.catch(() => {});
  return {
    stop() {
      stopping.abort();
      return seen;
    },
  };
}

const intervalMs = 25;

async function look(adminUrl: string, token: Secret, stopping: AbortSignal): Promise<RotationSeen> {
  const outMs: Record<string, number> = {};
  let servingMin = Number.POSITIVE_INFINITY;
  let looks = 0;
  for (let lastMs = performance.now(); !stopping.aborted; looks++) {
    const servers = await read(adminUrl, token);
    const nowMs = performance.now();
    servingMin = Math.min(servingMin, servers.filter(isServing).length);
    for (const { name, rotation } of servers)
      outMs[name] = (outMs[name] ?? 0) + (rotation === 'in' ? 0 : nowMs - lastMs);
    lastMs = nowMs;
    await sleep(intervalMs, undefined, { signal: stopping }).catch(() => {});
  }
  return { servingMin, outMs, looks };
}

interface Server {
  readonly name: string;
  readonly rotation: string;
  readonly health: string;
  readonly weight: number;
}

const isServing = ({ rotation, health, weight }: Server): boolean =>
  rotation === 'in' && weight > 0 && (health === 'up' || health === 'unchecked');

async function read(adminUrl: string, token: Secret): Promise<readonly Server[]> {
  const answer = await fetch(`${adminUrl}/servers`, {
    headers: { authorization: `Bearer ${token.reveal()}` },
  });
  if (!answer.ok) throw new Error(`the balancer answered ${answer.status} to GET /servers`);
  return ((await answer.json()) as { servers: readonly Server[] }).servers;
}
