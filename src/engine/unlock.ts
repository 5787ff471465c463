import { breakLock } from '../commands/lock.ts';
import { failure } from '../core/errors.ts';
import { isoTime } from '../core/instant.ts';
import type { NodeName } from '../core/node.ts';
import type { LockState } from '../core/observation.ts';
import type { Site } from '../core/site.ts';
import type { Ports } from '../ports.ts';
import { observe } from './observe.ts';
import { nodeOf, onNode } from './run.ts';

export interface BrokenLock {
  readonly node: NodeName;
  readonly lock: LockState;
}

/**
 * Takes the lock from whoever holds it, on every node, and writes down why. The run that held it changes nothing any
 * more. Throws `NOT_LOCKED` if there is none.
 */
export async function unlock(
  site: Site,
  ports: Ports,
  { reason }: { readonly reason: string },
): Promise<readonly BrokenLock[]> {
  const { nodes } = await observe(site, ports);
  const held = Object.values(nodes).flatMap(({ name, lock }) => (lock ? [{ node: name, lock }] : []));
  if (held.length === 0) throw failure('NOT_LOCKED', {});
  const results = await Promise.all(
    held.map(async ({ node, lock }) => {
      const text = `lock of ${lock.holder} (${lock.reason}) broken by ${ports.operator.name}: ${reason}`;
      const line = JSON.stringify({ at: isoTime(ports.clock.nowMs()), run: lock.run, text });
      return {
        node,
        lock,
        broken: await onNode(ports, nodeOf(site, node), breakLock(site.deployTo, lock.run, line)),
      };
    }),
  );
  return results.filter(({ broken }) => broken).map(({ node, lock }) => ({ node, lock }));
}
