import { setTimeout as sleep } from 'node:timers/promises';
import type { Traffic, TrafficOptions } from '../../src/sandbox/traffic.ts';
import { startTrafficProcess } from '../../src/sandbox/traffic-process.ts';
import { answerEnd } from './application.ts';
import type { LabBalancer } from './balancer.ts';

/**
 * Clients of a site in a process of their own: quick ones, which rest between two questions as people do, and slow ones with a
 * request in flight at all times. Where a number counts, `rapid` ones see to it. An answer is lost after `lateMs`: what was sent to a
 * machine that stood still comes late, and so does what is read by a client that did.
 */
export const clients = (
  balancer: Pick<LabBalancer, 'url'>,
  {
    workers = 8,
    slow = 4,
    slowMs = 3000,
    pauseMs = 10,
    lateMs = 20_000,
    rapid = 0,
    perSecond = Number.POSITIVE_INFINITY,
    uploads = 0,
    webSockets = 0,
    keepAlive = 'mixed' as NonNullable<TrafficOptions['keepAlive']>,
  } = {},
  through: readonly string[] = [],
): Promise<Traffic> =>
  startTrafficProcess(
    {
      url: balancer.url,
      workers,
      pauseMs,
      paths: ['/', '/health'],
      lateMs,
      slow: { path: `/slow?ms=${slowMs}`, workers: slow, lateMs: slowMs + lateMs },
      rapid: { path: '/', workers: rapid, ...(Number.isFinite(perSecond) && { perSecond }) },
      uploads: { path: '/upload', workers: uploads, bytes: 200_000, overMs: slowMs },
      webSockets: { path: '/echo', workers: webSockets },
      keepAlive,
      bodyEnd: answerEnd,
    },
    through,
  );

export interface RotationWatch {
  stop(): Promise<{ readonly fewestUp: number; readonly left: readonly string[] }>;
}

/** Reads the balancer all the time: the fewest servers that were up at once, and all that ever were not. */
export function watchRotation(balancer: LabBalancer): RotationWatch {
  const left = new Set<string>();
  let fewestUp = Number.POSITIVE_INFINITY;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      const servers = Object.entries(await balancer.rotation());
      const idle = servers.filter(([, status]) => !status.startsWith('UP')).map(([name]) => name);
      for (const name of idle) left.add(name);
      fewestUp = Math.min(fewestUp, servers.length - idle.length);
      await sleep(20);
    }
  })();
  return {
    async stop() {
      isOver = true;
      await watching;
      return { fewestUp, left: [...left].sort() };
    },
  };
}
