import type { Event } from '../core/event.ts';
import type { Ports } from '../ports.ts';
import { addressTwin } from './address-port.ts';
import { balancerTwin } from './balancer-port.ts';
import { httpTwin } from './http-port.ts';
import type { SeededRandom } from './random.ts';
import type { Session } from './session.ts';
import { operatorTwin, sourceTwin, spoolTwin } from './source-port.ts';
import { transportTwin } from './transport-port.ts';
import { type Wire, whenAwake } from './wire.ts';
import { currentOf, type World } from './world.ts';

/** The ports of one call of the engine, onto the world. `random` is the engine's own chance. */
export function portsOf(world: World, session: Session, random: SeededRandom): Ports {
  const wire: Wire = { world, session };
  return {
    clock: {
      nowMs: world.clock.nowMs,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          void world.clock.sleep(ms, signal).then(() =>
            whenAwake(wire, () => {
              if (!session.isDead) resolve();
            }),
          );
        }),
    },
    random: { hex: random.hex },
    transport: transportTwin(wire),
    balancers: world.balancers.map((balancer) => balancerTwin(wire, balancer)),
    addresses: world.addresses.map((address) => addressTwin(wire, address)),
    source: sourceTwin(wire),
    spool: spoolTwin,
    http: httpTwin(wire),
    operator: operatorTwin(wire),
    emit: (event) => hear(wire, event),
  };
}

/** What the engine says of itself tells whose step an effect belongs to. */
function hear({ world, session }: Wire, event: Event): void {
  switch (event.type) {
    case 'run-started':
      session.run = event.run;
      session.runs.add(event.run);
      return;
    case 'planned':
    case 'recovering':
      session.plan = event.plan;
      session.release = event.plan.target.release;
      session.plannedAtMs = Math.min(session.plannedAtMs, world.clock.passedMs());
      world.tell({ kind: 'planned', session, plan: event.plan, goesBack: event.type === 'recovering' });
      return;
    case 'left-out':
      for (const node of event.nodes) session.leftOut.add(node);
      return;
    case 'locked':
      if (session.before.size === 0) session.before = currentOf(world);
      return;
    case 'step-started':
      session.step = event.step;
      world.tell({ kind: 'step', session, step: event.step, state: 'begins' });
      return;
    case 'step-done':
      world.tell({ kind: 'step', session, step: event.step, state: 'done' });
      return;
    case 'step-failed':
      world.tell({ kind: 'step', session, step: event.step, state: 'fails' });
      world.tell({ kind: 'call', session, text: `step fails: ${event.failure.message}` });
      return;
    default:
      return;
  }
}
