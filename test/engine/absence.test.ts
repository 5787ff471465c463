import { expect, test } from 'vitest';
import { lookingPast } from '../../src/engine/absence.ts';
import { benchSite } from './bench-site.ts';

test('an absent balancer is asked nothing, nor told, of WebSockets and parts of the traffic', async () => {
  const { site, ports } = benchSite(2);
  const asked: string[] = [];
  const ask = async (what: string) => void asked.push(what);
  const balancer = {
    ...ports.balancers[0]!,
    webSockets: {
      async count() {
        await ask('count');
        return new Map([['web1', 1]]);
      },
      close: () => ask('close'),
    },
    share: () => ask('share'),
  };
  const yielding = {
    ...site,
    balancers: site.balancers.map((one) => ({ ...one, onUnreachable: 'go on' as const })),
  };
  const { ports: open, absences } = lookingPast(yielding, { ...ports, balancers: [balancer] });
  const [seen] = open.balancers;
  const use = async () => {
    const { size } = await seen!.webSockets!.count();
    await seen!.webSockets!.close(['web1']);
    await seen!.share!('green', 5);
    return size;
  };
  expect([await use(), asked.splice(0)]).toEqual([1, ['count', 'close', 'share']]);
  absences.set(balancer.name, { balancer, why: '', sinceMs: 0, seen: [], isBack: false, probe: null });
  expect([await use(), asked]).toEqual([0, []]);
});
