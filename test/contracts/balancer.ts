import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Counted } from '../../src/core/counts.ts';
import type { ServerState } from '../../src/core/observation.ts';
import type {
  Balancer,
  BalancerCapabilities,
  BalancerView,
  RotationChange,
  WeightChange,
} from '../../src/ports.ts';
import { type AbilitiesLab, abilitiesContract } from './balancer-abilities.ts';

/** A balancer that runs, with two web servers behind it: `web1` and `web2`, each of weight 100. */
export interface BalancerLab {
  /** The driver, made for the nodes `web1` and `web2`. */
  readonly balancer: Balancer;
  /** The site, through each member. */
  readonly urls: readonly string[];
  /** What `BALANCER_SERVER_UNKNOWN` calls the server of this name. */
  readonly serverNamed: (name: string) => string;
  /** The same driver for other nodes. */
  forNodes(nodes: readonly string[]): Balancer;
  /** The same driver, without the right to change anything. */
  withoutRights(): Balancer;
  /** What an operator does by hand, on every member. */
  takeOutByHand(node: string): Promise<void>;
  /** The first member. */
  restartMember(): Promise<void>;
  stopMember(): Promise<void>;
  close(): Promise<void>;
}

/** What a kind of balancer can do, which says what can be tried on it. */
export interface Abilities
  extends Pick<
    BalancerCapabilities,
    'drain' | 'sessions' | 'settleMs' | 'successor' | 'weights' | 'counters'
  > {
  /** Whether it asks the nodes itself how they are. */
  readonly checksHealth: boolean;
  /** Whether it goes on asking a node that is out: then it knows how it is before it puts it in. */
  readonly checksWhileOut?: boolean;
  /** A connection that is kept alive stays where it is: clients open one for each request. */
  readonly balances?: 'connections';
  /** Its processes are out of sight, and a restart leaves no trace. */
  readonly isHosted?: boolean;
  /** A node that is out is so after a restart, as it is set up here, though `successor` cannot promise it. */
  readonly staysOut?: boolean;
  /** How many errors a request is that gets no answer at all; default: 1. */
  readonly errorsUnanswered?: number;
  /** How long a test that waits pauses between two looks: where they slow down what it waits for; default: 20 ms. */
  readonly lookEveryMs?: number;
}

/** What every driver promises, tried on the real balancer. */
export function balancerContract(
  name: string,
  abilities: Abilities,
  start: (backends: readonly Backend[]) => Promise<BalancerLab>,
): void {
  const {
    checksHealth,
    checksWhileOut = false,
    balances,
    isHosted = false,
    staysOut = abilities.successor.rotation === 'kept',
    errorsUnanswered = 1,
    lookEveryMs = 20,
    ...capabilities
  } = abilities;
  const { drain, settleMs } = capabilities;
  const patience = { timeout: 60_000, interval: lookEveryMs };
  const hasWeights = capabilities.weights === 'server';
  const ways = waysOut[drain];
  /** The nearest to nothing that it can be told. */
  const out = ways.at(-1)!;

  describe(name, () => {
    let lab: BalancerLab;
    let web1: Backend;
    let web2: Backend;

    beforeAll(async () => {
      [web1, web2] = [await startBackend('web1'), await startBackend('web2')];
      lab = await start([web1, web2]);
    });
    afterAll(async () => {
      await lab?.close();
      await Promise.all([web1, web2].map((backend) => backend?.close()));
    });
    beforeEach(async () => {
      const { servers } = await vi.waitFor(async () => {
        const view = await lab.balancer.observe();
        expect(view.members.filter(({ unreachable }) => unreachable !== null)).toEqual([]);
        return view;
      }, patience);
      const isWhole = servers.every(({ weight }) => weight === 100);
      if (!isWhole) await lab.balancer.shift([weigh('web1', 100), weigh('web2', 100)]);
      const isIn = servers.every(({ rotation }) => rotation === 'in');
      if (!isIn) await change(turn('web1', 'in'), turn('web2', 'in'));
      // To look costs time where a director is a kernel of its own.
      if (!isWhole || !isIn || servers.some(isIll)) await untilUp('web1', 'web2');
    });

    const isIll = ({ health }: ServerState) => health === 'starting' || health === 'down';

    /** Once it has settled. */
    const change = async (...changes: readonly RotationChange[]): Promise<void> => {
      await lab.balancer.change(changes);
      await sleep(settleMs);
    };
    const sessionsOf = async (node: string) => (await serversOf(node)).map(({ sessions }) => sessions);
    const sumOf = (counts: readonly (number | null)[]): number =>
      counts.reduce<number>((sum, n) => sum + n!, 0);

    const serversOf = async (node: string) => ofNode(await lab.balancer.observe(), node);
    const untilUp = (...nodes: readonly string[]) =>
      vi.waitFor(async () => {
        const view = await lab.balancer.observe();
        for (const node of nodes) expect(ofNode(view, node).filter(isIll)).toEqual([]);
      }, patience);
    const ask = (url: string) =>
      fetch(url, balances === 'connections' ? { headers: { connection: 'close' } } : {});
    /** Asks through every member, often enough that a server in rotation cannot be missed. */
    const whoAnswers = async () => {
      const answers = await Promise.all(
        lab.urls.flatMap((url) => Array.from({ length: 8 }, async () => (await ask(url)).text())),
      );
      return [...new Set(answers)].sort();
    };

    test('can do what it says', () => {
      expect(lab.balancer.capabilities).toMatchObject(capabilities);
    });

    test('sees every server of every node on every member', async () => {
      const { members, servers } = await lab.balancer.observe();
      expect(members).toHaveLength(lab.urls.length);
      expect(members.map(({ unreachable }) => unreachable)).toEqual(lab.urls.map(() => null));
      expect(new Set(servers.map(({ node }) => node))).toEqual(new Set(['web1', 'web2']));
      expect(new Set(servers.map(({ server }) => server)).size).toBe(servers.length);
      expect(new Set(servers.map(({ member }) => member))).toEqual(
        new Set(members.map(({ member }) => member)),
      );
      for (const server of servers) expect(server).toMatchObject({ rotation: 'in' });
    });

    test.each([...ways, 'in'] as const)('a change to %s is read back, and may be made twice', async (to) => {
      await lab.balancer.change([turn('web1', to)]);
      await lab.balancer.change([turn('web1', to)]);
      expect(rotations(await serversOf('web1'))).toEqual([to]);
      expect(rotations(await serversOf('web2'))).toEqual(['in']);
    });

    test.each(ways)(
      'a node that is %s gets no new request, while the one in flight ends whole, and is counted where that is possible',
      async (to) => {
        onTestFinished(() => {
          web1.release();
          web2.release();
        });
        const slow = lab.urls.map((url) => ask(`${url}/hold`));
        await vi.waitFor(() => expect(web1.held() + web2.held()).toBe(lab.urls.length), patience);
        const busy = web1.held() > 0 ? web1 : web2;
        const idle = busy === web1 ? web2 : web1;
        const held = busy.held();
        await change(turn(busy.name, to));
        const before = busy.requests();
        expect(await whoAnswers()).toEqual([idle.name]);
        expect(busy.requests()).toBe(before);
        const counted = await sessionsOf(busy.name);
        if (capabilities.sessions === 'none') expect(new Set(counted)).toEqual(new Set([null]));
        else if (capabilities.sessions === 'exact') expect(sumOf(counted)).toBe(held);
        else expect(sumOf(counted)).toBeGreaterThanOrEqual(held);
        web1.release();
        web2.release();
        for (const answer of await Promise.all(slow))
          expect(await answer.text()).toMatch(/^held by web[12], whole$/);
        if (capabilities.sessions === 'none') return;
        await vi.waitFor(async () => expect(sumOf(await sessionsOf(busy.name))).toBe(0), patience);
      },
    );

    test('a node that is put back in serves again', async () => {
      await change(turn('web1', out));
      expect(await whoAnswers()).toEqual(['web2']);
      await change(turn('web1', 'in'));
      await untilUp('web1');
      expect(await whoAnswers()).toEqual(['web1', 'web2']);
    });

    test('one server alone is changed, if the change says which', async () => {
      const [first, ...others] = await serversOf('web1');
      await lab.balancer.change([{ node: 'web1', server: first!.server, to: out }]);
      const after = await serversOf('web1');
      expect(after.filter(({ rotation }) => rotation === out).map(({ server }) => server)).toEqual([
        first!.server,
      ]);
      expect(after).toHaveLength(others.length + 1);
    });

    test('what an operator took out by hand is seen as out', async () => {
      await lab.takeOutByHand('web1');
      expect(rotations(await serversOf('web1'))).toEqual([out]);
    });

    test('a server that the balancer does not know is named, with those that it has', async () => {
      const wrong = lab.forNodes(['web1', 'web9']);
      const unknown = {
        code: 'BALANCER_SERVER_UNKNOWN',
        details: {
          balancer: lab.balancer.name,
          server: lab.serverNamed('web9'),
          node: 'web9',
          known: expect.arrayContaining([lab.serverNamed('web1'), lab.serverNamed('web2')]),
        },
      };
      await expect(wrong.observe()).rejects.toMatchObject(unknown);
      await expect(wrong.change([turn('web9', out)])).rejects.toMatchObject(unknown);
      if (capabilities.counters) await expect(wrong.count()).rejects.toMatchObject(unknown);
      if (hasWeights) await expect(wrong.shift([weigh('web9', 50)])).rejects.toMatchObject(unknown);
    });

    test('a server that the settings do not know is refused before anything is sent', async () => {
      const stray: RotationChange = { node: 'web1', server: 'another balancer web1', to: out };
      await expect(lab.balancer.change([turn('web1', out), stray])).rejects.toMatchObject({
        code: 'BALANCER_SERVER_UNKNOWN',
        details: { server: 'another balancer web1' },
      });
      expect(rotations(await serversOf('web1'))).toEqual(['in']);
    });

    test('a change without the right to make it is refused', async () => {
      const refused = lab.withoutRights().change([turn('web1', out)]);
      await expect(refused).rejects.toMatchObject({ code: 'BALANCER_REFUSED' });
      expect(rotations(await serversOf('web1'))).toEqual(['in']);
      if (!hasWeights) return;
      const unweighed = lab.withoutRights().shift([weigh('web1', 50)]);
      await expect(unweighed).rejects.toMatchObject({ code: 'BALANCER_REFUSED' });
      expect((await serversOf('web1')).map(({ weight }) => weight)).toEqual(lab.urls.map(() => 100));
    });

    if (checksHealth) healthContract();
    else
      test('a balancer that asks no node how it is says so', async () => {
        expect((await lab.balancer.observe()).servers.map(({ health }) => health)).toEqual(
          lab.urls.flatMap(() => ['unchecked', 'unchecked']),
        );
      });

    function healthContract(): void {
      const untilDown = (node: string) =>
        vi.waitFor(async () => {
          expect(new Set((await serversOf(node)).map(({ health }) => health))).toEqual(new Set(['down']));
        }, patience);

      test('a node whose checks fail is down, without sessions, and can be drained', async () => {
        web1.setHealthy(false);
        try {
          await untilDown('web1');
          await lab.balancer.change([turn('web1', ways[0]!)]);
          const [server] = await serversOf('web1');
          expect(server).toMatchObject({ rotation: ways[0] });
          if (ways[0] === 'draining')
            expect(server).toMatchObject({
              health: 'down',
              sessions: capabilities.sessions === 'none' ? null : 0,
            });
        } finally {
          web1.setHealthy(true);
        }
      });

      test('a node that was put in while its checks fail is never said to be up', async () => {
        await lab.balancer.change([turn('web1', out)]);
        web1.setHealthy(false);
        try {
          if (checksWhileOut) await untilDown('web1');
          await lab.balancer.change([turn('web1', 'in')]);
          const seen = new Set<string>();
          await vi.waitFor(async () => {
            for (const { health } of await serversOf('web1')) seen.add(health);
            expect(seen).toContain('down');
          }, patience);
          expect(seen).not.toContain('up');
        } finally {
          web1.setHealthy(true);
        }
      });
    }

    test('describes a change in one line', () => {
      const line = lab.balancer.describe(turn('web1', ways[0]!));
      expect(line).toContain('web1');
      expect(line).not.toContain('web2');
      expect(line).not.toContain('\n');
    });

    test('is interrupted by its signal', async () => {
      const signal = AbortSignal.abort(new Error('enough'));
      await expect(lab.balancer.observe(signal)).rejects.toThrow('enough');
      await expect(lab.balancer.change([turn('web1', out)], signal)).rejects.toThrow('enough');
    });

    if (capabilities.counters && hasWeights) countsAndWeightsContract();

    function countsAndWeightsContract(): void {
      abilitiesContract(
        (): AbilitiesLab => ({
          balancer: lab.balancer,
          members: lab.urls.length,
          statuses: [200, 204, 302, 404, 429, 500, 503],
          restartMember: lab.restartMember,
          async ask(member, status) {
            const answer = await fetch(`${lab.urls[member]}/status/${status}`, { redirect: 'manual' });
            expect(answer.status).toBe(status);
            await answer.arrayBuffer();
            return answer.headers.get('x-node')!;
          },
        }),
      );

      test('a request that gets no whole answer is an error', async () => {
        const before = await lab.balancer.count();
        for (const url of lab.urls) {
          for (const how of ['reset', 'cut']) {
            // On a connection of its own: one that was used before may be closed by a server at any time.
            await onNewConnection(`${url}/${how}`).catch(() => {});
          }
        }
        const sum = ({ servers }: Counted, of: 'requests' | 'errors') =>
          servers.reduce((total, { answers }) => total + answers![of], 0);
        await vi.waitFor(async () => {
          const after = await lab.balancer.count();
          expect(sum(after, 'errors') - sum(before, 'errors')).toBe((errorsUnanswered + 1) * lab.urls.length);
          expect(sum(after, 'requests') - sum(before, 'requests')).toBeGreaterThanOrEqual(
            2 * lab.urls.length,
          );
        }, patience);
      });
    }

    const incarnation = isHosted ? 'the same incarnation' : 'another incarnation, and no other member has';
    test(`a member that was restarted has ${incarnation}`, async () => {
      await change(turn('web1', out));
      const before = (await lab.balancer.observe()).members;
      expect((await lab.balancer.observe()).members).toEqual(before);
      await lab.restartMember();
      const after = (await lab.balancer.observe()).members;
      if (isHosted) expect(after[0]!.incarnation).toBe(before[0]!.incarnation);
      else expect(after[0]!.incarnation).not.toBe(before[0]!.incarnation);
      expect(after.slice(1)).toEqual(before.slice(1));
      const [first] = await serversOf('web1');
      expect(first!.rotation).toBe(staysOut ? out : 'in');
    });

    test('a member that is down is reported, and all others are told all the same', async () => {
      await lab.stopMember();
      const unheard = lab.balancer.change([turn('web1', out)]);
      await expect(unheard).rejects.toMatchObject({ code: 'BALANCER_UNREACHABLE' });
      const { members, servers } = await lab.balancer.observe();
      expect(members.map(({ unreachable }) => unreachable !== null)).toEqual(lab.urls.map((_, i) => i === 0));
      expect(members[0]!.incarnation).toBe('');
      expect(servers.some(({ member }) => member === members[0]!.member)).toBe(false);
      expect(rotations(ofNode({ members, servers }, 'web1'))).toEqual(lab.urls.length > 1 ? [out] : []);
      if (hasWeights) {
        const shift = lab.balancer.shift([weigh('web2', 60)]);
        await expect(shift).rejects.toMatchObject({ code: 'BALANCER_UNREACHABLE' });
        for (const { weight } of await serversOf('web2')) expect(weight).toBe(60);
      }
      if (!capabilities.counters) return;
      const counted = await lab.balancer.count();
      expect(counted.members).toEqual(members);
      expect(counted.servers.map(({ member }) => member)).not.toContain(members[0]!.member);
    });
  });
}

const waysOut = {
  soft: ['draining'],
  hard: ['out'],
  both: ['draining', 'out'],
} as const satisfies Record<BalancerCapabilities['drain'], readonly RotationChange['to'][]>;

async function onNewConnection(url: string): Promise<void> {
  const question = request(url, { agent: false, method: 'POST' }).end('x');
  const [answer] = (await once(question, 'response')) as [IncomingMessage];
  await answer.toArray();
}

export const turn = (node: string, to: RotationChange['to']): RotationChange => ({ node, server: null, to });

const weigh = (node: string, to: number): WeightChange => ({ node, server: null, to });

export const ofNode = ({ servers }: BalancerView, node: string): readonly ServerState[] =>
  servers.filter((server) => server.node === node);

/** Each rotation that is among them. */
export const rotations = (servers: readonly ServerState[]): readonly string[] => [
  ...new Set(servers.map(({ rotation }) => rotation)),
];

export const sessions = (servers: readonly ServerState[]): number =>
  servers.reduce((sum, server) => sum + (server.sessions ?? Number.NaN), 0);

/**
 * A web server that answers with its name, to `/early` after a 103; to `/status/404` with 404; not at all to `/reset`, and with half an answer
 * to `/cut`.
 */
export interface Backend {
  readonly name: string;
  readonly port: number;
  /** So far, without those to `/health`. */
  requests(): number;
  /** Requests to `/hold`, which are answered by `release`. */
  held(): number;
  release(): void;
  setHealthy(healthy: boolean): void;
  close(): Promise<void>;
}

export async function startBackend(name: string): Promise<Backend> {
  let requests = 0;
  let healthy = true;
  const held = new Set<ServerResponse>();
  const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
    if (request.url === '/health') {
      response.writeHead(healthy ? 200 : 503).end();
      return;
    }
    requests += 1;
    response.setHeader('x-node', name);
    const [, kind = '', status = ''] = request.url!.split('/');
    if (kind === 'status') {
      response.writeHead(Number(status), { location: '/' }).end();
      return;
    }
    if (kind === 'early') response.writeEarlyHints({ link: '</style.css>; rel=preload' });
    if (kind === 'reset') {
      request.socket.destroy();
      return;
    }
    if (kind === 'cut') {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => setTimeout(() => request.socket.destroy(), 20));
      return;
    }
    if (!request.url?.startsWith('/hold')) {
      response.end(name);
      return;
    }
    held.add(response);
    response.once('close', () => held.delete(response));
    response.write(`held by ${name}`);
  });
  server.on('upgrade', ({ headers }, socket) => {
    const key = `${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    const lines = [
      'connection: upgrade',
      'upgrade: websocket',
      `sec-websocket-accept: ${accept}`,
      `x-node: ${name}`,
    ];
    socket.on('error', () => {}).pipe(socket);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    name,
    port: (server.address() as AddressInfo).port,
    requests: () => requests,
    held: () => held.size,
    release: () => {
      for (const response of held) response.end(', whole');
    },
    setHealthy: (value) => {
      healthy = value;
    },
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
