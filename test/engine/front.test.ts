import { describe, expect, test } from 'vitest';
import type { NodeName } from '../../src/core/node.ts';
import type { AddressState, ServerState } from '../../src/core/observation.ts';
import type { Site } from '../../src/core/site.ts';
import type { Balancer } from '../../src/ports.ts';
import { names } from '../core/fleet.ts';
import { benchSite } from './bench-site.ts';

type Rotation = ServerState['rotation'];

/** One of a pair: a process that may be down, and that forgets what it was told when it starts anew. */
function newBalancer(name: string, count: number, log: string[]) {
  const servers = new Map<NodeName, Rotation>(names(count).map((node) => [node, 'in']));
  const state = { isUp: true, incarnation: 1, sessions: 0 };
  const balancer: Balancer = {
    name,
    hosts: [],
    capabilities: {
      drain: 'hard',
      sessions: 'exact',
      settleMs: 0,
      successor: { rotation: 'forgotten', requests: 'counted' },
      weights: 'none',
      flip: 'none',
      counters: false,
    },
    observe: async () => ({
      members: [
        {
          balancer: name,
          member: name,
          unreachable: state.isUp ? null : 'connection refused',
          incarnation: state.isUp ? String(state.incarnation) : '',
          pool: null,
        },
      ],
      servers: state.isUp
        ? [...servers].map(([node, rotation]) => ({
            balancer: name,
            member: name,
            node,
            server: `${name} web/${node}`,
            rotation,
            health: 'up' as const,
            sessions: state.sessions,
            weight: 100,
          }))
        : [],
    }),
    async change(changes) {
      for (const { node, to } of changes) {
        log.push(`${name}: ${node} ${to}`);
        servers.set(node, to);
      }
    },
    shift: () => Promise.reject(new Error('not used here')),
    flip: () => Promise.reject(new Error('not used here')),
    count: () => Promise.reject(new Error('not used here')),
    describe: ({ node, to }) => `${node} ${to}`,
    close: () => Promise.resolve(),
  };
  return {
    balancer,
    servers,
    state,
    restart() {
      state.incarnation++;
      for (const node of servers.keys()) servers.set(node, 'in');
    },
  };
}

/** Nodes behind a pair, of which the first holds the address. */
function pairSite(count: number, onUnreachable: 'stop' | 'go on') {
  const settings = (name: string): Site['balancers'][number] => ({
    name,
    kind: 'haproxy',
    onUnreachable,
    options: {},
  });
  const bench = benchSite(count, { balancers: ['lb1', 'lb2'].map(settings) });
  const log: string[] = [];
  const [lb1, lb2] = ['lb1', 'lb2'].map((name) => newBalancer(name, count, log)) as [Pair, Pair];
  const front: { holders: readonly string[] } = { holders: ['lb1'] };
  const holders = async (): Promise<AddressState> => ({
    address: 'front',
    ip: '192.0.2.10',
    holders: front.holders,
    unasked: [],
  });
  const address = { name: 'front', ip: '192.0.2.10', machines: ['lb1', 'lb2'], holders, move: null };
  Object.assign(bench.ports, { balancers: [lb1.balancer, lb2.balancer], addresses: [address] });
  return {
    ...bench,
    lb1,
    lb2,
    front,
    log,
    notes: () => bench.events.flatMap((event) => (event.type === 'note' ? [event.text] : [])),
    /** Once, just before the first command of this name on the node. */
    before(node: NodeName, command: string, work: () => void): void {
      let isDone = false;
      bench.faults.run = (name, { name: kind }) => {
        if (!isDone && name === node && kind === command) {
          isDone = true;
          work();
        }
        return null;
      };
    },
  };
}
type Pair = ReturnType<typeof newBalancer>;

const isIn = ({ servers }: Pair): readonly Rotation[] => [...servers.values()];

test('the passive balancer is told first, then the active one, whichever that is', async () => {
  for (const active of ['lb1', 'lb2']) {
    const site = pairSite(2, 'stop');
    await site.deployed(1);
    site.front.holders = [active];
    site.log.length = 0;
    expect((await site.deploy(2)).exit).toBe(0);
    const passive = active === 'lb1' ? 'lb2' : 'lb1';
    expect(site.log.slice(0, 4)).toEqual(
      ['out', 'in'].flatMap((to) => [`${passive}: web1 ${to}`, `${active}: web1 ${to}`]),
    );
  }
});

test('a passive balancer that refuses leaves the active one untold', async () => {
  const site = pairSite(2, 'stop');
  await site.deployed(1);
  site.log.length = 0;
  const { change } = site.lb2.balancer;
  Object.assign(site.lb2.balancer, { change: () => Promise.reject(new Error('a bug')) });
  await expect(site.deploy(2)).rejects.toThrow('a bug');
  expect(site.log).toEqual([]);
  Object.assign(site.lb2.balancer, { change });
});

test('when the address moves it is said, and the run goes on', async () => {
  const site = pairSite(2, 'stop');
  await site.deployed(1);
  site.before('web1', 'switch', () => {
    site.front.holders = ['lb2'];
  });
  expect((await site.deploy(2)).exit).toBe(0);
  expect(site.notes().filter((text) => text.includes('moved'))).toEqual([
    'Address front (192.0.2.10) moved from lb1 to lb2. What this run changed is read, and told again.',
  ]);
});

test('a balancer that starts anew is told again which nodes are out, before anything goes on', async () => {
  const site = pairSite(2, 'stop');
  await site.deployed(1);
  const seen: Rotation[] = [];
  const { request } = site.ports.http;
  site.before('web1', 'switch', () => site.lb2.restart());
  Object.assign(site.ports.http, {
    request: (...args: Parameters<typeof request>) => {
      seen.push(site.lb2.servers.get('web1')!);
      return request(...args);
    },
  });
  expect((await site.deploy(2)).exit).toBe(0);
  expect(seen[0]).toBe('out');
  expect(site.notes()).toContainEqual(expect.stringContaining('Balancer lb2 started anew'));
});

describe('a balancer that cannot be reached', () => {
  test('stops the deploy before the next node leaves, if nothing else is said', async () => {
    const site = pairSite(3, 'stop');
    const before = await site.deployed(1);
    site.lb1.state.isUp = false;
    site.front.holders = ['lb2'];
    expect((await site.deploy(2)).exit).toBe(2);
    expect(site.lives()).toEqual([before, before, before]);
  });

  test('is gone on without where another is seen to hold the address, and that is said', async () => {
    const site = pairSite(3, 'go on');
    await site.deployed(1);
    site.lb1.state.isUp = false;
    site.front.holders = ['lb2'];
    const { exit, warnings } = await site.deploy(2);
    expect([exit, isIn(site.lb2)]).toEqual([0, ['in', 'in', 'in']]);
    expect(site.notes()).toContainEqual(
      expect.stringMatching(
        /It is gone on without lb1 \(onUnreachable\): front \(192\.0\.2\.10\) is held by lb2\.$/,
      ),
    );
    expect(warnings).toEqual([expect.stringContaining('lb1 was not reached to the end')]);
  });

  test.each([
    ['had nothing in flight when it was last seen is not waited for', 0],
    ['had requests in flight when it was last seen is given their time', 2],
  ])('and %s', async (_, sessions) => {
    const site = pairSite(2, 'go on');
    await site.deployed(1);
    site.lb1.state.sessions = sessions;
    const { clock } = site.ports;
    const atMs = { lost: 0, switched: 0 };
    site.faults.run = (name, { name: kind }) => {
      if (name === 'web1' && kind === 'note' && site.lb1.state.isUp) {
        Object.assign(site.lb1.state, { isUp: false, sessions: 0 });
        site.front.holders = ['lb2'];
        atMs.lost = clock.nowMs();
      }
      if (name === 'web1' && kind === 'switch') atMs.switched = clock.nowMs();
      return null;
    };
    expect((await site.deploy(2)).exit).toBe(0);
    expect(atMs.switched - atMs.lost >= site.site.drain.timeoutMs).toBe(sessions > 0);
  });

  test.each([
    ['it may hold the address', ['lb1']],
    ['nobody is seen to hold the address', []],
    ['both hold it', ['lb1', 'lb2']],
  ])('is not gone on without where %s', async (_, holders) => {
    const site = pairSite(3, 'go on');
    const before = await site.deployed(1);
    site.lb1.state.isUp = false;
    site.front.holders = holders;
    expect((await site.deploy(2)).exit).toBe(2);
    expect(site.lives()).toEqual([before, before, before]);
  });

  test('stops the deploy once its address leaves the other one', async () => {
    const site = pairSite(3, 'go on');
    await site.deployed(1);
    site.lb1.state.isUp = false;
    site.front.holders = ['lb2'];
    site.before('web2', 'switch', () => {
      site.front.holders = ['lb1'];
    });
    const report = await site.deploy(2);
    expect(report.failure).toMatchObject({
      code: 'BALANCER_UNREACHABLE',
      message: expect.stringContaining('its address is not seen at one other balancer'),
    });
  });

  test('is waited for while the address is on its way', async () => {
    const site = pairSite(3, 'go on');
    await site.deployed(1);
    site.before('web1', 'note', () => {
      site.lb1.state.isUp = false;
      site.front.holders = [];
      void site.ports.clock.sleep(4000).then(() => {
        site.front.holders = ['lb2'];
      });
    });
    expect((await site.deploy(2)).exit).toBe(0);
    expect(isIn(site.lb2)).toEqual(['in', 'in', 'in']);
  });

  test('is told what it missed once it is back: nodes that left meanwhile are out there too', async () => {
    const site = pairSite(2, 'go on');
    await site.deployed(1);
    site.lb1.state.isUp = false;
    site.front.holders = ['lb2'];
    site.log.length = 0;
    site.before('web1', 'switch', () => {
      site.lb1.state.isUp = true;
    });
    const { exit, warnings } = await site.deploy(2);
    expect([exit, warnings, isIn(site.lb1)]).toEqual([0, [], ['in', 'in']]);
    expect(site.log).toContain('lb1: web1 out');
    expect(site.log.indexOf('lb1: web1 out')).toBeLessThan(site.log.indexOf('lb2: web1 in'));
    expect(site.notes()).toContain('Balancer lb1 is back, and was told what it missed: web1 out.');
  });

  test('is told at the end also where the run was interrupted', async () => {
    const site = pairSite(2, 'go on');
    await site.deployed(1);
    const { run } = site.ports.transport;
    Object.assign(site.ports.transport, {
      run: async (...args: Parameters<typeof run>) => {
        if (args[1].name !== 'switch') return run(...args);
        site.lb1.state.isUp = false;
        site.front.holders = ['lb2'];
        site.signal.abort('SIGINT');
        return run(...args);
      },
    });
    const { emit } = site.ports;
    Object.assign(site.ports, {
      emit: (event: Parameters<typeof emit>[0]) => {
        if (event.type === 'step-done' && event.step.kind === 'enable') site.lb1.state.isUp = true;
        emit(event);
      },
    });
    const { exit } = await site.deploy(2);
    expect([exit, isIn(site.lb1), isIn(site.lb2)]).toEqual([130, ['in', 'in'], ['in', 'in']]);
  });

  test('is told at the end of nodes that came back meanwhile, and what an operator has out stays out', async () => {
    const site = pairSite(3, 'go on');
    await site.deployed(1);
    site.lb1.servers.set('web3', 'out');
    site.before('web1', 'switch', () => {
      site.lb1.state.isUp = false;
      site.front.holders = ['lb2'];
    });
    site.events.length = 0;
    const { emit } = site.ports;
    Object.assign(site.ports, {
      emit: (event: Parameters<typeof emit>[0]) => {
        if (event.type === 'step-done' && event.step.kind === 'enable' && event.step.nodes.includes('web2'))
          site.lb1.state.isUp = true;
        emit(event);
      },
    });
    const { exit } = await site.deploy(2);
    expect([exit, isIn(site.lb1)]).toEqual([0, ['in', 'in', 'out']]);
  });
});
