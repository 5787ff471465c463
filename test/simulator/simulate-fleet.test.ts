import { describe, expect, test } from 'vitest';
import type { Environment } from '../../src/core/fleet.ts';
import type { Fleet, FleetOrder, FleetPorts } from '../../src/ports.ts';
import { newImage, oldImage } from '../../src/simulator/fleet-world.ts';
import {
  type FleetSimulation,
  type SimulatedFleet,
  simulateFleet,
} from '../../src/simulator/simulate-fleet.ts';
import { fleetSite } from '../adapters/fleets/fleet-site.ts';

const site = fleetSite();

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const live = (more: Partial<FleetSimulation> = {}): Promise<SimulatedFleet> =>
  simulateFleet({ seed: 1, nextTurn, site, ...more });
const story = ({ seed, broken, trace }: SimulatedFleet): string =>
  broken.length === 0 ? '' : [`seed ${seed}`, ...broken, ...trace].join('\n');

const kinds = ['sluice', 'refresh', 'update', 'swap'] as const;

describe.each(kinds)('a fleet whose machines %s replaces', (replace) => {
  test('comes to a good image, and back from a bad one', async () => {
    const good = await live({ replace, kills: [], image: 'good' });
    expect(story(good)).toBe('');
    expect(good.report).toMatchObject({ outcome: 'done', exit: 0 });
    for (const image of ['wrong', 'dead'] as const) {
      const bad = await live({ replace, kills: [], image });
      expect(story(bad)).toBe('');
      expect(bad.report).toMatchObject({ outcome: 'rolled back', exit: 1 });
    }
  });

  test.each(['resume', 'abort'] as const)('%s ends what was killed at any call', async (goesOn) => {
    for (const image of ['good', 'wrong'] as const) {
      const { calls } = await live({ replace, kills: [], image });
      for (let call = 0; call < calls; call++)
        for (const when of ['before', 'after'] as const)
          expect(story(await live({ replace, kills: [{ call, when }], image, goesOn }))).toBe('');
    }
  });

  test('keeps every promise in lives that chance makes', async () => {
    for (let seed = 1; seed <= 60; seed++) expect(story(await live({ seed, replace }))).toBe('');
  });
});

test.each([72, 1172, 1866, 2025])(
  'an environment that somebody rebuilds after it answered is asked anew (seed %i)',
  async (seed) => expect(story(await live({ seed, replace: 'swap' }))).toBe(''),
);

const seeds = Array.from({ length: 12 }, (_, i) => i + 1);
const wrong = async (
  mutant: (ports: FleetPorts) => FleetPorts,
  more: Partial<FleetSimulation> = {},
): Promise<string> => {
  const lives = await Promise.all(seeds.map((seed) => live({ ...more, seed, mutant })));
  return lives.flatMap(({ broken }) => broken).join('\n');
};
const withFleet = (change: (fleet: Fleet, ports: FleetPorts) => Partial<Fleet>) => (ports: FleetPorts) => ({
  ...ports,
  fleet: { ...ports.fleet, ...change(ports.fleet, ports) },
});
const ordering = (
  change: (order: FleetOrder) => FleetOrder | null,
  more: Partial<FleetSimulation> = {},
): Promise<string> =>
  wrong(
    withFleet((fleet) => ({
      async perform(order, signal) {
        const changed = change(order);
        if (changed) await fleet.perform(changed, signal);
      },
    })),
    more,
  );
const trusting = (ports: FleetPorts): FleetPorts => ({
  ...ports,
  http: { ...ports.http, request: async () => ({ status: 200, body: '' }) },
});
/** What is read of environments, by a liar. */
const seenAs = (change: (one: Environment) => Environment) =>
  withFleet((fleet) => ({
    async observe(signal) {
      const state = await fleet.observe(signal);
      return 'environments' in state ? { ...state, environments: state.environments.map(change) } : state;
    },
  }));

describe('a fault in sluice is found', () => {
  test('that forgets what it suspended', async () => {
    expect(await ordering((order) => (order.kind === 'unsuspend' ? null : order))).toMatch(/ends|suspended/);
  });

  test('that ends what still has requests', async () => {
    const ended = await ordering((order) =>
      order.kind === 'drain' ? { kind: 'end', instances: order.instances } : order,
    );
    expect(ended).toContain('no spilled request');
  });

  test('that asks no machine what it answers', async () => {
    expect(await wrong(trusting)).toContain('proof before traffic');
  });

  test('that sees twice as many serving', async () => {
    const seeing = await wrong((ports) => ({
      ...ports,
      fleet: {
        ...ports.fleet,
        async observe(signal) {
          const state = await ports.fleet.observe(signal);
          if (state.kind !== 'group') return state;
          const spare = state.instances
            .slice(0, 1)
            .map((one) => ({ ...one, id: `${one.id}f`, phase: 'aside' as const }));
          const bold = state.instances.map((one) => ({ ...one, healthy: true }));
          return { ...state, instances: [...bold, ...spare] };
        },
      },
    }));
    expect(seeing).toContain('floor');
  });
});

describe('a fault in sluice is found, of Elastic Beanstalk', () => {
  test.each(['update', 'swap'] as const)('that takes Ready for healthy, by %s', async (replace) => {
    const mutant = seenAs((one) => (one.status === 'ready' ? { ...one, health: 'good' } : one));
    const found = await wrong(mutant, { replace, image: 'good', goesOn: 'resume' });
    expect(found).toContain(replace === 'swap' ? 'floor: visitors get green' : 'the end is true: it reports');
  });

  test('that swaps before the other environment has answered', async () => {
    expect(await wrong(trusting, { replace: 'swap' })).toContain('proof before traffic');
  });

  test('that begins with the swap when it goes on, be it done or not', async () => {
    const begun = new WeakSet<Fleet>();
    const mutant = withFleet((fleet) => {
      let isOwed = begun.has(fleet);
      begun.add(fleet);
      return {
        async observe(signal) {
          const state = await fleet.observe(signal);
          if (!isOwed || state.kind !== 'environments') return state;
          const [live, other] = state.environments.toSorted((a, b) => Number(b.isLive) - Number(a.isLive));
          await fleet.perform({ kind: 'swap', from: live!.name, to: other!.name }, signal);
          isOwed = false;
          return fleet.observe(signal);
        },
      };
    });
    const settings = { replace: 'swap', image: 'good', goesOn: 'resume' } as const;
    const { calls } = await live({ ...settings, kills: [] });
    const lives = Array.from({ length: calls }, (_, call) =>
      live({ ...settings, kills: [{ call, when: 'after' }], mutant }),
    );
    const found = (await Promise.all(lives)).flatMap(({ broken }) => broken);
    expect(found).toContain(
      `allowed release: visitors get green with ${oldImage}, and the run leads to ${newImage}`,
    );
    expect(found).toContain(
      `allowed release: visitors get blue with ${oldImage}, and the run leads to ${newImage}`,
    );
  });

  test('that updates the environment that visitors get', async () => {
    const updated = await ordering(
      (order) => (order.kind === 'update' ? { ...order, environment: 'blue' } : order),
      { replace: 'swap' },
    );
    expect(updated).toContain('blast radius');
  });

  test('that takes what it asked for as what is so', async () => {
    const mutant = (ports: FleetPorts): FleetPorts => {
      let told: string | null = null;
      const telling = withFleet((fleet) => ({
        async perform(order, signal) {
          if (order.kind === 'update') told = order.image;
          await fleet.perform(order, signal);
        },
      }))(ports);
      return seenAs((one) => ({ ...one, image: told ?? one.image }))(telling);
    };
    expect(await wrong(mutant, { replace: 'update', image: 'dead' })).toContain('converged');
  });
});
