import { expect, test } from 'vitest';
import { failure } from '../../src/core/errors.ts';
import { openRun } from '../../src/core/fleet-log.ts';
import type { FleetHookPoint, HookFunction, HookSpec } from '../../src/core/hook.ts';
import {
  deployFleet,
  type FleetChange,
  fleetStatus,
  goOnWithFleet,
  openText,
  rollbackFleet,
} from '../../src/engine/fleet.ts';
import type { Fleet } from '../../src/ports.ts';
import { newImage, oldImage } from '../../src/simulator/fleet-world.ts';
import { fleetSite } from '../adapters/fleets/fleet-site.ts';
import { inFleet } from './fleet-world.ts';

const signal = new AbortController().signal;
const request = { site: fleetSite(), signal, confirm: async () => true, ref: newImage };
const goOn = { site: request.site, signal, force: false, confirm: request.confirm };
const stateOf = ({ log }: { log(): Parameters<typeof openRun>[0] }) => openRun(log())?.state ?? null;

test('what is so already is not done again, and asks nobody', () =>
  inFleet(async ({ ports, world }) => {
    const confirm = () => Promise.reject(new Error('asked'));
    expect(await deployFleet({ ...request, confirm, ref: oldImage }, ports)).toMatchObject({
      outcome: 'nothing to do',
      exit: 0,
    });
    expect(world.log()).toEqual([]);
  }));

test('a person who says no leaves everything as it is', () =>
  inFleet(async ({ ports, world }) => {
    const before = world.state();
    const report = await deployFleet({ ...request, confirm: async () => false }, ports);
    expect(report).toMatchObject({ outcome: 'refused', exit: 2, failure: null });
    expect(world.state()).toEqual(before);
    expect(world.log()).toEqual([]);
  }));

test('rollback goes to the image before, and a second one not forward again', () =>
  inFleet(async ({ ports, world }) => {
    expect(await deployFleet(request, ports)).toMatchObject({ outcome: 'done' });
    const rollback = { ...request, to: null };
    expect(await rollbackFleet(rollback, ports)).toMatchObject({ outcome: 'done' });
    expect(world.state().place).toEqual({ image: oldImage, version: '1' });
    expect(await rollbackFleet(rollback, ports)).toMatchObject({
      outcome: 'refused',
      failure: { code: 'NO_IMAGE_BEFORE' },
    });
    expect(await rollbackFleet({ ...request, to: newImage }, ports)).toMatchObject({ outcome: 'done' });
    expect(world.state().place.image).toBe(newImage);
  }));

test('an image that there is not is refused', () =>
  inFleet(async ({ ports }) => {
    const read = async () => ({ ...(await ports.fleet.images.read(newImage)), state: 'gone' as const });
    const images = { ...ports.fleet.images, read };
    const report = await deployFleet(
      { ...request, ref: 'ami-0f' },
      { ...ports, fleet: { ...ports.fleet, images } },
    );
    expect(report).toMatchObject({ outcome: 'refused', exit: 2, failure: { code: 'IMAGE_UNKNOWN' } });
  }));

test('of two deploys at once one has the fleet, and the other is told whose it is', () =>
  inFleet(async ({ ports, world }) => {
    const reports = await Promise.all([1, 2].map(() => deployFleet(request, ports)));
    expect(reports.map(({ outcome }) => outcome).toSorted()).toEqual(['done', 'locked']);
    expect(reports.find(({ outcome }) => outcome === 'locked')).toMatchObject({
      exit: 5,
      failure: { code: 'FLEET_LOCKED' },
    });
    expect(world.broken).toEqual([]);
  }));

test('a run that is alive is not taken over, unless by force: then it changes nothing more', () =>
  inFleet(async ({ ports, world }) => {
    const first = deployFleet(request, ports);
    await ports.clock.sleep(15_000);
    const taking = { ...goOn, command: 'abort' as const };
    expect(await goOnWithFleet({ ...taking, force: false }, ports)).toMatchObject({
      outcome: 'locked',
      exit: 5,
      failure: { code: 'FLEET_HOLDER_ALIVE' },
    });
    const aborted = goOnWithFleet({ ...taking, force: true }, ports);
    expect(await first).toMatchObject({
      outcome: 'needs a person',
      exit: 3,
      failure: { code: 'FLEET_LOST' },
    });
    expect(await aborted).toMatchObject({ outcome: 'done', exit: 0 });
    expect(world.state()).toMatchObject({
      place: { image: oldImage },
      suspended: [],
      capacity: { desired: 3 },
    });
  }));

test('what is held keeps what it suspended, and promote and abort end it', async () => {
  for (const command of ['promote', 'abort'] as const)
    await inFleet(
      async ({ ports, world }) => {
        const site = fleetSite({ onFailure: 'hold' });
        const held = await deployFleet({ ...request, site }, ports);
        expect(held).toMatchObject({ outcome: 'held', exit: 4, failure: { code: 'CHECK_FAILED' } });
        expect(held.warnings.join()).toContain('Suspended until it ends: AddToLoadBalancer');
        expect(stateOf(world)).toBe('held');
        expect(await deployFleet({ ...request, site }, ports)).toMatchObject({ outcome: 'locked', exit: 5 });
        const report = await goOnWithFleet({ ...goOn, command }, ports);
        expect(report.outcome).toBe(command === 'abort' ? 'done' : 'rolled back');
        expect(world.state()).toMatchObject({ place: { image: oldImage }, suspended: [] });
        expect(world.broken).toEqual([]);
      },
      { image: 'wrong' },
    );
});

test('a signal leaves the run to resume, which finishes it', () =>
  inFleet(async ({ ports, world }) => {
    const interrupted = new AbortController();
    const run = deployFleet({ ...request, signal: interrupted.signal }, ports);
    await ports.clock.sleep(10_000);
    interrupted.abort('SIGTERM');
    expect(await run).toMatchObject({ outcome: 'interrupted', exit: 143 });
    const { run: open } = await fleetStatus(ports, signal);
    expect(open && openText(open)).toMatch(/^The deploy from .* is under way\.$/);
    expect(await goOnWithFleet({ ...goOn, command: 'promote' }, ports)).toMatchObject({
      outcome: 'refused',
      failure: { message: expect.stringMatching(/ is under way, and not held\.$/) },
    });
    expect(await goOnWithFleet({ ...goOn, command: 'resume' }, ports)).toMatchObject({
      outcome: 'done',
      exit: 0,
    });
    expect(world.state().place.image).toBe(newImage);
    expect(await goOnWithFleet({ ...goOn, command: 'resume' }, ports)).toMatchObject({
      outcome: 'refused',
      failure: { code: 'FLEET_NOT_OPEN', message: expect.stringMatching(/^No run has .*go on with\.$/) },
    });
  }));

test('a group that changes before it is taken is left alone', () =>
  inFleet(async ({ ports, world }) => {
    const confirm = async () => {
      await ports.fleet.perform({ kind: 'size', version: null, capacity: { min: 2, desired: 4, max: 4 } });
      return true;
    };
    expect(await deployFleet({ ...request, confirm }, ports)).toMatchObject({
      outcome: 'refused',
      failure: { code: 'SITE_CHANGED' },
    });
    expect(openRun(world.log())).toBeNull();
    expect(world.state().place.image).toBe(oldImage);
  }));

test('instances that never start are given up after the patience of the site, and the report says what is where', () =>
  inFleet(
    async ({ ports, world }) => {
      const report = await deployFleet(request, ports);
      expect(report).toMatchObject({ outcome: 'rolled back', exit: 1, failure: { code: 'FLEET_STUCK' } });
      expect(report.nodes?.map(({ release, serving }) => [release, serving])).toEqual(
        Array.from({ length: 3 }, () => [oldImage, true]),
      );
      expect(world.log().map(({ state }) => state)).toEqual(['under way', 'going back', 'rolled back']);
    },
    { image: 'dead' },
  ));

test('what somebody else had suspended stays so', () =>
  inFleet(
    async ({ ports, world }) => {
      expect(await deployFleet(request, ports)).toMatchObject({ outcome: 'done' });
      expect(world.state().suspended).toEqual(['AZRebalance']);
    },
    { suspended: ['AZRebalance'] },
  ));

const hookAt = (point: FleetHookPoint, ...command: string[]): HookSpec => ({
  name: `${point} ${command.join(' ')}`,
  point,
  action: { kind: 'operator', command, timeoutMs: 1000 },
});

test('hooks are run here, before anything changes and once all has, and are told of the image', () =>
  inFleet(async ({ ports, commands }) => {
    const points = ['before:deploy', 'after:deploy', 'before:rollback', 'after:rollback', 'failed'] as const;
    const site = fleetSite({ hooks: points.map((point) => hookAt(point, point)) });
    expect(await deployFleet({ ...request, site }, ports)).toMatchObject({ outcome: 'done' });
    expect(commands.map(({ command, at }) => [...command, at])).toEqual([
      ['before:deploy', oldImage],
      ['after:deploy', newImage],
    ]);
    expect(commands[0]?.env).toEqual({
      ...{ SLUICE_SITE: 'shop', SLUICE_STAGE: 'production', SLUICE_HOOK: 'before:deploy' },
      ...{ SLUICE_RELEASE: newImage, SLUICE_REVISION: '', SLUICE_NODES: '', SLUICE_OPERATOR: 'ann@laptop' },
    });
    expect(await rollbackFleet({ ...request, site, to: null }, ports)).toMatchObject({ outcome: 'done' });
    expect(commands.slice(2).map(({ command, at }) => [...command, at])).toEqual([
      ['before:rollback', newImage],
      ['after:rollback', oldImage],
    ]);
  }));

test('a hook that fails fails the run; those at failed are run once it is back, and fail nothing', () =>
  inFleet(async ({ ports, world, commands }) => {
    const site = fleetSite({
      hooks: [hookAt('after:deploy', 'fail'), hookAt('failed', 'fail', 'too'), hookAt('failed', 'tell')],
    });
    const report = await deployFleet({ ...request, site }, ports);
    expect(report).toMatchObject({ outcome: 'rolled back', exit: 1, failure: { code: 'HOOK_FAILED' } });
    expect(report.warnings).toEqual([expect.stringContaining('Hook failed fail too (failed) failed on')]);
    expect(commands.map(({ command, at }) => [...command, at])).toEqual([
      ['fail', newImage],
      ['fail', 'too', oldImage],
      ['tell', oldImage],
    ]);
    expect(commands[2]?.env.SLUICE_FAILURE).toBe(report.failure?.message);
    expect(world.state().place.image).toBe(oldImage);
  }));

test('a hook before that fails leaves the group as it was, and what is aborted runs none', () =>
  inFleet(async ({ ports, world, commands }) => {
    const hooks = [hookAt('before:deploy', 'fail')];
    const held = await deployFleet({ ...request, site: fleetSite({ hooks, onFailure: 'hold' }) }, ports);
    expect(held).toMatchObject({ outcome: 'held', failure: { code: 'HOOK_FAILED' } });
    expect(world.state()).toMatchObject({ place: { image: oldImage, version: '1' }, suspended: [] });
    const aborted = await goOnWithFleet({ ...goOn, site: fleetSite({ hooks }), command: 'abort' }, ports);
    expect(aborted).toMatchObject({ outcome: 'done' });
    expect(commands).toHaveLength(1);
  }));

test('a function knows the run, and that there are no nodes', () =>
  inFleet(async ({ ports }) => {
    const seen: unknown[] = [];
    const run: HookFunction = async ({ point, release, nodes, failure, run, get }) => {
      seen.push({ point, image: release.id, nodes, failure });
      for (const ask of [() => run('web1', 'true'), () => get('web1', { path: '/' })])
        await expect(ask()).rejects.toThrow('a fleet has no nodes');
    };
    const action = { kind: 'function', run, timeoutMs: 1000 } as const;
    const site = fleetSite({ hooks: [{ name: 'own', point: 'before:deploy', action }] });
    expect(await deployFleet({ ...request, site }, ports)).toMatchObject({ outcome: 'done' });
    expect(seen).toEqual([{ point: 'before:deploy', image: newImage, nodes: [], failure: null }]);
  }));

test('whoever goes on is asked first, and no leaves the run to the next', () =>
  inFleet(
    async ({ ports, world }) => {
      const site = fleetSite({ onFailure: 'hold' });
      await deployFleet({ ...request, site }, ports);
      const ways: string[] = [];
      const confirm = async ({ way }: FleetChange) => ways.push(way) > 2;
      for (const command of ['promote', 'abort', 'abort'] as const)
        await goOnWithFleet({ ...goOn, site, confirm, command }, ports);
      expect(ways).toEqual(['on', 'back', 'back']);
      expect(world.log().map(({ state }) => state)).toEqual([
        'under way',
        'held',
        'held',
        'going back',
        'rolled back',
      ]);
    },
    { image: 'wrong' },
  ));

test('a second run waits for the first as long as it may, and for none that is held', () =>
  inFleet(async ({ ports, world }) => {
    const first = deployFleet(request, ports);
    await ports.clock.sleep(10_000);
    const second = deployFleet({ ...request, ref: oldImage, lockWaitMs: 3_600_000 }, ports);
    expect(await first).toMatchObject({ outcome: 'done' });
    expect(await second).toMatchObject({ outcome: 'done' });
    expect(world.state().place.image).toBe(oldImage);
    const site = fleetSite({ hooks: [hookAt('after:deploy', 'fail')], onFailure: 'hold' });
    expect(await deployFleet({ ...request, site }, ports)).toMatchObject({ outcome: 'held' });
    const before = ports.clock.nowMs();
    expect(await deployFleet({ ...request, lockWaitMs: 3_600_000 }, ports)).toMatchObject({
      outcome: 'locked',
    });
    expect(ports.clock.nowMs() - before).toBeLessThan(1000);
  }));

test('a second run does not wait for one that is dead', () =>
  inFleet(async ({ ports }) => {
    const stop = new AbortController();
    const first = deployFleet({ ...request, signal: stop.signal }, ports);
    await ports.clock.sleep(10_000);
    stop.abort('SIGINT');
    await first;
    const before = ports.clock.nowMs();
    expect(await deployFleet({ ...request, lockWaitMs: 3_600_000 }, ports)).toMatchObject({
      outcome: 'locked',
    });
    expect(ports.clock.nowMs() - before).toBeLessThan(60_000);
  }));

test('what AWS does not answer once a run has the fleet leaves it open, and says so', () =>
  inFleet(async ({ ports, world }) => {
    const observe: Fleet['observe'] = async (given) => {
      if (world.log().length === 0) return ports.fleet.observe(given);
      throw failure('FLEET_UNREACHABLE', { fleet: 'group web', address: 'AWS', reason: 'it is silent' });
    };
    const report = await deployFleet(request, { ...ports, fleet: { ...ports.fleet, observe } });
    expect(report).toMatchObject({ outcome: 'needs a person', exit: 3, nodes: null });
    expect(stateOf(world)).toBe('under way');
  }));
