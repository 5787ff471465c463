import { expect, test } from 'vitest';
import type { MachineImage } from '../../src/core/fleet.ts';
import { pruneMachineImages, takeMachineImage } from '../../src/engine/machine-image.ts';
import type { FleetPorts } from '../../src/ports.ts';
import { newImage, oldImage } from '../../src/simulator/fleet-world.ts';
import { fleetSite } from '../adapters/fleets/fleet-site.ts';
import { image } from '../adapters/fleets/memory.ts';
import { inFleet } from './fleet-world.ts';

const signal = new AbortController().signal;
const checked = fleetSite({ seed: { ...fleetSite().seed, checks: fleetSite().checks, timeoutMs: 60_000 } });

/** Images that have these states, one after the other; the last one stays. */
function withStates(ports: FleetPorts, states: readonly MachineImage['state'][], answer: number) {
  const left = [...states];
  const asked: string[] = [];
  const images: FleetPorts['fleet']['images'] = {
    ...ports.fleet.images,
    async take({ name, checks }) {
      asked.push(`take ${name} ${checks}`);
      return newImage;
    },
    read: async () => ({ ...image(newImage), state: left.length > 1 ? left.shift()! : left[0]! }),
  };
  const http: FleetPorts['http'] = {
    async request({ url }) {
      asked.push(url);
      return { status: answer, body: '' };
    },
  };
  return { asked, ports: { ...ports, http, fleet: { ...ports.fleet, images } } };
}

test('the seed is asked its checks, then an image is taken, and waited for', () =>
  inFleet(async ({ ports }) => {
    const { asked, ports: own } = withStates(ports, ['gone', 'pending', 'available'], 200);
    expect(await takeMachineImage(checked, own, signal)).toMatchObject({ id: newImage, state: 'available' });
    expect(asked).toEqual([
      'http://seed.internal:80/up',
      expect.stringMatching(/^take shop-production-20270115\d{6} 1$/),
    ]);
  }));

test('no image is taken of a seed that does not answer its checks', () =>
  inFleet(async ({ ports }) => {
    const { asked, ports: own } = withStates(ports, ['available'], 500);
    await expect(takeMachineImage(checked, own, signal)).rejects.toMatchObject({ code: 'CHECK_FAILED' });
    expect(asked.join()).not.toContain('take');
  }));

test.each([
  [['pending', 'failed'], 'AWS does not say why'],
  [['pending'], 'it is pending after 60000 ms'],
] as const)('an image that is %j at last is a failure', (states, reason) =>
  inFleet(async ({ ports }) => {
    const { ports: own } = withStates(ports, states, 200);
    await expect(takeMachineImage(checked, own, signal)).rejects.toMatchObject({
      code: 'IMAGE_FAILED',
      details: { image: newImage, reason },
    });
  }),
);

test('what something is made of is not pruned, however old', () =>
  inFleet(async ({ ports }) => {
    const removed: string[] = [];
    const images: FleetPorts['fleet']['images'] = {
      ...ports.fleet.images,
      list: async () => ['ami-5', 'ami-4', 'ami-3', oldImage].map((id) => image(id)),
      async remove(ids) {
        removed.push(...ids);
      },
    };
    const own = { ...ports, fleet: { ...ports.fleet, images } };
    await pruneMachineImages(fleetSite({ keepReleases: 2 }), own, signal);
    expect(removed).toEqual(['ami-3']);
  }));
