import type { Site } from '../core/site.ts';
import type { Step } from '../core/step.ts';
import type { Ports } from '../ports.ts';
import { byHand } from './by-hand.ts';
import { executeSteps } from './execute.ts';
import { observe } from './observe.ts';
import { refuseLocked } from './preflight.ts';
import { presentNodes } from './run.ts';

export interface MaintenanceRequest {
  readonly to: 'on' | 'off';
  /** For those who ask the status; null: none was given. */
  readonly reason: string | null;
  /** Although most of those that vote cannot be locked. */
  readonly withoutQuorum: boolean;
  readonly signal: AbortSignal;
}

/**
 * Turns visitors away by hand, or lets them in again whoever had turned them away. What is set so is an operator's: no run
 * lifts it. Takes the lock of the nodes that can be reached, and warns of the others. Rejects with what stood in the way.
 */
export async function maintain(site: Site, ports: Ports, request: MaintenanceRequest): Promise<void> {
  const { to, reason: why, withoutQuorum: force, signal } = request;
  const first = await observe(site, ports, signal);
  refuseLocked(first);
  const word = why === null ? '' : `: ${why}`;
  const reason = `maintenance ${to} by hand${word}`;
  await byHand(site, ports, { first, reason, force, flag: '--without-quorum', signal }, async (run) => {
    const nodes = presentNodes(run).map(({ name }) => name);
    for (const { name } of site.nodes.filter((node) => !nodes.includes(node.name)))
      run.warnings.push(`${name} cannot be reached: nobody knows whether visitors are turned away there.`);
    const step: Step = { kind: 'maintenance', nodes, to, text: `${ports.operator.name}${word}` };
    return (await executeSteps([step], run))?.error ?? null;
  });
}
