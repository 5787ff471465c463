import { beforeEach, describe, expect, test } from 'vitest';
import { balancerKinds } from '../../../src/adapters/balancers/index.ts';
import type { IpvsEdit } from '../../../src/commands/ipvs.ts';
import { type IpvsNote, noteName } from '../../../src/commands/ipvs-table.ts';
import { failure } from '../../../src/core/errors.ts';
import { parseFields } from '../../../src/core/field.ts';
import type { BalancerState } from '../../../src/core/observation.ts';
import type { Balancer, Transport } from '../../../src/ports.ts';

const service = '-t 192.0.2.1:80';
const first = '10.0.0.1:80';

/** A director, as its table would be after the edits that it is told. */
let director: {
  flags: string;
  forwarding: string;
  /** Each: expire_quiescent_template, expire_nodest_conn and conn_reuse_mode. */
  kernel: readonly [number, number, number];
  connections: number;
  readonly weights: Map<string, number>;
  readonly notes: Map<string, IpvsNote>;
  edits: IpvsEdit[];
};
beforeEach(() => {
  director = {
    flags: '-s wlc',
    forwarding: '-m',
    kernel: [0, 0, 1],
    connections: 10,
    weights: new Map([
      [first, 100],
      ['10.0.0.2:80', 100],
    ]),
    notes: new Map(),
    edits: [],
  };
});

const transport = {
  async run(_, command) {
    for (const edit of (command.params.edits as readonly IpvsEdit[] | undefined) ?? []) {
      director.edits.push(edit);
      director.weights.set(edit.server.address, edit.weight);
      if (edit.note === null) director.notes.delete(edit.server.address);
      else director.notes.set(edit.server.address, edit.note);
    }
    return { status: 0, stdout: output(), stderr: '' };
  },
} as Pick<Transport, 'run'> as Transport;

const output = (): string =>
  [
    '== settings',
    `-A ${service} ${director.flags}`,
    ...[...director.weights].map(
      ([address, weight]) => `-a ${service} -r ${address} ${director.forwarding} -w ${weight}`,
    ),
    '== kernel',
    'eba67055-3a8e-46c5-b03b-31141ec3137e',
    ...director.kernel,
    '== counts',
    'TCP  192.0.2.1:80 wlc',
    ...[...director.weights].map(([address, weight]) => `  -> ${address}   Masq ${weight} 3 7`),
    '== totals',
    `TCP  192.0.2.1:80   ${director.connections} 1 1 1 1`,
    '== notes',
    ...[...director.notes].map(
      ([address, { rotation, weight }]) => `${noteName(service, address)} ${rotation} ${weight}`,
    ),
  ].join('\n');

const driver = (settings: Readonly<Record<string, unknown>> = {}, through = transport): Balancer => {
  const { options, create } = balancerKinds.ipvs;
  const read = parseFields(options, { services: '192.0.2.1:80', hosts: 'lb1', weight: 100, ...settings });
  if (!read.ok) throw new Error(read.problems.join('\n'));
  return create({
    name: 'lvs',
    options: read.value,
    nodes: ['web1', 'web2'],
    addresses: { web1: '10.0.0.1', web2: '10.0.0.2' },
    transport: through,
  });
};

const web1 = async (balancer: Balancer) =>
  (await balancer.observe()).servers.find(({ node }) => node === 'web1')!;
const change = (balancer: Balancer, to: 'in' | 'draining' | 'out') =>
  balancer.change([{ node: 'web1', server: null, to }]);
const weigh = (balancer: Balancer, to: number) => balancer.shift([{ node: 'web1', server: null, to }]);

describe('IPVS', () => {
  test('a node is known by its address, in each service, and its connections are counted', async () => {
    expect(await web1(driver())).toEqual({
      balancer: 'lvs',
      member: 'lb1',
      node: 'web1',
      server: 'lvs tcp 192.0.2.1:80/10.0.0.1',
      rotation: 'in',
      health: 'unchecked',
      sessions: 3,
      weight: 100,
    });
  });

  test('a server is edited with its forwarding method, and not again where there is nothing to change', async () => {
    await change(driver(), 'out');
    await change(driver(), 'out');
    expect(director.edits).toMatchObject([{ server: { forwarding: ['-m'] }, weight: 0 }]);
  });

  test('a server comes back with the weight that it had', async () => {
    director.weights.set(first, 40);
    await change(driver(), 'out');
    expect(await web1(driver())).toMatchObject({ rotation: 'out', weight: 40 });
    await change(driver(), 'in');
    expect(director.weights.get(first)).toBe(40);
    expect(director.notes.size).toBe(0);
  });

  test('a server of which nothing is noted gets the weight of the settings', async () => {
    director.weights.set(first, 0);
    expect(await web1(driver())).toMatchObject({ rotation: 'out', weight: 100 });
    await change(driver({ weights: { web1: 120 } }), 'in');
    expect(director.weights.get(first)).toBe(120);
  });

  test('a weight that was set out of rotation holds once the node is put in', async () => {
    await change(driver(), 'out');
    await weigh(driver(), 5);
    expect(await web1(driver())).toMatchObject({ rotation: 'out', weight: 5 });
    expect(director.weights.get(first)).toBe(0);
    await change(driver(), 'in');
    expect(director.weights.get(first)).toBe(5);
  });

  test('a server of weight 0 is draining, comes back by a weight, and not by being put in', async () => {
    await weigh(driver(), 0);
    expect(await web1(driver())).toMatchObject({ rotation: 'draining', weight: 0 });
    await expect(change(driver(), 'in')).rejects.toMatchObject({
      code: 'BALANCER_NOT_APPLIED',
      details: { wanted: 'in', seen: 'draining (its weight is 0)' },
    });
    await weigh(driver(), 50);
    expect(await web1(driver())).toMatchObject({ rotation: 'in', weight: 50 });
  });

  test('a weight above that of the settings is refused: percentages would count from the wrong one', async () => {
    await expect(driver({ weight: 1 }).observe()).rejects.toMatchObject({
      code: 'BALANCER_UNFIT',
      details: {
        member: 'lb1',
        reason:
          'lvs tcp 192.0.2.1:80/10.0.0.1 has weight 100, and the settings say that 1 is its whole weight',
      },
    });
  });

  test.each([
    [0, 'hard', 'BALANCER_UNFIT'],
    [1, 'hard', 'out'],
    [0, 'soft', 'draining'],
    [1, 'soft', 'out'],
  ] as const)(
    'a persistent service where expire_quiescent_template is %s and drain %s: %s',
    async (expires, drain, outcome) => {
      Object.assign(director, { kernel: [expires, 0, 1], flags: '-s wlc -p 300' });
      const taken = change(driver({ drain }), 'out').then(
        async () => (await web1(driver({ drain }))).rotation,
      );
      expect(await taken.catch(({ code }) => code)).toBe(outcome);
      if (outcome === 'BALANCER_UNFIT') expect(director.edits).toEqual([]);
    },
  );

  test.each([
    ['-m', 0, 0, 'warned of'],
    ['-m', 0, 1, 'fine'],
    ['-g', 0, 1, 'warned of'],
    ['-i', 0, 1, 'warned of'],
    ['-g', 0, 2, 'fine'],
    ['-g', 0, 3, 'fine'],
    ['-g', 1, 1, 'fine'],
    ['-g', 1, 0, 'warned of'],
  ])(
    'forwarding by %s where expire_nodest_conn is %i and conn_reuse_mode %i is %s',
    async (forwarding, expires, mode, outcome) => {
      Object.assign(director, { forwarding, kernel: [0, expires, mode] });
      const [{ weakSpots }] = (await driver().observe()).members as [BalancerState];
      if (outcome === 'fine') expect(weakSpots).toEqual([]);
      else
        expect(weakSpots).toEqual([
          expect.stringContaining(`conn_reuse_mode is ${mode}): set it to 3 there`),
        ]);
    },
  );

  test('a service that the director lacks is named, with what it has', async () => {
    await expect(driver({ services: '192.0.2.1:443' }).observe()).rejects.toMatchObject({
      code: 'BALANCER_SERVER_UNKNOWN',
      details: {
        server: 'tcp 192.0.2.1:443/10.0.0.1',
        known: ['tcp 192.0.2.1:80/10.0.0.1:80', 'tcp 192.0.2.1:80/10.0.0.2:80'],
      },
    });
  });

  test('an address with two servers is one too many, until a port says which', async () => {
    director.weights.set('10.0.0.1:8080', 100);
    await expect(driver().observe()).rejects.toMatchObject({ code: 'BALANCER_SERVER_UNKNOWN' });
    expect(await web1(driver({ servers: { web1: '10.0.0.1:8080' } }))).toMatchObject({ rotation: 'in' });
  });

  test('a table that was made anew is another incarnation', async () => {
    const balancer = driver();
    const incarnation = async () => (await balancer.observe()).members[0]!.incarnation;
    const before = await incarnation();
    director.connections = 12;
    expect(await incarnation()).toBe(before);
    director.connections = 2;
    expect(await incarnation()).not.toBe(before);
  });

  test('what keeps a director from being told is explained', async () => {
    const answer = (status: number, stderr: string): Transport =>
      ({ run: async () => ({ status, stdout: '', stderr }) }) as Pick<Transport, 'run'> as Transport;
    const noRoot = driver({}, answer(255, "Can't initialize ipvs: Permission denied (you must be root)\n"));
    await expect(change(noRoot, 'out')).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { answer: expect.stringContaining('or set sudo: true') },
    });
    const noModule = driver({}, answer(255, "Can't initialize ipvs: Protocol not available\n"));
    expect((await noModule.observe()).members[0]!.unreachable).toContain('modprobe ip_vs');
    const lost = {
      async run() {
        throw failure('NODE_UNREACHABLE', { node: 'lb1', address: 'lb1', reason: 'no route to host' });
      },
    } as Pick<Transport, 'run'> as Transport;
    await expect(change(driver({}, lost), 'out')).rejects.toMatchObject({ code: 'BALANCER_UNREACHABLE' });
  });

  test('describes what it would run', () => {
    expect(driver().describe({ node: 'web1', server: null, to: 'out' })).toBe(
      'ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.1 -w 0 (web1)',
    );
  });
});
