import { lockStaleMs } from '../../../src/core/errors.ts';
import type { Event } from '../../../src/core/event.ts';
import type { MachineImage } from '../../../src/core/fleet.ts';
import type { LoggedEntry } from '../../../src/core/fleet-log.ts';
import type { Fleet, FleetLog, FleetPorts, MachineImages } from '../../../src/ports.ts';

/** Time that passes only where somebody waits. */
export const clockOf = (clock: { nowMs: number }): FleetPorts['clock'] => ({
  nowMs: () => clock.nowMs,
  async sleep(ms, signal) {
    await new Promise((resolve) => setImmediate(resolve));
    if (signal?.aborted) return;
    // Beats go on beside the work, and must not hurry it.
    if (ms === beatEveryMs)
      await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
    else clock.nowMs += ms;
  },
});

/** Ports whose time passes only where somebody waits; what the machines answer is `status`. */
export function portsWith(
  fleet: Fleet,
  clock: { nowMs: number },
  status: (url: string) => number = () => 200,
): FleetPorts & { readonly said: string[] } {
  const said: string[] = [];
  let drawn = 0;
  return {
    said,
    clock: clockOf(clock),
    random: { hex: () => `run${drawn++}` },
    http: { request: async ({ url }) => ({ status: status(url), body: '' }) },
    operator: { name: 'ann@laptop', run: async () => ({ status: 0, stdout: '', stderr: '' }) },
    emit: (event: Event) => {
      if (event.type === 'note') said.push(event.text);
    },
    fleet: { ...fleet, log: memoryLog(), images: imagesOf() },
  };
}

const beatEveryMs = lockStaleMs / 3;

export const image = (id: string, environment: string | null = null): MachineImage => ({
  id,
  name: id,
  atMs: 0,
  by: 'ann',
  state: 'available',
  reason: null,
  environment,
});

function imagesOf(): MachineImages {
  const known = [
    image('ami-00000002', 'shop-blue'),
    image('ami-00000001', 'shop-blue'),
    image('ami-00000003'),
  ];
  return {
    seedAddress: async () => 'seed.internal',
    take: async () => 'ami-00000002',
    read: async (id) => known.find((one) => one.id === id) ?? { ...image(id), state: 'gone' },
    list: async () => known,
    remove: async () => {},
  };
}

function memoryLog(): FleetLog {
  const log: LoggedEntry[] = [];
  let beat: string | null = null;
  return {
    read: async () => [...log],
    append: async (entry, after) => log.push({ ...entry, after, number: log.length + 1 }),
    beat: async (text) => {
      beat = text;
    },
    lastBeat: async () => beat,
  };
}
