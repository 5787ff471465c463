import { describe, expect, test } from 'vitest';
import { freshAfter } from '../../../src/core/counts.ts';
import { parseFields } from '../../../src/core/field.ts';
import type { OnFailure } from '../../../src/core/site.ts';
import { abort, deploy, promote, propose, resume } from '../../../src/engine/deploy.ts';
import { strategies } from '../../../strategies/index.ts';
import { benchSite } from '../bench-site.ts';

/** A fleet whose balancer counts: each node answers `answersMin` requests in each look, the canary's release its part badly. */
async function counted({
  onFailure = 'rollback' as OnFailure,
  steps = [{ weight: 10, bake: '8s' }] as object[],
} = {}) {
  const bench = benchSite(4, { onFailure });
  const before = await bench.deployed(1);
  const state = { errs: 0, requests: 500, incarnation: 1, restartsAtLook: [] as number[], looks: 0 };
  const answers = new Map([...bench.servers.keys()].map((name) => [name, { requests: 0, errors: 0 }]));
  const shifts: string[] = [];
  const [balancer] = bench.ports.balancers;
  const { observe } = balancer!;
  const members = () => [
    { balancer: 'lb', member: 'lb', unreachable: null, pool: null, incarnation: String(state.incarnation) },
  ];
  Object.assign(balancer!, {
    capabilities: { ...balancer!.capabilities, weights: 'server', counters: true },
    observe: async () => ({ ...(await observe()), members: members() }),
    async shift(changes: readonly { node: string; to: number }[]) {
      for (const { node, to } of changes) {
        shifts.push(`${node} ${to}`);
        bench.servers.set(node, { ...bench.servers.get(node)!, weight: to });
      }
    },
    count: async () => ({
      members: members(),
      servers: [...answers].map(([node, { requests, errors }]) => ({
        balancer: 'lb',
        member: 'lb',
        node,
        server: `lb web/${node}`,
        answers: { requests, errors, refused: 0, responseMs: requests < freshAfter ? null : 20 },
      })),
    }),
  });
  const restart = (): void => {
    state.incarnation++;
    for (const [name, server] of bench.servers) {
      bench.servers.set(name, { ...server, weight: 100 });
      answers.set(name, { requests: 0, errors: 0 });
    }
  };
  const { sleep } = bench.ports.clock;
  Object.assign(bench.ports.clock, {
    sleep(ms: number, signal?: AbortSignal) {
      if (ms === 2000) {
        if (state.restartsAtLook.includes(++state.looks)) restart();
        for (const [name, { requests, errors }] of answers) {
          const bad = bench.live(name) === before ? 0 : Math.round(state.errs * state.requests);
          answers.set(name, { requests: requests + state.requests, errors: errors + bad });
        }
      }
      return sleep(ms, signal);
    },
  });
  const options = parseFields(strategies.canary.options, { steps });
  if (!options.ok) throw new Error(options.problems.join('\n'));
  const request = { ...bench.request(1), strategy: strategies.canary.create(options.value) };
  const weights = (): readonly number[] => [...bench.servers.values()].map(({ weight }) => weight);
  const isBack = (): boolean => bench.lives().every((live) => live === before);
  const texts = (): string =>
    bench.events.flatMap((event) => (event.type === 'note' ? event.text : [])).join('\n');
  return { bench, before, state, shifts, request, weights, isBack, texts };
}

describe('a hold that is judged', () => {
  test('lets a canary pass that is as good as the others, and says by what figures', async () => {
    const { bench, before, request, shifts, weights, texts } = await counted();
    const report = await deploy({ ...request, ref: '2' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'done', exit: 0, warnings: [] });
    expect(bench.lives()).not.toContain(before);
    expect(shifts).toEqual(['web1 10', 'web1 100']);
    expect(weights()).toEqual([100, 100, 100, 100]);
    expect(texts()).toMatch(
      /Hold canary 1 is passed\. The canary failed 0 of 2,000 requests \(0 %\), the other nodes 0 of 6,000/,
    );
  });

  test.each<[OnFailure, object]>([
    ['rollback', { outcome: 'rolled back', exit: 1 }],
    ['rollback-batch', { outcome: 'rolled back', exit: 1 }],
    ['halt', { outcome: 'needs a person', exit: 3 }],
    ['hold', { outcome: 'held', exit: 4 }],
  ])('fails a canary that errs, and %s follows', async (onFailure, ending) => {
    const { bench, state, request, weights, isBack } = await counted({ onFailure });
    state.errs = 0.2;
    const report = await deploy({ ...request, ref: '2' }, bench.ports);
    expect(report).toMatchObject({ ...ending, failure: { code: 'CANARY_FAILED' } });
    expect(bench.rotations()).toEqual(['in', 'in', 'in', 'in']);
    expect(weights()).toEqual([onFailure.startsWith('rollback') ? 100 : 10, 100, 100, 100]);
    expect(isBack()).toBe(onFailure.startsWith('rollback'));
  });

  test('fails a canary after its last change just as well', async () => {
    const { bench, state, request, isBack } = await counted({ steps: [{ nodes: 3, bake: '4s' }] });
    state.errs = 0.2;
    const report = await deploy({ ...request, nodes: ['web1', 'web2', 'web3'], ref: '2' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'rolled back', failure: { code: 'CANARY_FAILED' } });
    expect(isBack()).toBe(true);
  });

  test('holds where there were too few requests, and goes on once a person promotes it', async () => {
    const { bench, before, state, request, weights } = await counted();
    state.requests = 10;
    const report = await deploy({ ...request, ref: '2' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'held', exit: 4 });
    expect(report.failure?.message).toContain('hold canary 1 ended without a verdict. Too few requests');
    expect(bench.lives().filter((live) => live !== before)).toHaveLength(1);
    expect(weights()).toEqual([10, 100, 100, 100]);
    expect(await resume({ ...request, force: true }, bench.ports)).toMatchObject({
      failure: { code: 'HELD' },
    });
    expect(await promote(request, bench.ports)).toMatchObject({ outcome: 'done', exit: 0 });
    expect(bench.lives()).not.toContain(before);
    expect(weights()).toEqual([100, 100, 100, 100]);
  });

  test('holds where there were too few requests, and goes back once a person aborts it', async () => {
    const { bench, state, request, weights, isBack } = await counted();
    state.requests = 10;
    await deploy({ ...request, ref: '2' }, bench.ports);
    expect(await abort({ ...request, force: false }, bench.ports)).toMatchObject({ exit: 0 });
    expect([weights(), isBack()]).toEqual([[100, 100, 100, 100], true]);
  });
});

describe('a balancer that is restarted in a hold', () => {
  test('is told the weights again, and the time begins anew', async () => {
    const { bench, state, request, shifts, texts } = await counted();
    state.restartsAtLook = [3];
    const report = await deploy({ ...request, ref: '2' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'done' });
    expect(shifts).toEqual(['web1 10', 'web1 10', 'web1 100']);
    expect(texts()).toContain('A balancer was restarted during hold canary 1: its time begins anew.');
    expect(state.looks).toBeGreaterThan(6);
  });

  test('twice leaves it to a person', async () => {
    const { bench, state, request } = await counted();
    state.restartsAtLook = [3, 7];
    const report = await deploy({ ...request, ref: '2' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'held', exit: 4 });
    expect(report.failure?.message).toContain('lb was restarted or reloaded in between');
  });
});

test('a plan with weights is refused where a balancer cannot set them, and nothing is touched', async () => {
  const { bench, request, isBack } = await counted();
  Object.assign(bench.ports.balancers[0]!, {
    capabilities: { ...bench.ports.balancers[0]!.capabilities, weights: 'none' },
  });
  await expect(propose({ ...request, ref: '2' }, bench.ports)).rejects.toMatchObject({
    code: 'BALANCER_WITHOUT_WEIGHTS',
    details: { balancer: 'lb', nodes: ['web1'] },
  });
  expect(isBack()).toBe(true);
});

test('a weight that reads back as another one ends the run before the node has changed', async () => {
  const { bench, request, isBack, weights } = await counted();
  Object.assign(bench.ports.balancers[0]!, { shift: async () => {} });
  const report = await deploy({ ...request, ref: '2' }, bench.ports);
  expect(report).toMatchObject({ outcome: 'rolled back', failure: { code: 'BALANCER_NOT_APPLIED' } });
  const activated = bench.events.filter(
    (event) =>
      event.type === 'step-started' &&
      event.step.kind === 'activate' &&
      event.step.release.id !== bench.live('web1'),
  );
  expect([activated, isBack(), weights()]).toEqual([[], true, [100, 100, 100, 100]]);
});
