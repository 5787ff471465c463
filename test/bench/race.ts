import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { TrafficOptions, TrafficReport } from '../../src/sandbox/traffic.ts';
import { startTrafficProcess } from '../../src/sandbox/traffic-process.ts';
import { eventsOfType } from '../lab/events.ts';
import { ansible } from './contenders/ansible.ts';
import { capistrano } from './contenders/capistrano.ts';
import type { Contender } from './contenders/contender.ts';
import { floor } from './contenders/floor.ts';
import { rolling, together } from './contenders/sluice.ts';
import { type Fleet, type FleetSite, healthUrl } from './fleet.ts';
import type { SshCounts } from './ssh-counts.ts';
import { type TimedRun, timedRun } from './timed-run.ts';

export const contenders: readonly Contender[] = [floor, together, rolling, capistrano, ansible];

/** One deploy by one contender. */
export interface Lap extends SshCounts, Omit<TimedRun, 'stdout'> {
  readonly contender: Contender['name'];
  readonly round: number;
  /** Of clients that asked all the while; null where there is no balancer to ask. */
  readonly traffic: Pick<TrafficReport, 'requests' | 'failed' | 'failures'> | null;
  /** From sluice's own report, for each node; null for all others. */
  readonly outSeconds: readonly number[] | null;
  /** From sluice's own report: how long the steps of each kind took in all. */
  readonly stepSeconds: Readonly<Record<string, number>> | null;
}

/**
 * Each contender deploys each version, in turn, to a site that is up. Before round 1 each deploys once without being
 * timed, so that what they keep between runs (mirrors, connections) is there. Rejects as soon as one of them fails.
 */
export async function race(fleet: Fleet, rounds: number, onLap: (lap: Lap) => void): Promise<readonly Lap[]> {
  for (const contender of contenders) {
    const site = fleet.sites[contender.name];
    await floor.furnish(site);
    await deployed(floor, site);
    await contender.furnish(site);
  }
  const laps: Lap[] = [];
  for (let round = 0; round <= rounds; round++) {
    const revision = await fleet.blog.nextVersion();
    for (const contender of contenders) {
      const lap = await run(fleet, contender, { round, revision });
      if (round > 0) laps.push(lap);
      onLap(lap);
    }
  }
  return laps;
}

interface Turn {
  readonly round: number;
  readonly revision: string;
}

async function run(fleet: Fleet, contender: Contender, { round, revision }: Turn): Promise<Lap> {
  const site = fleet.sites[contender.name];
  // What the one before has written is on the disk, and not in this one's way.
  await promisify(execFile)('sync');
  await fleet.sshCounts();
  const [{ stdout, ...usage }, traffic] = await underTraffic(site, () => deployed(contender, site));
  const counts = await fleet.sshCounts();
  await mustBeLive(site, revision);
  await contender.tidy?.(site);
  return { contender: contender.name, round, ...usage, ...counts, traffic, ...reported(stdout) };
}

const deployed = (contender: Contender, site: FleetSite): Promise<TimedRun> =>
  timedRun(contender.command(site), { cwd: site.folder, home: site.operator.home });

async function underTraffic<T>(
  { balancer }: FleetSite,
  work: () => Promise<T>,
): Promise<readonly [T, TrafficReport | null]> {
  if (!balancer) return [await work(), null];
  const traffic = await startTrafficProcess(lightly(balancer.url));
  const [done] = await Promise.allSettled([work()]);
  const report = await traffic.stop();
  if (done.status === 'rejected') throw done.reason;
  return [done.value, report];
}

const lightly = (url: string): TrafficOptions => ({
  url,
  workers: 4,
  pauseMs: 40,
  paths: ['/health', '/readme.html', '/wp-includes/js/jquery/jquery.min.js'],
  lateMs: 5000,
});

async function mustBeLive(site: FleetSite, revision: string): Promise<void> {
  for (const node of site.nodes) {
    const page = await waitFor(healthUrl(site, node), revision);
    if (!page.includes(revision))
      throw new Error(`${site.name} ended well, but ${node.name} does not serve ${revision}: ${page}`);
  }
}

/** Whoever does not check has only asked for the restart when it ends. */
async function waitFor(url: string, revision: string): Promise<string> {
  for (let asked = 1; ; asked++) {
    const page = await fetch(url, { headers: { connection: 'close' } }).then(
      (response) => response.text(),
      String,
    );
    if (page.includes(revision) || asked === 50) return page;
    await sleep(20);
  }
}

function reported(stdout: string): Pick<Lap, 'outSeconds' | 'stepSeconds'> {
  const [ended] = eventsOfType({ stdout }, 'run-ended');
  if (!ended) return { outSeconds: null, stepSeconds: null };
  const steps: Record<string, number> = {};
  for (const { step, tookMs } of eventsOfType({ stdout }, 'step-done'))
    steps[step.kind] = (steps[step.kind] ?? 0) + tookMs / 1000;
  const out = (ended.report.nodes ?? []).flatMap(({ outMs }) => (outMs === null ? [] : [outMs / 1000]));
  return { outSeconds: out.length > 0 ? out : null, stepSeconds: steps };
}
