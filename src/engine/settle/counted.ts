import type { Counted } from '../../core/counts.ts';
import { patienceMs } from '../observe.ts';
import { interruption, type Run } from '../run.ts';

/** What all members have counted; one that restarts is given a moment. */
export async function countAll(run: Run): Promise<Counted> {
  const { clock, balancers } = run.ports;
  const counting = balancers.filter(({ capabilities }) => capabilities.counters);
  const deadlineMs = clock.nowMs() + patienceMs;
  for (;;) {
    const counted = await Promise.all(counting.map((balancer) => balancer.count(run.signal)));
    const members = counted.flatMap((one) => one.members);
    const isWhole = members.every(({ unreachable }) => unreachable === null);
    if (isWhole || clock.nowMs() >= deadlineMs)
      return { members, servers: counted.flatMap(({ servers }) => servers) };
    await clock.sleep(500, run.signal);
    if (run.signal.aborted) throw interruption(run.signal);
  }
}
