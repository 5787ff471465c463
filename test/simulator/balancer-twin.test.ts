import { beforeEach, describe, expect, test } from 'vitest';
import type { Balancer } from '../../src/ports.ts';
import { type Member, newServer, type SimulatedBalancer } from '../../src/simulator/balancer.ts';
import { balancerTwin } from '../../src/simulator/balancer-port.ts';
import { virtualClock } from '../../src/simulator/clock.ts';
import { restartMember } from '../../src/simulator/disturbances.ts';
import { faultsOf, noFaults } from '../../src/simulator/faults.ts';
import { seededRandom } from '../../src/simulator/random.ts';
import { drawNode, drawReleases, drawSite, startMs } from '../../src/simulator/scenario.ts';
import { noDoom, type Session } from '../../src/simulator/session.ts';
import { sendThrough } from '../../src/simulator/traffic.ts';
import { cutRequests, newWorld, nodeOf, type World } from '../../src/simulator/world.ts';
import { type AbilitiesLab, abilitiesContract } from '../contracts/balancer-abilities.ts';
import { flipContract } from '../contracts/balancer-flip.ts';
import { nextTurn } from './seeds.ts';

describe("the simulator's balancer", () => {
  let lab: AbilitiesLab;
  let world: World;
  beforeEach(() => {
    world = worldOf(['web1', 'web2']);
    lab = labOf(world);
  });

  abilitiesContract(() => lab);

  test('a request that is cut off is an error', async () => {
    const [member] = world.members;
    const node = sendThrough(world, member!)!;
    cutRequests(world, nodeOf(world, node));
    const { servers } = await lab.balancer.count();
    const counted = servers.filter(({ answers }) => answers!.requests > 0);
    expect(counted).toMatchObject([{ node, answers: { requests: 1, errors: 1 } }]);
  });

  test('a member that is down is reported, and none of its servers is counted', async () => {
    world.members[0]!.isUp = false;
    const { members, servers } = await lab.balancer.count();
    expect(members.map(({ unreachable }) => unreachable !== null)).toEqual([true, false]);
    expect(new Set(servers.map(({ member }) => member))).toEqual(new Set(['lb-b']));
  });
});

describe("the simulator's balancer with two pools", () => {
  let world: World;
  beforeEach(() => {
    world = worldOf(['web1', 'web2'], ['blue', 'green']);
  });

  flipContract(
    () => {
      const { balancer, members, restartMember: restart } = labOf(world);
      return {
        balancer,
        members,
        restartMember: restart,
        ask: async (member) => sendThrough(world, world.members[member]!)!,
      };
    },
    { hasShares: true },
  );
});

/** Two members of one balancer, no traffic but what is asked for, and nobody who keeps to a server. */
function worldOf(nodes: readonly string[], pools: readonly string[] = []): World {
  const random = seededRandom(1);
  const site = drawSite(random, { nodes: nodes.length, batchMax: 1 });
  const past = { releases: drawReleases(random), startsAtOnce: true, joins: 0 };
  const member = (name: string): Member => ({
    balancer: 'lb',
    name,
    lagMs: 0,
    checks: { intervalMs: 1000, rise: 1, fall: 1 },
    servers: new Map(nodes.map((node) => [node, newServer(name, node, pools[nodes.indexOf(node)])])),
    pool: pools[0] ?? null,
    share: null,
    ownPool: null,
    isUp: true,
    cutOffUntilMs: 0,
    restarts: 0,
    replacedAtMs: 0,
    past: [],
    toldAtMs: 0,
  });
  const balancer: SimulatedBalancer = {
    name: 'lb',
    capabilities: {
      drain: 'both',
      sessions: 'exact',
      settleMs: 0,
      successor: { rotation: 'forgotten', requests: 'counted' },
      weights: pools.length > 0 ? 'pool' : 'server',
      flip: 'kept',
      counters: true,
    },
    members: [member('lb-a'), member('lb-b')],
  };
  return newWorld(
    {
      site,
      clock: virtualClock(startMs, nextTurn),
      random: { ...random, chance: () => false },
      faults: faultsOf(noFaults, random),
      nodes: new Map(site.nodes.map((node) => [node.name, drawNode(random, node, past)])),
      balancers: [balancer],
      addresses: [],
      isTraced: false,
      batchMax: 1,
      repository: { head: past.releases.at(-1)!.revision, brokenOn: new Map(), errsAt: new Map() },
    },
    () => {},
  );
}

const session = (): Session => ({
  name: 'run1',
  command: 'deploy',
  chain: 'run1',
  startedAtMs: 0,
  stop: new AbortController(),
  doom: noDoom,
  isDead: false,
  frozenUntilMs: 0,
  end: null,
  run: null,
  runs: new Set(),
  had: [],
  joined: [],
  leftOut: new Set(),
  plan: null,
  step: null,
  release: null,
  plannedAtMs: 0,
  calls: [],
  effects: 0,
  looks: new Map(),
  before: new Map(),
});

/** Time passes while somebody waits. */
function labOf(world: World): AbilitiesLab {
  const pass = async (isOver: () => boolean): Promise<void> => {
    await world.clock.run({ isOver, untilMs: world.clock.passedMs() + 60_000 });
  };
  const whilePassing = async <T>(work: Promise<T>): Promise<T> => {
    let isOver = false;
    const settled = () => {
      isOver = true;
    };
    work.then(settled, settled);
    world.clock.woken();
    await pass(() => isOver);
    return work;
  };
  const twin = balancerTwin({ world, session: session() }, world.balancers[0]!);
  const balancer: Balancer = {
    ...twin,
    observe: (signal) => whilePassing(twin.observe(signal)),
    count: (signal) => whilePassing(twin.count(signal)),
    change: (changes, signal) => whilePassing(twin.change(changes, signal)),
    shift: (changes, signal) => whilePassing(twin.shift(changes, signal)),
    flip: (to, signal) => whilePassing(twin.flip(to, signal)),
    ...(twin.share ? { share: (to, percent, signal) => whilePassing(twin.share!(to, percent, signal)) } : {}),
  };
  const broken = [...world.nodes.values()].map(({ disk }) => disk.releases.get(disk.current!)!.revision);
  return {
    balancer,
    members: 2,
    statuses: [200, 500],
    async ask(member, status) {
      for (const revision of broken)
        world.repository.brokenOn.set(revision, status === 500 ? [...world.nodes.keys()] : []);
      const node = sendThrough(world, world.members[member]!);
      await pass(() => world.requests.size === 0);
      return node!;
    },
    async restartMember() {
      restartMember(world, world.members[0]!);
      await pass(() => world.members[0]!.isUp);
    },
  };
}
