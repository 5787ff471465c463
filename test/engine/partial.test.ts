import { describe, expect, test } from 'vitest';
import { locksIn } from '../../src/core/observation.ts';
import { abort, deploy, resume, rollback, sync } from '../../src/engine/deploy.ts';
import { setRotation } from '../../src/engine/manual.ts';
import { observe } from '../../src/engine/observe.ts';
import { unlock } from '../../src/engine/unlock.ts';
import { names, node } from '../core/fleet.ts';
import { benchSite } from './bench-site.ts';

type Bench = ReturnType<typeof benchSite>;

const cutOff = (bench: Bench, ...names: readonly string[]): void => {
  bench.faults.run = (name) => (names.includes(name) ? 'unreachable' : null);
};
const mend = (bench: Bench): void => cutOff(bench);

const skipping = (bench: Bench, more: { withoutQuorum?: boolean } = {}) => ({
  ...bench.request(1),
  skipUnreachable: true,
  ...more,
});

/** A deploy that is killed as soon as it has sent a node the word to switch. */
async function dyingAtASwitch(bench: Bench, revision: number): Promise<void> {
  const { ports, died } = bench.mortal(({ name }) => name === 'switch');
  await Promise.race([died, deploy({ ...bench.request(1), ref: String(revision) }, ports)]);
}

describe('S51: a node that cannot be reached', () => {
  test('keeps a deploy from beginning, and nothing is changed', async () => {
    const bench = benchSite(6);
    const before = await bench.deployed(1);
    cutOff(bench, 'web5');
    const report = await bench.deploy(2);
    expect(report).toMatchObject({ outcome: 'refused', exit: 2, failure: { code: 'PREFLIGHT' } });
    expect(report.failure?.message).toContain('web5');
    expect(bench.lives().every((live) => live === before)).toBe(true);
    expect(bench.locked()).toEqual([]);
  });

  test('is left out within the budget, recorded as behind, and the others go on', async () => {
    const bench = benchSite(6, { failuresMax: 1 });
    const before = await bench.deployed(1);
    cutOff(bench, 'web5');
    const report = await deploy({ ...skipping(bench), ref: '2' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'done in part', exit: 6, behind: ['web5'] });
    expect(bench.live('web5')).toBe(before);
    expect(bench.lives().filter((live) => live === before)).toHaveLength(1);
    expect(bench.rotations()).toEqual(Array(6).fill('in'));
    expect(bench.locked()).toEqual([]);
    expect(bench.read('web1', '.sluice/history')).toContain('behind: web5');
  });

  test('beyond the budget is refused, and the message says what would let it be', async () => {
    const bench = benchSite(6, { failuresMax: 1 });
    await bench.deployed(1);
    cutOff(bench, 'web4', 'web5');
    const report = await deploy({ ...skipping(bench), ref: '2' }, bench.ports);
    expect(report).toMatchObject({ exit: 2, failure: { code: 'TOO_MANY_UNREACHABLE' } });
    expect(report.failure?.message).toMatch(
      /web4 and web5 cannot be reached, and failuresMax lets 1 node be left out/,
    );
    expect(report.failure?.hint).toContain('--failures-max 2');
  });

  test('counts among those that may fail', async () => {
    const bench = benchSite(6, { failuresMax: 1 });
    const before = await bench.deployed(1);
    cutOff(bench, 'web5');
    bench.broken.add('web2');
    const report = await deploy({ ...skipping(bench), ref: '2' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'rolled back', exit: 1 });
    expect(bench.lives().every((live) => live === before)).toBe(true);
  });

  test.each([
    ['finished', resume],
    ['taken back', abort],
  ] as const)('does not keep what a dead run left from being %s', async (_, goOn) => {
    const bench = benchSite(5, { failuresMax: 1, onFailure: 'hold' });
    const before = await bench.deployed(1);
    bench.broken.add('web2');
    // The budget is used up by hand: web2 and web5 fail.
    cutOff(bench);
    await dyingAtASwitch(bench, 2);
    bench.broken.clear();
    cutOff(bench, 'web5');
    const report = await goOn({ ...skipping(bench), force: true }, bench.ports);
    expect(report).toMatchObject({ exit: 6, behind: ['web5'] });
    expect(bench.lives().filter((live) => live === before)).toHaveLength(goOn === abort ? 5 : 1);
    // The one that was cut off keeps the lock of the run that died, until somebody frees it.
    expect(bench.locked()).toEqual(['web5']);
  });
});

test('what a dead run left is taken back only where nobody has changed it since', async () => {
  const bench = benchSite(5, { failuresMax: 1 });
  const first = await bench.deployed(1);
  const second = await bench.deployed(2);
  await dyingAtASwitch(bench, 3);
  cutOff(bench, 'web5');
  await unlock(bench.site, bench.ports, {
    locks: locksIn(await observe(bench.site, bench.ports)),
    reason: 'it hangs',
  });
  expect(await rollback({ ...skipping(bench), to: null }, bench.ports)).toMatchObject({ exit: 6 });
  mend(bench);
  expect(bench.locked()).toEqual(['web5']);
  expect(await abort({ ...bench.request(1), force: true }, bench.ports)).toMatchObject({ exit: 0 });
  expect(bench.lives()).toEqual([first, first, first, first, second]);
  expect(bench.locked()).toEqual([]);
});

test('sync brings the nodes of each of two pools to the release of their own pool', async () => {
  const nodes = names(6).map((name, i) => node(name, { address: name, pool: i < 3 ? 'blue' : 'green' }));
  const bench = benchSite(6, { nodes });
  await deploy({ ...bench.request(1), ref: '1', nodes: ['web1', 'web2'] }, bench.ports);
  await deploy({ ...bench.request(1), ref: '2', nodes: ['web4', 'web5'] }, bench.ports);
  const [blue, green] = [bench.lives()[0], bench.lives()[3]];
  expect(blue).not.toBe(green);
  const report = await sync({ ...bench.request(1), to: null }, bench.ports);
  expect(report).toMatchObject({ exit: 0, outcome: 'done' });
  expect(bench.lives()).toEqual([blue, blue, blue, green, green, green]);
  expect(await sync({ ...bench.request(1), to: null }, bench.ports)).toMatchObject({
    outcome: 'nothing to do',
  });
});

describe('a majority', () => {
  test('of the nodes is needed, or the word of the operator, which is recorded', async () => {
    const bench = benchSite(2, { failuresMax: 1 });
    await bench.deployed(1);
    cutOff(bench, 'web2');
    const refused = await deploy({ ...skipping(bench), ref: '2' }, bench.ports);
    expect(refused).toMatchObject({ exit: 2, failure: { code: 'NO_QUORUM' } });
    expect(refused.failure?.message).toBe(
      'Only 1 of 2 machines could be locked, and more than half must be: web2 could not.',
    );
    expect(bench.locked()).toEqual([]);
    const report = await deploy({ ...skipping(bench, { withoutQuorum: true }), ref: '2' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'done in part', exit: 6 });
    expect(report.warnings.join()).toContain('1 of 2 of those that vote');
    expect(bench.read('web1', '.sluice/history')).toContain('without a quorum (1 of 2)');
  });

  test('is had with a witness, which is asked like a node and given back', async () => {
    const bench = benchSite(2, { failuresMax: 1, witnesses: [node('vote', { address: 'vote' })] });
    await bench.deployed(1);
    cutOff(bench, 'web2');
    const held: boolean[] = [];
    bench.faults.run = (name, { name: command }) => {
      if (command === 'switch') held.push(bench.exists('vote', '.sluice/lock'));
      return name === 'web2' ? 'unreachable' : null;
    };
    const report = await deploy({ ...skipping(bench), ref: '2' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'done in part', exit: 6 });
    expect(held).toEqual([true]);
    expect(bench.exists('vote', '.sluice/lock')).toBe(false);
    expect(bench.list('vote', '.').includes('current')).toBe(false);
  });

  test('two runs cannot have at once, whichever part of the fleet each reaches', async () => {
    const witnesses = [node('vote', { address: 'vote' })];
    const bench = benchSite(2, { failuresMax: 1, witnesses });
    await bench.deployed(1);
    bench.write('vote', '.sluice/lock', 'another\n{"holder":"bob"}\n');
    cutOff(bench, 'web2');
    const report = await deploy({ ...skipping(bench), ref: '2' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'locked', exit: 5 });
    expect(report.failure?.message).toContain('on vote');
    expect(bench.locked()).toEqual([]);
    mend(bench);
    const locks = locksIn(await observe(bench.site, bench.ports));
    await unlock(bench.site, bench.ports, { locks, reason: 'it is gone' });
    expect(await bench.deploy(2)).toMatchObject({ outcome: 'done', exit: 0 });
  });

  test('does not depend on a witness that is ill', async () => {
    const bench = benchSite(2, { witnesses: [node('vote', { address: 'vote' })] });
    cutOff(bench, 'vote');
    const report = await bench.deploy(1);
    expect(report).toMatchObject({ outcome: 'done', exit: 0 });
    expect(report.warnings.join()).toContain('witness vote did not vote');
  });

  test('is needed for work by hand too, unless it is forced', async () => {
    const bench = benchSite(2, { servingMin: 0 });
    await bench.deployed(1);
    cutOff(bench, 'web2');
    const byHand = { nodes: ['web1'], to: 'out', signal: new AbortController().signal } as const;
    await expect(setRotation(bench.site, bench.ports, { ...byHand, force: false })).rejects.toMatchObject({
      code: 'NO_QUORUM',
      hint: expect.stringContaining('--force'),
    });
    await setRotation(bench.site, bench.ports, { ...byHand, force: true });
    expect(bench.rotations()).toEqual(['out', 'in']);
  });
});

describe('S53: sync', () => {
  test('brings a node that was built anew exactly what the others have, and touches no other', async () => {
    const bench = benchSite(4);
    const first = await bench.deployed(1);
    const second = await bench.deployed(2);
    bench.rebuild('web4');
    const from = bench.events.length;
    const report = await sync({ ...bench.request(1), nodes: ['web4'], to: null }, bench.ports);
    expect(report).toMatchObject({ outcome: 'done', exit: 0, failure: null });
    expect(bench.live('web4')).toBe(second);
    expect(bench.read('web4', `releases/${second}/REVISION`)).toBe(
      bench.read('web1', `releases/${second}/REVISION`),
    );
    const touched = bench.events
      .slice(from)
      .flatMap((event) => (event.type === 'node-done' ? [event.node] : []));
    expect(new Set(touched)).toEqual(new Set(['web4']));
    const again = await sync({ ...bench.request(1), nodes: null, to: null }, bench.ports);
    expect(again).toMatchObject({ outcome: 'nothing to do' });

    const back = await rollback({ ...bench.request(1), to: first as never }, bench.ports);
    expect(back.failure?.message).toBe(`Release ${first} is not whole on web4.`);
  });

  test('brings on what was left behind, and nobody is asked for names', async () => {
    const bench = benchSite(4, { failuresMax: 1 });
    await bench.deployed(1);
    cutOff(bench, 'web3');
    await deploy({ ...skipping(bench), ref: '2' }, bench.ports);
    mend(bench);
    expect(await sync({ ...bench.request(1), to: null }, bench.ports)).toMatchObject({ outcome: 'done' });
    expect(new Set(bench.lives()).size).toBe(1);
  });

  test('does not run once-hooks again, and not those around a deploy', async () => {
    const hook = (point: 'after:prepare' | 'after:deploy' | 'after:activate', once: boolean) =>
      ({
        name: point,
        point,
        action: {
          kind: 'nodes',
          command: ['sh', '-c', `echo ${point} >> ../../ran`],
          role: null,
          once,
          timeoutMs: 1000,
        },
      }) as const;
    const bench = benchSite(3, {
      hooks: [hook('after:prepare', true), hook('after:activate', false), hook('after:deploy', false)],
    });
    await bench.deployed(1);
    bench.rebuild('web3');
    expect(await sync({ ...bench.request(1), to: null }, bench.ports)).toMatchObject({ exit: 0 });
    expect(bench.read('web3', 'ran')).toBe('after:activate\n');
  });

  test('asks which release is meant where as many nodes run one as another', async () => {
    const bench = benchSite(2);
    const first = await bench.deployed(1);
    await deploy({ ...bench.request(1), nodes: ['web2'], ref: '2' }, bench.ports);
    const report = await sync({ ...bench.request(1), to: null }, bench.ports);
    expect(report).toMatchObject({ exit: 2, failure: { code: 'FLEET_MIXED' } });
    const named = await sync({ ...bench.request(1), to: first as never }, bench.ports);
    expect(named).toMatchObject({ outcome: 'done' });
    expect(bench.lives()).toEqual([first, first]);
  });

  test('fetches again what a lost connection cut off', async () => {
    const bench = benchSite(3);
    await bench.deployed(1);
    bench.rebuild('web3');
    let lost = 0;
    bench.faults.run = (_, { name: command }) =>
      command === 'pack-release' && lost++ < 2 ? 'lost after' : null;
    expect(await sync({ ...bench.request(1), to: null }, bench.ports)).toMatchObject({ outcome: 'done' });
    expect(lost).toBe(3);
  });
});
