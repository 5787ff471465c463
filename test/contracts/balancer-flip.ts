import { describe, expect, test, vi } from 'vitest';
import type { Balancer } from '../../src/ports.ts';

/** A balancer that sends requests to pool blue, `web1`, and not to pool green, `web2`. Made anew for each test. */
export interface FlipLab {
  readonly balancer: Balancer;
  readonly members: number;
  /** Sends one request through the member; the node that it went to. */
  ask(member: number): Promise<string>;
  /** The first member. */
  restartMember(): Promise<void>;
}

/** What every driver promises that can flip. Tried on the simulator's twin too. */
export function flipContract(lab: () => FlipLab, { isKept = true, hasShares = false } = {}): void {
  const poolsSeen = async () => (await lab().balancer.observe()).members.map(({ pool }) => pool);
  const all = <T>(value: T): readonly T[] => Array.from({ length: lab().members }, () => value);
  const askAll = async (times: number): Promise<ReadonlySet<string>> => {
    const nodes = new Set<string>();
    for (let member = 0; member < lab().members; member++)
      for (let i = 0; i < times; i++) nodes.add(await lab().ask(member));
    return nodes;
  };

  test('the pool that gets the requests is seen at every member', async () => {
    expect(await poolsSeen()).toEqual(all('blue'));
    expect(await askAll(20)).toEqual(new Set(['web1']));
  });

  test('after a flip, none of 1,000 requests goes to the other pool', async () => {
    await lab().balancer.flip('green');
    expect(await askAll(1000 / lab().members)).toEqual(new Set(['web2']));
    expect(await poolsSeen()).toEqual(all('green'));
  });

  test('a flip may be told twice, and taken back', async () => {
    await lab().balancer.flip('green');
    await lab().balancer.flip('green');
    await lab().balancer.flip('blue');
    expect(await poolsSeen()).toEqual(all('blue'));
    expect(await askAll(20)).toEqual(new Set(['web1']));
  });

  test('a flip leaves the rotation of every server as it is', async () => {
    const states = async () => (await lab().balancer.observe()).servers.map(({ rotation }) => rotation);
    const before = await states();
    await lab().balancer.flip('green');
    expect(await states()).toEqual(before);
  });

  test('a flip outlives a restart, or it was said that it does not', async () => {
    expect(lab().balancer.capabilities.flip).toBe(isKept ? 'kept' : 'forgotten');
    await lab().balancer.flip('green');
    await lab().restartMember();
    // A connection of before may just be closing.
    const pools = isKept ? all('green') : ['blue', ...all('green').slice(1)];
    await vi.waitFor(async () => expect(await poolsSeen()).toEqual(pools), { timeout: 15_000, interval: 20 });
    const nodes = pools.map((pool) => (pool === 'green' ? 'web2' : 'web1'));
    expect(await askAll(20)).toEqual(new Set(nodes));
  });

  if (!hasShares) return;
  describe('a part of the requests', () => {
    /** Of 1,000 requests, those that went to pool green. */
    const greenOf = async (): Promise<number> => {
      let green = 0;
      for (let i = 0; i < 1000; i++) if ((await lab().ask(i % lab().members)) === 'web2') green++;
      return green;
    };

    const partsSeen = async () => (await lab().balancer.observe()).members.map(({ parts }) => parts);

    test('goes to the pool that it was promised, and what each gets is said of no one pool', async () => {
      expect(lab().balancer.capabilities.weights).toBe('pool');
      for (const percent of [20, 70]) {
        await lab().balancer.share!('green', percent);
        expect(await poolsSeen()).toEqual(all(null));
        expect(await partsSeen()).toEqual(all({ blue: 100 - percent, green: percent }));
        expect(Math.abs((await greenOf()) - percent * 10)).toBeLessThan(100);
      }
    });

    test('may be told twice, and ends by a flip, onward or back', async () => {
      for (const pool of ['green', 'blue'] as const) {
        await lab().balancer.share!('green', 50);
        await lab().balancer.share!('green', 50);
        await lab().balancer.flip(pool);
        expect(await poolsSeen()).toEqual(all(pool));
        expect(await partsSeen()).toEqual(all(undefined));
        expect(await askAll(50)).toEqual(new Set([pool === 'green' ? 'web2' : 'web1']));
      }
    });
  });
}
