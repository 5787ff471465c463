import { expect, test, vi } from 'vitest';
import type { Answers, Counted } from '../../src/core/counts.ts';
import type { Balancer } from '../../src/ports.ts';
import { patience } from '../lab/patience.ts';

/** A balancer with the nodes `web1` and `web2` in rotation, whose servers are configured with a weight of 100. */
export interface AbilitiesLab {
  readonly balancer: Balancer;
  readonly members: number;
  /** That the nodes can be made to answer with. */
  readonly statuses: readonly number[];
  /** Sends one request through the member, answered with this status; the node that it went to. */
  ask(member: number, status: number): Promise<string>;
  /** The first member. */
  restartMember(): Promise<void>;
}

/** What every driver promises whose balancer can count and set weights. Tried on the simulator's twin too. */
export function abilitiesContract(lab: () => AbilitiesLab): void {
  const weightsOf = async (node: string) =>
    (await lab().balancer.observe()).servers
      .filter((server) => server.node === node)
      .map(({ weight }) => weight);
  const weigh = (node: string, to: number) => lab().balancer.shift([{ node, server: null, to }]);
  const askOften = async (times: number): Promise<readonly string[]> => {
    const nodes: string[] = [];
    for (let member = 0; member < lab().members; member++)
      for (let i = 0; i < times; i++) nodes.push(await lab().ask(member, 200));
    return nodes;
  };

  test('counts exactly the requests that were sent, by answer, server and member', async () => {
    const { balancer, members, statuses } = lab();
    const before = await balancer.count();
    const sent = new Map<string, { requests: number; errors: number; refused: number }>();
    for (let member = 0; member < members; member++) {
      for (const status of statuses) {
        for (let i = 0; i < 5; i++) {
          const node = await lab().ask(member, status);
          const server = before.servers.filter((one) => one.node === node)[member]!.server;
          const { requests, errors, refused } = sent.get(server) ?? { requests: 0, errors: 0, refused: 0 };
          sent.set(server, {
            requests: requests + 1,
            errors: errors + (status >= 500 ? 1 : 0),
            refused: refused + (status >= 400 && status < 500 ? 1 : 0),
          });
        }
      }
    }
    expect(sent.size).toBe(2 * members);
    await vi.waitFor(async () => expect(grown(before, await balancer.count())).toEqual(sent), patience);
  });

  test('members are counted as they are observed', async () => {
    const { balancer } = lab();
    const [counted, observed] = [await balancer.count(), await balancer.observe()];
    expect(counted.members).toEqual(observed.members);
    expect(counted.servers.map(({ server }) => server)).toEqual(observed.servers.map(({ server }) => server));
  });

  test('nothing is counted that was not asked, and the average time of answers is told', async () => {
    await askOften(4);
    const { servers } = await vi.waitFor(async () => {
      const before = await lab().balancer.count();
      expect(await lab().balancer.count()).toEqual(before);
      return before;
    }, patience);
    for (const { answers } of servers) expect(answers?.responseMs).toBeGreaterThanOrEqual(0);
  });

  test('a weight is read back, may be set twice, and is set for no other node', async () => {
    await weigh('web1', 25);
    await weigh('web1', 25);
    expect(new Set(await weightsOf('web1'))).toEqual(new Set([25]));
    expect(new Set(await weightsOf('web2'))).toEqual(new Set([100]));
    const { servers } = await lab().balancer.observe();
    expect(servers.map(({ rotation }) => rotation)).toEqual(servers.map(() => 'in'));
    await weigh('web1', 100);
    expect(new Set(await weightsOf('web1'))).toEqual(new Set([100]));
  });

  test('one server alone is weighed, if the change says which', async () => {
    const [first, ...others] = (await lab().balancer.observe()).servers.filter(({ node }) => node === 'web1');
    await lab().balancer.shift([{ node: 'web1', server: first!.server, to: 10 }]);
    expect(await weightsOf('web1')).toEqual([10, ...others.map(() => 100)]);
  });

  test('requests follow the weights, within 6 points', async () => {
    await weigh('web1', 25);
    const nodes = await askOften(200);
    const share = nodes.filter((node) => node === 'web1').length / nodes.length;
    expect(Math.abs(share - 25 / 125)).toBeLessThan(0.06);
  });

  test('a server of weight 0 gets no new request, and is seen to be draining', async () => {
    await weigh('web1', 0);
    expect(new Set(await askOften(10))).toEqual(new Set(['web2']));
    const { servers } = await lab().balancer.observe();
    for (const { node, weight, rotation } of servers)
      expect([weight, rotation]).toEqual(node === 'web1' ? [0, 'draining'] : [100, 'in']);
    await weigh('web1', 100);
    expect(new Set(await askOften(20))).toEqual(new Set(['web1', 'web2']));
  });

  test('a weight that was set out of rotation holds once the node is put in', async () => {
    const { balancer } = lab();
    await balancer.change([{ node: 'web1', server: null, to: 'out' }]);
    await weigh('web1', 5);
    await balancer.change([{ node: 'web1', server: null, to: 'in' }]);
    expect(new Set(await weightsOf('web1'))).toEqual(new Set([5]));
  });

  test('a server that the settings do not know is refused before anything is weighed', async () => {
    const shift = lab().balancer.shift([
      { node: 'web1', server: null, to: 50 },
      { node: 'web1', server: 'another balancer web1', to: 50 },
    ]);
    await expect(shift).rejects.toMatchObject({
      code: 'BALANCER_SERVER_UNKNOWN',
      details: { server: 'another balancer web1' },
    });
    expect(new Set(await weightsOf('web1'))).toEqual(new Set([100]));
  });

  test('describes a shift in one line', () => {
    const line = lab().balancer.describe({ node: 'web1', server: null, to: 25 });
    expect(line).toMatch(/web1.*\b25 ?%/);
    expect(line).not.toMatch(/web2|\n/);
  });

  test('counting and weighing are interrupted by their signal', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    const shift = lab().balancer.shift([{ node: 'web1', server: null, to: 25 }], signal);
    await expect(shift).rejects.toThrow('enough');
    await expect(lab().balancer.count(signal)).rejects.toThrow('enough');
  });

  test('a member that was restarted counts from 0, under another incarnation', async () => {
    const { balancer } = lab();
    await askOften(4);
    const before = await balancer.count();
    await lab().restartMember();
    const after = await balancer.count();
    expect(after.members[0]!.incarnation).not.toBe(before.members[0]!.incarnation);
    expect(after.members.slice(1)).toEqual(before.members.slice(1));
    for (const { member, answers } of after.servers)
      if (member === after.members[0]!.member)
        expect(answers).toEqual({ requests: 0, errors: 0, refused: 0, responseMs: null });
  });
}

/** What was counted in between, for each server that counted anything. */
function grown(before: Counted, after: Counted): ReadonlyMap<string, Omit<Answers, 'responseMs'>> {
  return new Map(
    after.servers.flatMap(({ server, answers }) => {
      const now = answers!;
      const was = before.servers.find((one) => one.server === server)!.answers!;
      const more = {
        requests: now.requests - was.requests,
        errors: now.errors - was.errors,
        refused: now.refused - was.refused,
      };
      return more.requests === 0 ? [] : [[server, more] as const];
    }),
  );
}
