import { type Member, noAnswers } from './balancer.ts';
import type { SimulatedNode } from './node.ts';
import { revisionOf } from './scenario.ts';
import { isUnderWay } from './session.ts';
import { cutRequests, endRequest, remember, rotate, type World } from './world.ts';

/** Puts the disturbances of the seed's mix on the clock: each at a random time within `withinMs`. */
export function scheduleDisturbances(world: World, withinMs: number): void {
  const { clock, random, faults } = world;
  for (const [name, times] of Object.entries(timesOf(world))) {
    for (let n = 0; n < times; n++) {
      clock.after(random.integer({ min: 0, max: withinMs }), () => {
        if (faults.isHealed) return;
        faults.strike(name);
        disturbances[name as keyof typeof disturbances](world);
      });
    }
  }
}

const timesOf = ({
  faults: { mix },
  balancers,
}: World): { readonly [K in keyof typeof disturbances]: number } => ({
  reboot: mix.reboots,
  'balancer restart': balancers.length === 0 ? 0 : mix.balancerRestarts,
  flap: mix.flaps,
  'cut off': mix.cutOffs,
  'full disk': mix.fullDisks,
  'operator acts': balancers.length === 0 ? 0 : mix.operatorActs,
  'branch moves': mix.branchMoves,
  pause: mix.pauses,
});

const disturbances = {
  reboot: (world: World): void => reboot(world, anyNode(world)),
  'balancer restart': (world: World): void => restartMember(world, world.random.pick(world.members)),
  flap(world: World): void {
    const node = anyNode(world);
    node.flapsUntilMs = world.clock.passedMs() + world.random.integer({ min: 500, max: 8000 });
    world.tell({ kind: 'fault', node: node.name, what: 'flaps' });
  },
  'cut off'(world: World): void {
    const node = anyNode(world);
    node.cutOffUntilMs = world.clock.passedMs() + world.random.integer({ min: 500, max: 20_000 });
    world.tell({ kind: 'fault', node: node.name, what: 'is cut off' });
  },
  'full disk'(world: World): void {
    const node = anyNode(world);
    node.diskFullUntilMs = world.clock.nowMs() + world.random.integer({ min: 1000, max: 20_000 });
    world.tell({ kind: 'fault', node: node.name, what: 'has a full disk' });
  },
  /** By hand, at every balancer: takes out one that is in everywhere, or puts back one that a person took out. */
  'operator acts'(world: World): void {
    const node = anyNode(world);
    const servers = world.members.map(({ servers }) => servers.get(node.name)!);
    const isIn = servers.every(({ rotation }) => rotation === 'in');
    const isOut = servers.every(({ rotation }) => rotation === 'out');
    if (!isIn && !(isOut && node.disk.drained.length === 0)) return;
    for (const member of world.members) {
      if (member.isUp) rotate(world, member, node.name, isIn ? 'out' : 'in', 'operator');
    }
  },
  pause(world: World): void {
    const session = world.sessions.findLast(isUnderWay);
    if (!session) return;
    session.frozenUntilMs = world.clock.passedMs() + world.random.integer({ min: 1000, max: 90_000 });
    world.tell({ kind: 'fault', node: null, what: `${session.name} stands still` });
  },
  'branch moves'(world: World): void {
    world.repository.head = revisionOf(world.random.integer({ min: 1000, max: 9999 }));
    world.tell({ kind: 'fault', node: null, what: `the branch moves to ${world.repository.head}` });
  },
} as const;

const anyNode = ({ random, nodes }: World): SimulatedNode => random.pick([...nodes.values()]);

/** What runs is gone; what is on the disk stays; it comes back as `current` says. */
function reboot(world: World, node: SimulatedNode): void {
  if (!node.isUp) return;
  node.isUp = false;
  node.boots++;
  node.isBusy = false;
  cutRequests(world, node);
  world.tell({ kind: 'fault', node: node.name, what: 'reboots' });
  world.clock.after(world.random.integer({ min: 3000, max: 20_000 }), () => boot(world, node));
}

export function boot(world: World, node: SimulatedNode): void {
  if (node.isUp) return;
  node.isUp = true;
  node.application = {
    release: node.disk.current,
    readyAtMs: world.clock.nowMs() + node.startMs,
    stale: null,
  };
  world.tell({ kind: 'fault', node: node.name, what: 'is back' });
}

/** It forgets what it was told at run time, and whoever spoke through it is cut off. */
export function restartMember(world: World, member: Member): void {
  if (!member.isUp) return;
  member.isUp = false;
  world.tell({ kind: 'fault', node: null, what: `${member.name} restarts` });
  for (const request of [...world.requests])
    if (request.member === member) endRequest(world, request, { isCut: true });
  world.clock.after(world.random.integer({ min: 50, max: 2000 }), () => {
    member.isUp = true;
    member.restarts++;
    for (const { node } of member.servers.values()) rotate(world, member, node, 'in', 'fault');
    for (const server of member.servers.values()) {
      Object.assign(server, { health: 'up', weight: 100, answers: noAnswers });
    }
    member.past.length = 0;
    remember(world, member);
    world.tell({ kind: 'fault', node: null, what: `${member.name} is back` });
  });
}
