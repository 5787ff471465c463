import { expect, test } from 'vitest';
import { dutyHooks } from '../../src/core/migration.ts';
import { deploy, resume } from '../../src/engine/deploy.ts';
import { benchSite } from './bench-site.ts';

const said = (part: string): string => `echo ${part} $SLUICE_RELEASE >> /srv/shop/shared/ran`;

test.each([
  ['before its migration', 'run-hook'],
  ['after its migration', 'switch'],
] as const)(
  'a release that took the place of an attempt that died %s is contracted later, by its own name',
  async (_, last) => {
    const migrate = { expand: said('expand'), contract: said('contract'), irreversible: null };
    const bench = benchSite(2, {
      hooks: dutyHooks({ ...migrate, role: null, timeoutMs: 5000 }, null),
    });
    const first = await bench.deployed(1);
    const { ports, died } = bench.mortal(({ name }) => name === last);
    await Promise.race([died, deploy({ ...bench.request(1), ref: '2', nodes: ['web1'] }, ports)]);
    const [attempt] = bench.list('web1', 'releases').toSorted().slice(-1);
    bench.pass(60_000);
    bench.remove('web1', `releases/${attempt}`);
    expect(await resume({ ...bench.request(1), force: true }, bench.ports)).toMatchObject({ exit: 0 });
    const [anew] = bench.lives();
    expect(anew).not.toBe(attempt);
    bench.pass(60_000);
    expect(await deploy({ ...bench.request(1), ref: '3', nodes: ['web2'] }, bench.ports)).toMatchObject({
      exit: 0,
    });
    const ran = bench.read('web1', 'shared/ran').trim().split('\n');
    expect(ran.filter((line) => line.startsWith('contract'))).toEqual([
      `contract ${first}`,
      `contract ${anew}`,
    ]);
    expect(ran.filter((line) => line.startsWith('expand'))).toHaveLength(2);
  },
);
