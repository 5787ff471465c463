import { type DeployError, failure } from '../../core/errors.ts';
import type { NodeName } from '../../core/node.ts';
import { hasWeight, type ServerState } from '../../core/observation.ts';
import { patienceMs } from '../observe.ts';
import { capabilitiesOf, type Run } from '../run.ts';
import { lookHeld, nodesOf, readWhole, until } from './look.ts';
import { noteKnowing, tell } from './tell.ts';

export interface Weights {
  readonly nodes: readonly NodeName[];
  /** What each server is to have, in percent. */
  readonly weightOf: (server: ServerState) => number;
}

/**
 * Sets the weights of servers where they are others, and reads them back. Each time one is lowered it is looked first
 * whether the floor holds: throws `FLOOR_AT_RISK`. A balancer that restarts is given a moment.
 */
export async function setWeights(run: Run, { nodes, weightOf }: Weights): Promise<void> {
  if (nodes.length === 0) return;
  await until(run, patienceMs, run.signal, async (passedMs) => {
    const other = (servers: readonly ServerState[]) =>
      servers.filter(
        (server) =>
          nodes.includes(server.node) &&
          capabilitiesOf(run.ports, server.balancer).weights === 'server' &&
          !hasWeight(server, weightOf(server)),
      );
    const { members, servers } = await readWhole(run.ports);
    const found = other(servers);
    if (found.length === 0) {
      noteKnowing(run, members);
      return true;
    }
    if (passedMs >= patienceMs) throw unapplied(found[0]!, weightOf(found[0]!));
    const lowered = found.filter((server) => weightOf(server) < server.weight);
    const wrong = lowered.length > 0 ? other((await lookHeld(run, nodesOf(lowered))).servers) : found;
    await tell(run, wrong, (balancer, own) =>
      balancer.shift(
        own.map((server) => ({ node: server.node, server: server.server, to: weightOf(server) })),
      ),
    );
    return null;
  });
}

const unapplied = ({ balancer, server, weight }: ServerState, wanted: number): DeployError =>
  failure('BALANCER_NOT_APPLIED', {
    balancer,
    server,
    wanted: `weight ${wanted} %`,
    seen: `weight ${weight} %`,
  });
