import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Pool } from '../../../src/adapters/transports/pool.ts';
import { type Route, routeTo } from '../../../src/adapters/transports/route.ts';
import { readSshConfig } from '../../../src/adapters/transports/ssh-config.ts';
import { failure } from '../../../src/core/errors.ts';
import { hostOf, settingsOf } from './settings.ts';

const config = await readSshConfig(null);
const route = (address: string, ...jump: string[]): Route =>
  routeTo(hostOf({ address }), settingsOf({ jump }), config);

/** A pool of made-up connections: what it opened, closed, and how many at a time. */
function poolOf({ failures = 0, isPassing = true, attemptsMax = 3 } = {}) {
  const log: string[] = [];
  const opening = new Map<string, number>();
  const openingMax = new Map<string, number>();
  const losers = new Map<string, () => void>();
  let left = failures;
  const count = (place: string, by: 1 | -1): void => {
    const now = (opening.get(place) ?? 0) + by;
    opening.set(place, now);
    openingMax.set(place, Math.max(openingMax.get(place) ?? 0, now));
  };
  const pool = new Pool<string>({
    async open({ address, name }, via, { onLost }) {
      for (const place of ['all', `via ${via}`]) count(place, 1);
      await sleep(5);
      for (const place of ['all', `via ${via}`]) count(place, -1);
      log.push(`open ${address}`);
      if (left-- > 0) throw failure('NODE_UNREACHABLE', { node: name, address, reason: 'test' });
      losers.set(address, onLost);
      return address;
    },
    end: async (address) => void log.push(`end ${address}`),
    isPassing: () => isPassing,
    attemptsMax,
  });
  return { pool, log, openingMax, lose: (address: string) => losers.get(address)!() };
}

test('all who ask for a host at once get one connection', async () => {
  const { pool, log } = poolOf();
  await Promise.all([1, 2, 3].map(() => pool.get(route('web1'))));
  expect(log).toEqual(['open web1']);
  expect(pool.opened).toBe(1);
});

test('a connection that was lost is opened anew for the next who asks', async () => {
  const { pool, log, lose } = poolOf();
  await pool.get(route('web1'));
  lose('web1');
  await pool.get(route('web1'));
  expect(log).toEqual(['open web1', 'open web1']);
});

test('what fails for a passing reason is tried again, so often and no oftener', async () => {
  const once = poolOf({ failures: 1, attemptsMax: 2 });
  expect(await once.pool.get(route('web1'))).toBe('web1');
  const always = poolOf({ failures: 9, attemptsMax: 2 });
  await expect(always.pool.get(route('web1'))).rejects.toThrow('test');
  expect(always.log).toHaveLength(2);
});

test('what fails for good fails at once, and is tried again only for the next who asks', async () => {
  const { pool, log } = poolOf({ failures: 1, isPassing: false });
  await expect(pool.get(route('web1'))).rejects.toThrow('test');
  expect(log).toHaveLength(1);
  expect(await pool.get(route('web1'))).toBe('web1');
});

test('at most 30 connections are opened at a time, at most 8 through one jump host', async () => {
  const { pool, openingMax } = poolOf();
  const hosts = Array.from({ length: 50 }, (_, n) => `web${n}`);
  await Promise.all([
    ...hosts.map((host) => pool.get(route(host))),
    ...hosts.map((host) => pool.get(route(host, 'gate'))),
  ]);
  expect(openingMax.get('all')).toBe(30);
  expect(openingMax.get('via gate')).toBe(8);
  expect(pool.opened).toBe(101);
});

test('sixty hosts, each behind a jump host of its own, do not wait for each other for ever', async () => {
  const { pool } = poolOf();
  await Promise.all(Array.from({ length: 60 }, (_, n) => pool.get(route(`web${n}`, `gate${n}`))));
  expect(pool.opened).toBe(120);
});

test('connections are ended before those that they go through, and none is opened any more', async () => {
  const { pool, log } = poolOf();
  await pool.get(route('web1', 'outer', 'inner'));
  await pool.close();
  expect(log.slice(3)).toEqual(['end web1', 'end inner', 'end outer']);
  await expect(pool.get(route('web2'))).rejects.toThrow('the transport is closed');
});

test('a connection that is being opened when the pool is closed is ended too', async () => {
  const { pool, log } = poolOf();
  const opening = pool.get(route('web1'));
  await sleep(1);
  await pool.close();
  await opening;
  expect(log).toEqual(['open web1', 'end web1']);
});
