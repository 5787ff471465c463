import type { PoolName } from '../core/node.ts';
import type { BalancerName } from '../core/site.ts';
import type { SimulatedAddress } from './address.ts';
import { type Member, noAnswers } from './balancer.ts';
import { endJob } from './cron.ts';
import { newDisk, newWorker, type SimulatedNode } from './node.ts';
import { revisionOf } from './scenario.ts';
import { isUnderWay } from './session.ts';
import { startWorker } from './workers.ts';
import {
  balancerOf,
  cutRequests,
  endRequest,
  flipMember,
  isInFront,
  isPooled,
  membersOf,
  mistrust,
  moveAddress,
  nodeOf,
  remember,
  rotate,
  type World,
} from './world.ts';

/** Puts the disturbances of the seed's mix on the clock: each at a random time within `withinMs`. */
export function scheduleDisturbances(world: World, withinMs: number): void {
  const { clock, random, faults } = world;
  for (const [name, times] of Object.entries(timesOf(world))) {
    for (let n = 0; n < times; n++) {
      clock.after(random.integer({ min: 0, max: withinMs }), () => {
        if (faults.healedAtMs !== null) return;
        if (disturbances[name as keyof typeof disturbances](world)) faults.strike(name);
      });
    }
  }
}

const timesOf = ({
  unlisted,
  faults: { mix },
  balancers,
  addresses,
}: World): { readonly [K in keyof typeof disturbances]: number } => ({
  reboot: mix.reboots,
  'balancer restart': processesIn({ balancers }).length > 0 ? mix.balancerRestarts : 0,
  flap: mix.flaps,
  'cut off': mix.cutOffs,
  'full disk': mix.fullDisks,
  'operator acts': balancers.length === 0 ? 0 : mix.operatorActs,
  'branch moves': mix.branchMoves,
  pause: mix.pauses,
  'clock jump': mix.clockJumps,
  leave: mix.leaves,
  'node joins': unlisted.size,
  'balancer dies': addresses.length === 0 ? 0 : mix.balancerDeaths,
  'balancer cut off': addresses.length === 0 ? 0 : mix.balancerCutOffs,
  'address moves': addresses.length === 0 ? 0 : mix.addressMoves,
});

/** An address is no process. */
const processesIn = ({ balancers }: Pick<World, 'balancers'>): readonly Member[] =>
  balancers.flatMap(({ capabilities, members }) => (capabilities.flipsOnly ? [] : members));

/** Each says whether it struck: a machine that is down already does not reboot. */
const disturbances = {
  reboot: (world: World): boolean => reboot(world, anyNode(world)),
  'balancer restart': (world: World): boolean => restartMember(world, world.random.pick(processesIn(world))),
  flap(world: World): boolean {
    const node = anyNode(world);
    node.flapsUntilMs = world.clock.passedMs() + world.random.integer({ min: 500, max: 8000 });
    world.tell({ kind: 'fault', node: node.name, what: 'flaps' });
    return true;
  },
  'cut off'(world: World): boolean {
    const node = anyNode(world);
    node.cutOffUntilMs = world.clock.passedMs() + world.random.integer({ min: 500, max: 20_000 });
    world.tell({ kind: 'fault', node: node.name, what: 'is cut off' });
    return true;
  },
  'full disk'(world: World): boolean {
    const node = anyNode(world);
    node.diskFullUntilMs = world.clock.nowMs() + world.random.integer({ min: 1000, max: 20_000 });
    world.tell({ kind: 'fault', node: node.name, what: 'has a full disk' });
    return true;
  },
  /** By hand, at every balancer: takes out one that is in everywhere, or puts back one that a person took out. */
  'operator acts'(world: World): boolean {
    if (isPooled(world) && world.random.chance(0.2)) return flipByHand(world);
    const node = anyNode(world);
    const servers = world.members.map(({ servers }) => servers.get(node.name)!);
    const isIn = servers.every(({ rotation }) => rotation === 'in');
    const isOut = servers.every(({ rotation }) => rotation !== 'in');
    if (!isIn && !(isOut && node.disk.drained.length === 0)) return false;
    for (const member of world.members) {
      if (member.isUp) rotate(world, member, node.name, isIn ? 'out' : 'in', 'operator');
    }
    return true;
  },
  pause(world: World): boolean {
    const session = world.sessions.findLast(isUnderWay);
    if (!session) return false;
    const untilMs = world.clock.passedMs() + world.random.integer({ min: 1000, max: 90_000 });
    session.frozenUntilMs = Math.max(session.frozenUntilMs, untilMs);
    world.tell({ kind: 'fault', node: null, what: `${session.name} stands still` });
    return true;
  },
  /** As when a time server is reached at last, or somebody sets the clock by hand. */
  'clock jump'(world: World): boolean {
    const node = anyNode(world);
    const ms = world.random.integer({ min: 1000, max: 7_200_000 });
    node.skewMs += world.random.chance(0.5) ? ms : -ms;
    world.tell({ kind: 'fault', node: node.name, what: `has its clock set to ${node.skewMs} ms ahead` });
    return true;
  },
  leave(world: World): boolean {
    const node = anyNode(world);
    const gone = [...world.nodes.values()].filter(({ isGone }) => isGone).length;
    if (node.isGone || (gone + 1) * 2 >= world.nodes.size) return false;
    node.isGone = true;
    reboot(world, node);
    return true;
  },
  'node joins'(world: World): boolean {
    const [name] = world.unlisted;
    if (name === undefined) return false;
    world.unlisted.delete(name);
    boot(world, nodeOf(world, name));
    return true;
  },
  'balancer dies': (world: World): boolean => dieAtFront(world, anyOfPair(world)),
  /** It goes on serving visitors, and nobody can ask it or tell it anything. */
  'balancer cut off'(world: World): boolean {
    const name = anyOfPair(world);
    const untilMs = world.clock.passedMs() + world.random.integer({ min: 500, max: 40_000 });
    for (const member of membersOf(world, name)) member.cutOffUntilMs = untilMs;
    world.tell({ kind: 'fault', node: null, what: `${name} is cut off` });
    return true;
  },
  /** Now and then to one that knows nothing of what its process before it was told. */
  'address moves'(world: World): boolean {
    const address = world.random.pick(world.addresses);
    const to = world.random.pick(address.balancers.filter((name) => name !== address.holder));
    if (!isWhole(world, to)) return false;
    if (!world.random.chance(0.5)) {
      moveAddress(world, address, to);
      return true;
    }
    for (const member of membersOf(world, to)) restartMember(world, member);
    world.faults.strike('address to one that starts anew');
    moveOnceUp(world, address, to);
    return true;
  },
  'branch moves'(world: World): boolean {
    world.repository.head = revisionOf(world.random.integer({ min: 1000, max: 9999 }));
    world.tell({ kind: 'fault', node: null, what: `the branch moves to ${world.repository.head}` });
    return true;
  },
} as const;

/** Somebody sends all traffic to the other pool, and does not reach balancers that are down. */
function flipByHand(world: World): boolean {
  const [{ pool } = { pool: null }] = world.members;
  const to = [...world.nodes.values()].find(({ node }) => node.pool !== pool)?.node.pool;
  if (!to) return false;
  for (const member of world.members) if (member.isUp) flipMember(world, member, to, 'operator');
  return true;
}

const anyNode = ({ random, nodes }: World): SimulatedNode => random.pick([...nodes.values()]);

/** What runs is gone; what is on the disk stays; it comes back as `current` says, unless the machine is lost. */
function reboot(world: World, node: SimulatedNode): boolean {
  if (!node.isUp) return false;
  node.isUp = false;
  node.boots++;
  node.isBusy = false;
  cutRequests(world, node);
  for (const job of node.jobs) endJob(world, node, job);
  Object.assign(node.worker, newWorker(null));
  world.tell({ kind: 'fault', node: node.name, what: node.isGone ? 'is lost' : 'reboots' });
  world.clock.after(world.random.integer({ min: 3000, max: 20_000 }), () => boot(world, node));
  return true;
}

export function boot(world: World, node: SimulatedNode): void {
  if (node.isUp || node.isGone || world.unlisted.has(node.name)) return;
  node.isUp = true;
  node.application = {
    release: node.disk.current,
    readyAtMs: world.clock.nowMs() + node.startMs,
    stale: null,
  };
  startWorker(world, node);
  world.tell({ kind: 'fault', node: node.name, what: 'is back' });
}

/** A machine that was lost is found again; or an empty one is built in its place, and takes its name. */
export function bringBack(world: World, node: SimulatedNode, how: 'found' | 'rebuilt'): void {
  node.isGone = false;
  if (how === 'rebuilt') {
    node.disk = newDisk();
    node.changedAtMs = Number.NEGATIVE_INFINITY;
    node.answers.clear();
    world.tell({ kind: 'fault', node: node.name, what: 'is rebuilt' });
    // Whoever built it told the balancers; until something runs there their checks keep visitors away.
    for (const member of world.members) {
      rotate(world, member, node.name, 'in', 'operator');
      mistrust(world, member, node.name);
    }
  }
  boot(world, node);
}

function forget(world: World, member: Member, pool: PoolName): void {
  if (member.pool === pool && member.share === null) return;
  world.faults.strike('forgotten flip');
  flipMember(world, member, pool, 'fault');
}

/**
 * A new process takes its place, and knows of the old one what the balancer lets it. Either the old one cuts off
 * whoever spoke through it, or it serves them to their end, beside the new one.
 */
export function restartMember(world: World, member: Member): boolean {
  if (!member.isUp) return false;
  const { successor } = balancerOf(world, member).capabilities;
  if (successor.requests === 'uncounted' && world.random.fork('reload').chance(0.7)) {
    world.tell({ kind: 'fault', node: null, what: `${member.name} reloads` });
    for (const request of world.requests)
      if (request.member === member) request.leftBehindAtMs ??= world.clock.passedMs();
    for (const server of member.servers.values()) server.sessions = 0;
    beginAnew(world, member);
    return true;
  }
  member.isUp = false;
  world.tell({ kind: 'fault', node: null, what: `${member.name} restarts` });
  for (const request of [...world.requests])
    if (request.member === member) endRequest(world, request, { isCut: true });
  world.clock.after(world.random.integer({ min: 50, max: 2000 }), () => comeUp(world, member));
  return true;
}

/** Its machine is off: whoever waits for the other one to notice gets no answer until the address has moved. */
function dieAtFront(world: World, name: BalancerName): boolean {
  const { clock, random, faults } = world;
  if (!isWhole(world, name)) return false;
  const members = membersOf(world, name);
  faults.strike(isInFront(world, { balancer: name }) ? 'holder dies' : 'passive dies');
  for (const member of members) member.isUp = false;
  world.tell({ kind: 'fault', node: null, what: `${name} dies` });
  for (const request of [...world.requests])
    if (members.includes(request.member)) endRequest(world, request, { isCut: true });
  for (const address of world.addresses) {
    if (address.holder !== name) continue;
    const to = random.pick(address.balancers.filter((other) => other !== name));
    moveOnceUp(world, address, to, random.integer({ min: 300, max: random.chance(0.8) ? 4000 : 25_000 }));
  }
  clock.after(random.integer({ min: 2000, max: 60_000 }), () => {
    for (const member of members) comeUp(world, member);
  });
  return true;
}

/** As soon as it can, unless the one that has it is well again. */
function moveOnceUp(world: World, address: SimulatedAddress, to: BalancerName, afterMs = 100): void {
  const from = address.holder;
  world.clock.after(afterMs, () => {
    if (world.faults.healedAtMs !== null || address.holder !== from) return;
    if (isWhole(world, to)) moveAddress(world, address, to);
    else moveOnceUp(world, address, to);
  });
}

const isWhole = (world: World, balancer: BalancerName): boolean =>
  membersOf(world, balancer).every(({ isUp }) => isUp);

const anyOfPair = ({ random, addresses }: World): BalancerName =>
  random.pick(random.pick(addresses).balancers);

/** Its process begins anew, if it was down. */
export function comeUp(world: World, member: Member): void {
  if (member.isUp) return;
  member.isUp = true;
  beginAnew(world, member);
  world.tell({ kind: 'fault', node: null, what: `${member.name} is back` });
}

function beginAnew(world: World, member: Member): void {
  const { successor, flip } = balancerOf(world, member).capabilities;
  member.restarts++;
  member.replacedAtMs = world.clock.passedMs();
  if (flip === 'forgotten' && member.ownPool !== null) forget(world, member, member.ownPool);
  for (const server of member.servers.values()) {
    if (successor.rotation === 'forgotten') {
      rotate(world, member, server.node, 'in', 'fault');
      server.weight = 100;
    }
    Object.assign(server, { health: 'up', answers: noAnswers });
  }
  member.past.length = 0;
  remember(world, member);
}
