import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import type { Transport } from '../../../src/ports.ts';
import { addressOf, ip } from './kinds.ts';

const droplets = { lb1: 101, lb2: 202 };

/** The API as its description has it: an assignment is an action, and is done a while after it was taken. */
async function startApi({ at = 101 as number | null, isLocked = false, takesMs = 150 } = {}) {
  let droplet = at;
  const seen: string[] = [];
  const server = createServer(async (request, response) => {
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    seen.push(`${request.method} ${request.url}`);
    if (request.headers.authorization !== 'Bearer t0p')
      return answer(401, { id: 'Unauthorized', message: 'Unable to authenticate you' });
    if (request.url === `/v2/reserved_ips/${ip}` && request.method === 'GET')
      return answer(200, {
        reserved_ip: {
          ip,
          droplet: droplet && { id: droplet, name: 'lb' },
          region: { slug: 'ams3' },
          locked: isLocked,
        },
      });
    if (request.url !== `/v2/reserved_ips/${ip}/actions` || request.method !== 'POST')
      return answer(404, { id: 'not_found', message: 'The resource you were accessing could not be found.' });
    const body = (await json(request)) as { type: unknown; droplet_id: unknown };
    if (isLocked || body.type !== 'assign' || typeof body.droplet_id !== 'number')
      return answer(422, { id: 'unprocessable_entity', message: 'The resource has a pending event.' });
    const id = body.droplet_id;
    setTimeout(() => {
      droplet = id;
    }, takesMs);
    answer(201, {
      action: { id: 72_531_856, status: 'in-progress', type: 'assign_ip', resource_type: 'reserved_ip' },
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const address = (more: object = {}) =>
    addressOf(
      'digitalocean',
      {
        droplets,
        token: new Secret('t0p'),
        api: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        timeout: '10s',
        ...more,
      },
      {} as Transport,
    );
  return { seen, address };
}

test('the droplet that it is assigned to holds it, if it is one of ours', async () => {
  for (const [at, holders] of [
    [101, ['lb1']],
    [202, ['lb2']],
    [303, []],
    [null, []],
  ] as const)
    expect(await (await startApi({ at })).address().holders()).toEqual({
      address: 'front',
      ip,
      holders,
      unasked: [],
    });
});

test('it moves by an action, and is waited for', async () => {
  const { address, seen } = await startApi();
  await address().move!('lb2');
  expect((await address().holders()).holders).toEqual(['lb2']);
  expect(seen.filter((line) => line.startsWith('POST'))).toHaveLength(1);
});

test('one that does not come in time is an error, and so is a refusal, in the words of the API', async () => {
  const slow = await startApi({ takesMs: 60_000 });
  await expect(slow.address({ timeout: '200ms' }).move!('lb2')).rejects.toMatchObject({
    code: 'ADDRESS_NOT_MOVED',
  });
  const locked = await startApi({ isLocked: true });
  await expect(locked.address().move!('lb2')).rejects.toMatchObject({
    code: 'ADDRESS_REFUSED',
    message: expect.stringContaining('pending event'),
  });
});

test('a token that is refused, and an API that is not there, are said without the token', async () => {
  const { address } = await startApi();
  const { unasked } = await address({ token: new Secret('wr0ng') }).holders();
  expect(unasked.map(({ machine }) => machine)).toEqual(['lb1', 'lb2']);
  expect(unasked[0]?.reason).toContain('401');
  const nowhere = await address({ api: 'http://127.0.0.1:1' }).holders();
  expect(nowhere.unasked[0]?.reason).toContain('ECONNREFUSED');
  expect(JSON.stringify([unasked, nowhere])).not.toMatch(/wr0ng|t0p/);
});
