import { breakLock } from '../commands/lock.ts';
import { isDeployError } from '../core/errors.ts';
import { isoTime } from '../core/instant.ts';
import type { Node, NodeName } from '../core/node.ts';
import type { LockState } from '../core/observation.ts';
import type { Site } from '../core/site.ts';
import type { Ports } from '../ports.ts';
import { nodeOf, onNode } from './run.ts';
import { witnessesOf } from './witnesses.ts';

export interface HeldLock {
  readonly node: NodeName;
  readonly lock: LockState;
}

export interface Unlocked {
  readonly broken: readonly HeldLock[];
  /** Nodes whose lock may still be there, and why. */
  readonly failed: readonly { readonly node: NodeName; readonly reason: string }[];
}

/**
 * Takes these locks from whoever holds them, and writes down why; the run that held one changes nothing any more. A lock
 * that another run has taken meanwhile stays: it is not the one that was looked at.
 */
export async function unlock(
  site: Site,
  ports: Ports,
  { locks, reason }: { readonly locks: readonly HeldLock[]; readonly reason: string },
): Promise<Unlocked> {
  const results = await Promise.allSettled(
    locks.map(({ node, lock }) => {
      const text = `lock of ${lock.holder} (${lock.reason}) broken by ${ports.operator.name}: ${reason}`;
      const line = JSON.stringify({ at: isoTime(ports.clock.nowMs()), run: lock.run, text });
      return onNode(ports, machineOf(site, ports, node), breakLock(site.deployTo, lock.run, line));
    }),
  );
  const failed = results.flatMap((result, index) => {
    if (result.status === 'fulfilled') return [];
    if (!isDeployError(result.reason)) throw result.reason;
    return [{ node: locks[index]!.node, reason: result.reason.message }];
  });
  const broken = locks.filter((_, index) => {
    const result = results[index]!;
    return result.status === 'fulfilled' && result.value;
  });
  return { broken, failed };
}

const machineOf = (site: Site, ports: Ports, name: NodeName): Node =>
  witnessesOf(site, ports).find((witness) => witness.name === name) ?? nodeOf(site, name);
