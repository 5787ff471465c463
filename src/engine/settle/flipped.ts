import { assert } from '../../core/assert.ts';
import { failure, messageOf } from '../../core/errors.ts';
import type { PoolName } from '../../core/node.ts';
import { poolNodes, servingNodes } from '../../core/observation.ts';
import { aimsOf } from '../../core/target.ts';
import type { Balancer, BalancerView } from '../../ports.ts';
import { patienceMs } from '../observe.ts';
import type { Run } from '../run.ts';
import { readWhole, seenBy, seenText, stillHeld, until } from './look.ts';
import { inTurn, noteKnowing } from './tell.ts';

export interface Flipped {
  readonly balancers: number;
  /** From the first word to the first balancer until the last one had taken it: they differed no longer. */
  readonly withinMs: number;
}

/**
 * Sends all new requests, or a share of them in percent, to the pool once every balancer finds its nodes healthy: one change at each balancer, those that hold
 * no floating address first, and read back. If one refuses, those that took it are flipped back. Throws `POOL_NOT_READY`, `POOL_IDLE`, the
 * first refusal, or `FLIP_NOT_APPLIED`.
 */
export async function flipTo(run: Run, to: PoolName, share?: number): Promise<Flipped> {
  const { clock } = run.ports;
  const wanted = { to, ...(share === undefined ? {} : { share }) };
  run.flipped = null;
  const before = await awaitPool(run, to);
  const startMs = clock.nowMs();
  try {
    await inTurn(run, (balancer) => turnTo(balancer, wanted));
    const withinMs = clock.nowMs() - startMs;
    const { members } = await until(run, patienceMs, null, () => readWhole(run.ports));
    const stray = members.filter(({ pool }) => pool !== shownAs(wanted));
    if (stray.length > 0)
      throw failure('FLIP_NOT_APPLIED', { pool: to, seen: aimsOf({ ...run.observed, balancers: stray }) });
    run.flipped = wanted;
    noteKnowing(run, members);
    return { balancers: members.length, withinMs };
  } catch (error) {
    await unflip(run, before, to);
    throw error;
  }
}

type Flip = NonNullable<Run['flipped']>;

export function turnTo(balancer: Balancer, { to, share }: Flip): Promise<void> {
  if (share === undefined) return balancer.flip(to);
  assert(balancer.share, `balancer ${balancer.name} can share, or the plan was refused`);
  return balancer.share(to, share);
}

/** What a balancer then says of itself: one that shares names no one pool. */
export const shownAs = ({ to, share }: Flip): PoolName | null => (share === undefined ? to : null);

/** A look at all balancers, by a run that holds the pool's nodes, that shows every one of them healthy. */
function awaitPool(run: Run, to: PoolName): Promise<BalancerView> {
  const withinMs = run.site.drain.enableTimeoutMs;
  const nodes = poolNodes(run.observed, to);
  return until(run, withinMs, run.signal, async (passedMs) => {
    await stillHeld(run, nodes);
    const view = await readWhole(run.ports);
    const idle = view.servers.filter(
      ({ node, rotation, health }) =>
        nodes.includes(node) && rotation === 'in' && !['up', 'unchecked'].includes(health),
    );
    if (idle.length > 0) {
      if (passedMs < withinMs) return null;
      throw failure('POOL_NOT_READY', { pool: to, withinMs, seen: idle.map(seenText).join(', ') });
    }
    guardCapacity(run, view, to);
    return view;
  });
}

/** How many nodes serve once all requests go to the pool. */
const servingIf = (run: Run, view: BalancerView, pool: PoolName): number =>
  servingNodes(seenBy(run, { ...view, members: view.members.map((member) => ({ ...member, pool })) })).length;

/** Throws `POOL_IDLE` if the pool would serve with nobody, or with fewer than the floor where more serve now. */
export function guardCapacity(run: Run, view: BalancerView, to: PoolName): void {
  const [had, serving] = [servingNodes(seenBy(run, view)).length, servingIf(run, view, to)];
  const { servingMin } = run.site;
  if (serving === 0 || (serving < servingMin && serving < had))
    throw failure('POOL_IDLE', { pool: to, serving, servingMin });
}

/**
 * Each balancer back to where it was; where that pool holds less than the floor, and the new one more, all are told once
 * more instead. One that does not follow is a warning, and what is so is read at the end.
 */
async function unflip(run: Run, view: BalancerView, to: PoolName): Promise<void> {
  const had = servingNodes(seenBy(run, view)).length;
  const goesBack = had > 0 && had >= Math.min(run.site.servingMin, servingIf(run, view, to));
  const results = await Promise.allSettled(
    run.ports.balancers.map(async (balancer) => {
      const before = view.members.find((member) => member.balancer === balancer.name)?.pool ?? null;
      if (before !== null) await balancer.flip(goesBack ? before : to);
    }),
  );
  for (const result of results)
    if (result.status === 'rejected')
      run.warnings.push(`The flip could not be taken back everywhere: ${messageOf(result.reason)}`);
}
