import { describe, expect, test } from 'vitest';
import type { Event } from '../../../src/core/event.ts';
import { deploy, resume } from '../../../src/engine/deploy.ts';
import { strategies } from '../../../strategies/index.ts';
import { names, node } from '../../core/fleet.ts';
import { parsedDefaults } from '../../strategies/defaults.ts';
import { benchSite } from '../bench-site.ts';

const poolOf = (name: string): string => (['web1', 'web2'].includes(name) ? 'blue' : 'green');

/** Two pools, and a balancer that counts: each node of the live one answers 300 requests between two looks. */
async function flippable({ counters = true, bake = 20_000, weights = 'pool' } = {}) {
  const bench = benchSite(4, {
    nodes: names(4).map((name) => node(name, { address: name, pool: poolOf(name) })),
  });
  const state = {
    pool: 'blue',
    share: null as string | null,
    incarnation: 1,
    flips: [] as string[],
    looks: 0,
  };
  const errs = { blue: 0, green: 0 };
  const during: { look: (looks: number) => void } = { look: () => {} };
  const answers = new Map(names(4).map((name) => [name, { requests: 0, errors: 0 }]));
  const [balancer] = bench.ports.balancers;
  const { observe } = balancer!;
  const members = () => [
    {
      balancer: 'lb',
      member: 'lb',
      unreachable: null,
      pool: state.share === null ? state.pool : null,
      incarnation: `${state.incarnation}`,
    },
  ];
  const serve = (): void => {
    for (const [name, { requests, errors }] of answers) {
      const pool = poolOf(name) as keyof typeof errs;
      if (pool === state.pool || pool === state.share)
        answers.set(name, { requests: requests + 300, errors: errors + Math.round(300 * errs[pool]) });
    }
  };
  Object.assign(balancer!, {
    capabilities: { ...balancer!.capabilities, weights, flip: 'kept', counters },
    observe: async () => ({ ...(await observe()), members: members() }),
    async flip(to: string) {
      state.pool = to;
      state.share = null;
      state.flips.push(to);
    },
    async share(to: string, percent: number) {
      state.share = to;
      state.flips.push(`${percent} % to ${to}`);
    },
    async count() {
      serve();
      return {
        members: members(),
        servers: [...answers].map(([name, { requests, errors }]) => ({
          balancer: 'lb',
          member: 'lb',
          node: name,
          server: `lb web/${name}`,
          answers: { requests, errors, refused: 0, responseMs: null },
        })),
      };
    },
  });
  const { sleep } = bench.ports.clock;
  Object.assign(bench.ports.clock, {
    sleep(ms: number, signal?: AbortSignal) {
      if (ms === 2000) during.look(++state.looks);
      return sleep(ms, signal);
    },
  });
  const create = (more: object = {}) =>
    strategies['blue-green'].create({ ...parsedDefaults(strategies['blue-green'].options), bake, ...more });
  const release = (ref: string, more: object = {}) => {
    state.flips.length = 0;
    return deploy({ ...bench.request(1), strategy: create(more), ref }, bench.ports);
  };
  expect((await release('1', { bake: 1 })).failure).toBe(null);
  const notes = (): string =>
    bench.events.flatMap((event) => (event.type === 'note' ? event.text : [])).join('\n');
  /** Deploys, dies while it bakes, and is gone on for. */
  const diedAndResumed = async (ref: string) => {
    let isBaking = false;
    const { emit } = bench.ports;
    const { ports, died } = bench.mortal(() => isBaking);
    const request = { ...bench.request(1), strategy: create() };
    const watching = {
      ...ports,
      emit: (event: Event) => {
        isBaking ||= event.type === 'step-started' && event.step.kind === 'hold';
        emit(event);
      },
    };
    state.flips.length = 0;
    await Promise.race([died, deploy({ ...request, ref }, watching)]);
    const [diedAtMs, flipped] = [bench.ports.clock.nowMs(), [...state.flips]];
    const report = await resume({ ...request, force: true }, bench.ports);
    return { report, flipped, tookMs: bench.ports.clock.nowMs() - diedAtMs };
  };
  return { bench, state, errs, answers, during, notes, release, diedAndResumed };
}

describe('a run that died while its pool baked', () => {
  test('is gone on for by a bake of the whole time', async () => {
    const { diedAndResumed, state } = await flippable({ bake: 20_000 });
    const { report, flipped, tookMs } = await diedAndResumed('2');
    expect(report).toMatchObject({ outcome: 'done', exit: 0 });
    expect([state.flips, flipped.length]).toEqual([flipped, 1]);
    expect(tookMs).toBeGreaterThanOrEqual(20_000);
  });

  test('goes back by the one that goes on, if the pool fails then', async () => {
    const { diedAndResumed, bench, state, during } = await flippable({ bake: 60_000 });
    const before = state.pool;
    during.look = (looks) => void (looks === 3 && bench.broken.add(before === 'blue' ? 'web4' : 'web2'));
    const { report } = await diedAndResumed('2');
    expect(report).toMatchObject({ outcome: 'rolled back', failure: { code: 'BAKE_UNPROVED' } });
    expect(state.pool).toBe(before);
  });
});

describe('a pool that all traffic was flipped to', () => {
  test('stays live if it answers as the one before did, and it is said by what figures', async () => {
    const { release, state, notes } = await flippable();
    expect(await release('2')).toMatchObject({ outcome: 'done', exit: 0 });
    expect(state.flips).toHaveLength(1);
    expect(notes()).toMatch(
      /Hold bake is passed\. The pool failed 0 of [\d,]+ requests \(0 %\), the one before it 0 of/,
    );
  });

  test('goes back by itself, long before the bake is over, if it errs more than the one before did', async () => {
    const { release, state, errs } = await flippable({ bake: 600_000 });
    const before = state.pool;
    errs[before === 'blue' ? 'green' : 'blue'] = 0.2;
    const report = await release('2');
    expect(report).toMatchObject({ outcome: 'rolled back', exit: 1, failure: { code: 'BAKE_WORSE' } });
    expect([state.pool, state.flips.length]).toEqual([before, 2]);
    expect(state.looks).toBeLessThan(5);
  });

  test('gets parts of it first if wanted, each of them baked and judged', async () => {
    const { release, state, notes } = await flippable();
    const after = state.pool === 'blue' ? 'green' : 'blue';
    expect(await release('2', { shift: [5, 25], shiftBake: 8000 })).toMatchObject({
      outcome: 'done',
      exit: 0,
    });
    expect(state.flips).toEqual([`5 % to ${after}`, `25 % to ${after}`, after]);
    expect(notes()).toMatch(/Hold bake 5 % is passed\. The pool failed 0 of [\d,]+ requests \(0 %\)/);
    expect(notes()).toMatch(/Hold bake 25 % is passed\. The pool failed 0 of/);
    // Each time against what the pool before answered by itself.
    const measures = [...notes().matchAll(/the one before it 0 of ([\d,]+)/g)].map(
      ([, requests]) => requests,
    );
    expect(new Set(measures.slice(-3)).size).toBe(1);
  });

  test('goes back with the first part of it, if it errs more with that', async () => {
    const { release, state, errs } = await flippable();
    const before = state.pool;
    errs[before === 'blue' ? 'green' : 'blue'] = 0.2;
    const report = await release('2', { shift: [5, 25], shiftBake: 600_000 });
    expect(report).toMatchObject({ outcome: 'rolled back', exit: 1, failure: { code: 'BAKE_WORSE' } });
    expect([state.pool, state.share, state.flips.length]).toEqual([before, null, 2]);
  });

  test.each(['server', 'none'])(
    'gets no part where a balancer has weights by %s: the plan is refused',
    async (weights) => {
      const { release, state } = await flippable({ weights });
      expect(await release('2', { shift: [5], shiftBake: 8000 })).toMatchObject({
        outcome: 'refused',
        exit: 2,
        failure: { code: 'BALANCER_WITHOUT_SHARES', message: expect.stringContaining('lb cannot') },
      });
      expect(state.flips).toEqual([]);
    },
  );

  test('is not measured by a pool that failed itself', async () => {
    const { release, errs, notes } = await flippable();
    Object.assign(errs, { blue: 0.2, green: 0.4 });
    expect(await release('2')).toMatchObject({ outcome: 'done' });
    expect(notes()).toContain('is no measure');
  });

  test('goes back if a node fails its checks twice', async () => {
    const { bench, release, state, during } = await flippable({ bake: 60_000 });
    const before = state.pool;
    during.look = (looks) => void (looks === 3 && bench.broken.add(before === 'blue' ? 'web4' : 'web2'));
    const report = await release('2');
    expect(report).toMatchObject({ outcome: 'rolled back', failure: { code: 'BAKE_UNPROVED' } });
    expect(report.failure?.message).toMatch(
      /web[24] no longer answered its checks during the hold bake: .*500/,
    );
    expect(state.pool).toBe(before);
  });

  test('stays live if a node fails them once', async () => {
    const { bench, release, during } = await flippable({ bake: 60_000 });
    during.look = (looks) => {
      if (looks === 3) for (const name of names(4)) bench.broken.add(name);
      if (looks === 8) bench.broken.clear();
    };
    expect(await release('2')).toMatchObject({ outcome: 'done' });
  });

  test('is counted anew where a balancer is restarted meanwhile', async () => {
    const { release, state, errs, answers, during } = await flippable({ bake: 60_000 });
    const before = state.pool;
    during.look = (looks) => {
      if (looks !== 3) return;
      state.incarnation++;
      for (const name of answers.keys()) answers.set(name, { requests: 0, errors: 0 });
      errs[before === 'blue' ? 'green' : 'blue'] = 0.2;
    };
    expect(await release('2')).toMatchObject({ outcome: 'rolled back', failure: { code: 'BAKE_WORSE' } });
  });

  test('is judged by health and checks alone where no balancer counts, and the plan says so', async () => {
    const { release, errs, notes } = await flippable({ counters: false });
    Object.assign(errs, { blue: 0.2, green: 0.4 });
    expect(await release('2')).toMatchObject({ outcome: 'done' });
    expect(notes()).toContain(
      'No balancer counts what nodes answer: after the flip, health and checks alone judge',
    );
  });
});

test('the plan of a canary says that each of its steps ends in a hold where no balancer counts', async () => {
  const bench = benchSite(4);
  await bench.deployed(1);
  const steps = [{ nodes: 1, weight: 100, bake: 1000, hold: false }];
  const strategy = strategies.canary.create({ ...parsedDefaults(strategies.canary.options), steps });
  await deploy({ ...bench.request(1), strategy, ref: '2' }, bench.ports);
  const texts = bench.events.flatMap((event) => (event.type === 'note' ? event.text : []));
  expect(texts).toContain(
    'No balancer counts what nodes answer: every step of the canary ends in a hold, for a person.',
  );
});
