import { describe, expect, test } from 'vitest';
import type { FleetPorts } from '../../src/ports.ts';
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

const kinds = ['sluice', 'refresh'] as const;

describe.each(kinds)('a group that %s replaces', (replace) => {
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

const seeds = Array.from({ length: 12 }, (_, i) => i + 1);
const wrong = async (mutant: (ports: FleetPorts) => FleetPorts): Promise<string> => {
  const lives = await Promise.all(seeds.map((seed) => live({ seed, mutant })));
  return lives.flatMap(({ broken }) => broken).join('\n');
};
const ordering = (change: (order: Parameters<FleetPorts['fleet']['perform']>[0]) => typeof order | null) =>
  wrong((ports) => ({
    ...ports,
    fleet: {
      ...ports.fleet,
      perform: async (order, signal) => {
        const changed = change(order);
        if (changed) await ports.fleet.perform(changed, signal);
      },
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
    const trusting = await wrong((ports) => ({
      ...ports,
      http: { ...ports.http, request: async () => ({ status: 200, body: '' }) },
    }));
    expect(trusting).toContain('proof before traffic');
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
