import type { AddressState } from '../core/observation.ts';
import type { AddressName, BalancerName } from '../core/site.ts';
import type { FloatingAddress } from '../ports.ts';
import type { SimulatedAddress } from './address.ts';
import { isReachable } from './balancer.ts';
import { exchange, latencyMs, type Wire } from './wire.ts';
import { membersOf, type World } from './world.ts';

/** An address's driver: each machine is asked, and one that does not answer may hold it or not. */
export const addressTwin = (wire: Wire, { name, balancers }: SimulatedAddress): FloatingAddress => ({
  name,
  ip,
  machines: balancers,
  holders(signal) {
    const { world, session } = wire;
    const question = { text: `reads ${name}`, signal, onAbort, timeout: null };
    return exchange<AddressState>(wire, question, (reply) => {
      world.clock.after(latencyMs(world), () => {
        const atMs = world.clock.passedMs();
        reply.ok(stateOf(world, name), latencyMs(world), () => session.looks.set(name, atMs));
      });
    });
  },
  move: null,
});

const ip = '192.0.2.10';

const onAbort = (signal: AbortSignal): unknown => signal.reason;

function stateOf(world: World, name: AddressName): AddressState {
  const { balancers, holder } = world.addresses.find((address) => address.name === name)!;
  const isAsked = (balancer: BalancerName): boolean =>
    membersOf(world, balancer).every((member) => isReachable(member, world.clock.passedMs()));
  return {
    address: name,
    ip,
    holders: [holder].filter(isAsked),
    unasked: balancers
      .filter((balancer) => !isAsked(balancer))
      .map((machine) => ({ machine, reason: `${machine} does not answer` })),
  };
}
