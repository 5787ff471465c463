import { describe, expect, test } from 'vitest';
import type { CronSettings, Site } from '../../src/core/site.ts';
import { strategies } from '../../strategies/index.ts';
import { parsedDefaults } from '../strategies/defaults.ts';
import { canaryOf, run, story } from './seeds.ts';

const kinds = {
  rolling: () => ({ strategy: strategies.rolling.create({ batch: [1], hold: null }), batchMax: 1 }),
  'all-at-once': (_random: unknown, nodes: number) => ({
    strategy: strategies['all-at-once'].create({}),
    batchMax: nodes,
  }),
} as const;

const cron: CronSettings = {
  node: null,
  role: 'cron',
  jobs: [{ schedule: '* * * * *', run: ['true'] }],
  file: null,
  keptIn: 'crontab',
  onRunning: 'wait',
  timeoutMs: 20_000,
  hold: 'deploy',
  fence: null,
};

const site: Partial<Site> = {
  balancers: [{ name: 'lb1', kind: 'simulated', onUnreachable: 'stop' as const, options: {} }],
  cron,
  hooks: [
    {
      name: 'migrate',
      point: 'after:prepare',
      action: { kind: 'nodes', command: ['migrate'], role: null, once: true, timeoutMs: 60_000 },
    },
  ],
};

type Life = Parameters<typeof run>[0];

/** The first site on which nothing stands in the way of the command. */
async function fitting(settings: Omit<Life, 'seed'>): Promise<{
  readonly seed: number;
  readonly calls: readonly string[];
}> {
  for (let seed = 1; seed < 50; seed++) {
    const { ends, calls, broken } = await run({ ...settings, seed });
    expect(broken).toEqual([]);
    if (ends[0] === `${settings.command}: done`) return { seed, calls };
  }
  throw new Error('no seed fits');
}

interface Death {
  readonly atCall: number;
  readonly isSent: boolean;
}

/**
 * After each call that changes something is out, and before it where looks went before, for then time has passed. Who dies
 * at a look, or between two changes, leaves the same world as who dies once the change before is out.
 */
const deathsAt = (calls: readonly string[]): readonly Death[] =>
  calls.flatMap((call, i) => {
    const before = { atCall: i + 1, isSent: false };
    if (isLook(call)) return i === 0 ? [before] : [];
    const after = { ...before, isSent: true };
    return i === 0 || isLook(calls[i - 1]!) ? [before, after] : [after];
  });

const isLook = (call: string): boolean =>
  /^(reads|inspect|asks|resolves|compares|count-connections|read-history)\b/.test(call);

/** Killed at any call it ends clean, and nobody has to break a lock. */
async function survivesKills({ calls, ...settings }: Life & { readonly calls: readonly string[] }) {
  const { command } = settings;
  const deaths = deathsAt(calls);
  const failed: string[] = [];
  for (const death of deaths) {
    const simulated = await run({ ...settings, doom: { death, signal: null } });
    const place = `call ${death.atCall}, ${death.isSent ? '' : 'not '}sent: ${simulated.ends.join(', ')}`;
    if (simulated.ends[0] !== `${command}: died`) failed.push(place);
    if (simulated.ends.some((end) => end.startsWith('unlock'))) failed.push(place);
    if (simulated.broken.length > 0) failed.push(`${place}\n${story(simulated)}`);
  }
  expect(failed.slice(0, 2).join('\n\n'), `${failed.length} of ${deaths.length} deaths`).toBe('');
}

describe.each(['deploy', 'rollback'] as const)('a %s that dies at any call of a port', (command) => {
  describe.each(Object.entries(kinds))('by %s', (_name, strategy) => {
    describe.each(['resume', 'abort'] as const)('is mended by %s', (goesOn) => {
      test.each([1, 2, 3, 4])('on %d nodes', async (nodes) => {
        const settings = { nodes, strategy, goesOn, faults: {}, command, site };
        await survivesKills({ ...settings, ...(await fitting(settings)) });
      });
    });
  });
});

describe.each(['deploy', 'flip'] as const)('a %s of two pools that dies at any call of a port', (command) => {
  describe.each(['resume', 'abort'] as const)('is mended by %s', (goesOn) => {
    test.each([2, 4])('on %d nodes', async (nodes) => {
      const strategy = () => ({
        strategy: strategies['blue-green'].create({
          ...parsedDefaults(strategies['blue-green'].options),
          bake: 3000,
          ...(command === 'deploy' ? { shift: [20], shiftBake: 1000 } : {}),
        }),
        batchMax: nodes,
      });
      const ofPools = {
        ...site,
        cron: { ...cron, hold: 'never' as const },
        balancers: [
          ...(site.balancers ?? []),
          { name: 'lb2', kind: 'simulated', onUnreachable: 'stop' as const, options: {} },
        ],
      };
      const settings = { nodes, strategy, goesOn, faults: {}, command, site: ofPools };
      await survivesKills({ ...settings, ...(await fitting(settings)) });
    });
  });
});

/** Nobody is judged on one node alone. */
test.each([2, 3])(
  'a canary that dies at any call of a port is mended, and judged anew: on %d nodes',
  async (nodes) => {
    const strategy = canaryOf({ weight: 10, bake: 6000, verdict: { requestsMin: 1, falseAlarms: 0.5 } });
    const settings = {
      nodes,
      strategy,
      faults: {},
      command: 'deploy',
      site: { ...site, servingMin: 0 },
    } as const;
    const { seed, calls } = await fitting(settings);
    const failed: string[] = [];
    const deaths = deathsAt(calls);
    for (const death of deaths) {
      for (const goesOn of ['resume', 'abort'] as const) {
        const simulated = await run({ ...settings, seed, goesOn, doom: { death, signal: null } });
        if (simulated.broken.length > 0) failed.push(`call ${death.atCall}, ${goesOn}\n${story(simulated)}`);
      }
    }
    expect(failed.slice(0, 2).join('\n\n'), `${failed.length} of ${2 * deaths.length} deaths`).toBe('');
  },
);
