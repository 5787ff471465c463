import { note } from '../commands/note.ts';
import { count, isDeployError, list } from '../core/errors.ts';
import type { NodeName } from '../core/node.ts';
import { type AddressState, hasWeight, livePool, type ServerState } from '../core/observation.ts';
import type { BalancerView, RotationChange } from '../ports.ts';
import { askOnceMore, holdersBeside } from './absence.ts';
import { isReplaced } from './in-flight.ts';
import { readAddresses, readBalancers, unreachableMember } from './observe.ts';
import { type Absence, emit, fenceFor, interruption, nodeOf, onHeld, type Run } from './run.ts';
import { tellForgotten } from './settle/again.ts';
import { noteStray } from './settle/drained.ts';
import { failoverMs, pauseAfter, readAll } from './settle/look.ts';

/**
 * A look at what stands in front of the nodes, before and after each step that changes nodes or their rotation: who holds
 * the floating addresses, which balancers are back, and whether one started anew. Where something changed, it is said, and what the run has
 * told the balancers is told again before anything goes on. Throws `BALANCER_UNREACHABLE` if an address is no longer
 * seen at a balancer that can be reached while another is absent. Does nothing for a site without floating addresses.
 */
export async function lookInFront(run: Run): Promise<void> {
  if (run.ports.addresses.length === 0) return;
  await welcomeBack(run);
  const [addresses, view] = await Promise.all([
    readAddresses(run.ports, run.signal),
    readBalancers(run.ports, run.signal),
  ]);
  if (run.signal.aborted) throw interruption(run.signal);
  const changes = [...addressChanges(run, await heldInSight(run, addresses)), ...restarts(run, view)];
  for (const text of changes) say(run, `${text} What this run changed is read, and told again.`);
  if (changes.length > 0) await tellForgotten(run, [...run.drained.keys()]).catch(mustBeUnreachable);
}

/** Balancers that answer again are told what they missed: one of them may get the traffic at any moment. */
export async function welcomeBack(run: Run): Promise<void> {
  for (const absence of [...run.absences.values()]) if (absence.isBack) await welcome(run, absence);
}

/**
 * A last look, before the end is read: who came back is told, also after a signal, and who did not is said. A run that lost
 * its lock tells nobody anything.
 */
export async function lookAtEnd(run: Run): Promise<void> {
  await askOnceMore(run.absences);
  const calm: Run = isDeployError(run.signal.reason) ? run : { ...run, signal: new AbortController().signal };
  for (const absence of [...run.absences.values()]) {
    if (absence.isBack && !calm.signal.aborted)
      await welcome(calm, absence).catch((error: unknown) => mustBeExpected(error));
    const { name } = absence.balancer;
    if (run.absences.has(name))
      run.warnings.push(
        `${name} was not reached to the end, and was told nothing: before it takes traffic again, compare it (sluice balancers).`,
      );
  }
}

function mustBeExpected(error: unknown): void {
  if (!isDeployError(error)) throw error;
}

/** A balancer that cannot be reached stops the steps that need it, as it would have without this look. */
function mustBeUnreachable(error: unknown): void {
  if (!isDeployError(error, 'BALANCER_UNREACHABLE')) throw error;
}

const say = ({ ports }: Run, text: string): void => emit(ports, { type: 'note', level: 'info', text });

/** The addresses, once each that an absent balancer could hold is seen at another; it may be on its way for a moment. */
async function heldInSight(run: Run, first: readonly AddressState[]): Promise<readonly AddressState[]> {
  const { clock } = run.ports;
  const startMs = clock.nowMs();
  for (let addresses = first; ; addresses = await readAddresses(run.ports, run.signal)) {
    const unsure = [...run.absences.values()].find(({ balancer }) => {
      const active = holdersBeside(balancer.name, run.ports, addresses);
      return active === null || active.some((name) => run.absences.has(name));
    });
    if (unsure === undefined) return addresses;
    const passedMs = clock.nowMs() - startMs;
    if (passedMs >= failoverMs) throw unseen(unsure);
    await clock.sleep(pauseAfter(passedMs), run.signal);
    if (run.signal.aborted) throw interruption(run.signal);
  }
}

const unseen = ({ balancer, why }: Absence): Error =>
  unreachableMember({
    balancer: balancer.name,
    member: balancer.name,
    unreachable: `${why.replace(/\.$/, '')}; and its address is not seen at one other balancer`,
    incarnation: '',
    pool: null,
  });

function addressChanges(run: Run, addresses: readonly AddressState[]): readonly string[] {
  return addresses.flatMap(({ address, ip, holders }) => {
    const before = run.holders.get(address);
    run.holders.set(address, holders);
    return before === undefined || before.join() === holders.join()
      ? []
      : [`Address ${address} (${ip}) moved from ${list(before)} to ${list(holders)}.`];
  });
}

/** Members whose process is another than before. One that cannot be read is met by the steps that need it. */
const restarts = (run: Run, { members }: BalancerView): readonly string[] =>
  members
    .filter((member) => member.unreachable === null && isReplaced(run, member))
    .map(({ balancer, member }) => `Balancer ${balancer} started anew (${member}).`);

/** Brings a balancer that is back to what the others have, as far as this run changed that; from then on it counts again. */
async function welcome(run: Run, { balancer }: Absence): Promise<void> {
  const [own, others] = await Promise.all([balancer.observe(run.signal), readAll(run)]);
  if (own.members.some(({ unreachable }) => unreachable !== null)) return;
  const missed = own.servers.flatMap((server) => missedBy(run, server, others.servers));
  await writeMissed(run, missed, 'before');
  const told = missed.map(
    ({ server, to }): RotationChange => ({ node: server.node, server: server.server, to }),
  );
  // Who comes in does so first: it may have the address by now.
  for (const part of [told.filter(({ to }) => to === 'in'), told.filter(({ to }) => to !== 'in')])
    if (part.length > 0) await balancer.change(part, run.signal);
  const weights = own.servers.flatMap((server) => weightMissed(server, others.servers));
  if (weights.length > 0 && balancer.capabilities.weights === 'server')
    await balancer.shift(weights, run.signal);
  const pool = livePool({ ...run.observed, balancers: others.members });
  const flips = pool !== null && own.members.some((member) => member.pool !== null && member.pool !== pool);
  if (flips) await balancer.flip(pool, run.signal);
  await writeMissed(run, missed, 'after');
  // Only now is it seen what it still has in flight there.
  for (const { node, to } of told) if (to !== 'in') noteStray(run, node);
  run.absences.delete(balancer.name);
  const what = [
    ...told.map(({ node, to }) => `${node} ${to}`),
    ...(weights.length > 0 ? [count(weights.length, 'weight')] : []),
    ...(flips ? [`pool ${pool}`] : []),
  ];
  say(run, `Balancer ${balancer.name} is back, and was told what it missed: ${list(what)}.`);
}

interface Missed {
  readonly server: ServerState;
  readonly to: RotationChange['to'];
}

/**
 * A node that this run has out at the others is to be out here; one that it had out here, and that is in at the others, is to come
 * in. Everything else is an operator's.
 */
function missedBy(run: Run, server: ServerState, others: readonly ServerState[]): readonly Missed[] {
  const drained = run.drained.get(server.node) ?? [];
  const peers = others.filter(({ node }) => node === server.node);
  const out = peers.find((peer) => peer.rotation !== 'in' && drained.includes(peer.server));
  if (out) return server.rotation === 'in' ? [{ server, to: out.rotation }] : [];
  const isOurs = drained.includes(server.server) && peers.some(({ rotation }) => rotation === 'in');
  return isOurs ? [{ server, to: 'in' }] : [];
}

const weightMissed = (server: ServerState, others: readonly ServerState[]) => {
  const peer = others.find(({ node }) => node === server.node);
  return peer === undefined || hasWeight(server, peer.weight)
    ? []
    : [{ node: server.node, server: server.server, to: Math.round(peer.weight) }];
};

/** What goes out is written on its node first, what came in last: whoever comes after a crash then knows. */
async function writeMissed(run: Run, missed: readonly Missed[], when: 'before' | 'after'): Promise<void> {
  const nodes = new Map<NodeName, readonly string[]>();
  for (const { server, to } of missed) {
    if ((to === 'in') !== (when === 'after')) continue;
    const had = nodes.get(server.node) ?? run.drained.get(server.node) ?? [];
    const without = had.filter((name) => name !== server.server);
    nodes.set(server.node, to === 'in' ? without : [...without, server.server]);
  }
  for (const [name, servers] of nodes) {
    await onHeld(run, nodeOf(run.site, name), note(fenceFor(run, name), servers));
    run.drained.set(name, servers);
  }
}
