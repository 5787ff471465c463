import { expect, test } from 'vitest';
import { benchSite } from './bench-site.ts';

const drain = { timeoutMs: 300, onTimeout: 'put-back', enableTimeoutMs: 300, port: null } as const;

/** Long enough for a watch to look. */
async function aMoment({ ports }: ReturnType<typeof benchSite>): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await ports.clock.sleep(100);
}

test('a node that a balancer forgets while the node changes is taken out again at once', async () => {
  const bench = benchSite(2, { drain });
  await bench.deployed(1);
  const { run } = bench.ports.transport;
  const seen: string[] = [];
  Object.assign(bench.ports.transport, {
    async run(...args: Parameters<typeof run>) {
      const [{ name }, command] = args;
      if (command.name !== 'switch' || name !== 'web1') return run(...args);
      bench.servers.set('web1', { ...bench.servers.get('web1')!, rotation: 'in' });
      await aMoment(bench);
      seen.push(bench.servers.get('web1')!.rotation);
      return run(...args);
    },
  });
  expect((await bench.deploy(2)).exit).toBe(0);
  expect(seen).toEqual(['out']);
  expect(bench.rotations()).toEqual(['in', 'in']);
});

test('a balancer that cannot be read meanwhile does not fail the step that goes on', async () => {
  const bench = benchSite(2, { drain });
  await bench.deployed(1);
  const { run } = bench.ports.transport;
  let isGone = false;
  Object.assign(bench.ports.transport, {
    async run(...args: Parameters<typeof run>) {
      if (args[1].name !== 'switch') return run(...args);
      isGone = true;
      await aMoment(bench);
      isGone = false;
      return run(...args);
    },
  });
  const { observe } = bench.ports.balancers[0]!;
  let missed = 0;
  Object.assign(bench.ports.balancers[0]!, {
    async observe() {
      const view = await observe();
      if (!isGone) return view;
      missed++;
      return { members: [{ ...view.members[0]!, unreachable: 'connection refused' }], servers: [] };
    },
  });
  expect((await bench.deploy(2)).exit).toBe(0);
  expect(missed).toBeGreaterThan(0);
});
