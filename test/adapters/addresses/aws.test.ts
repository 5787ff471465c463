import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import type { Transport } from '../../../src/ports.ts';
import { addressOf, ip } from './kinds.ts';

const instances = { lb1: 'i-0aaaaaaaaaaaaaaaa', lb2: 'eni-0bbbbbbbbbbbbbbbb' };
const interfaceOf: Readonly<Record<string, string>> = { [instances.lb1]: 'eni-0aaaaaaaaaaaaaaaa' };

/** The API of EC2 as its reference has it, where what is read is what was so a while ago. */
async function startApi({ at = instances.lb1 as string | null, lagMs = 150, isForbidden = false } = {}) {
  let shown = at;
  const seen: string[] = [];
  const server = createServer(async (request, response) => {
    const asked = new URLSearchParams(await text(request));
    const action = asked.get('Action') ?? '';
    const answer = (status: number, xml: string): void => {
      response.writeHead(status, { 'content-type': 'text/xml' }).end(xml);
    };
    const refuse = (status: number, code: string, message: string): void =>
      answer(
        status,
        `<Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors></Response>`,
      );
    seen.push(`${action}${asked.get('AllowReassociation') === 'true' ? ' again' : ''}`);
    if (action === 'DescribeAddresses') {
      if (asked.get('PublicIp.1') !== ip)
        return refuse(400, 'InvalidAddress.NotFound', `Address '${asked.get('PublicIp.1')}' not found.`);
      const isInstance = shown?.startsWith('i-');
      const holder =
        shown === null
          ? ''
          : `${isInstance ? `<instanceId>${shown}</instanceId>` : ''}<networkInterfaceId>${interfaceOf[shown] ?? shown}</networkInterfaceId>`;
      return answer(
        200,
        `<DescribeAddressesResponse><addressesSet><item><publicIp>${ip}</publicIp><allocationId>eipalloc-1</allocationId>${holder}</item></addressesSet></DescribeAddressesResponse>`,
      );
    }
    if (isForbidden) return refuse(403, 'UnauthorizedOperation', 'You are not authorized.');
    if (asked.get('AllocationId') !== 'eipalloc-1')
      return refuse(400, 'InvalidAllocationID.NotFound', 'There is no such allocation.');
    const to = asked.get('InstanceId') ?? asked.get('NetworkInterfaceId');
    setTimeout(() => {
      shown = to;
    }, lagMs);
    answer(200, '<AssociateAddressResponse><return>true</return></AssociateAddressResponse>');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = (more: object = {}) =>
    addressOf(
      'aws',
      {
        instances,
        region: 'eu-west-1',
        endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        credentials: { accessKeyId: 'key', secretAccessKey: new Secret('t0p') },
        ...more,
      },
      {} as Transport,
    );
  return { seen, address };
}

test('the instance, or the interface, that it is associated with holds it, if it is one of ours', async () => {
  for (const [at, holders] of [
    [instances.lb1, ['lb1']],
    [instances.lb2, ['lb2']],
    ['i-0cccccccccccccccc', []],
    [null, []],
  ] as const)
    expect(await (await startApi({ at })).address().holders()).toEqual({
      address: 'front',
      ip,
      holders,
      unasked: [],
    });
});

test('it moves by one question, to an interface and back to an instance, and is waited for', async () => {
  const { address, seen } = await startApi();
  await address().move!('lb2');
  expect((await address().holders()).holders).toEqual(['lb2']);
  await address().move!('lb1');
  expect((await address().holders()).holders).toEqual(['lb1']);
  expect(seen.filter((line) => line !== 'DescribeAddresses')).toEqual([
    'AssociateAddress again',
    'AssociateAddress again',
  ]);
});

test('one that does not come in time is an error, and so is a refusal, in the words of AWS', async () => {
  const slow = await startApi({ lagMs: 60_000 });
  await expect(slow.address({ moveTimeout: '200ms' }).move!('lb2')).rejects.toMatchObject({
    code: 'ADDRESS_NOT_MOVED',
  });
  const forbidden = await startApi({ isForbidden: true });
  await expect(forbidden.address().move!('lb2')).rejects.toMatchObject({
    code: 'ADDRESS_REFUSED',
    message: `Address front (${ip}) cannot be moved to lb2: AssociateAddress ${ip} was answered UnauthorizedOperation: You are not authorized.`,
  });
});

test('an address that there is not, and an API that is not there, are said without the key', async () => {
  const { address } = await startApi();
  const { unasked } = await address({ ip: '192.0.2.99' }).holders();
  expect(unasked.map(({ machine }) => machine)).toEqual(['lb1', 'lb2']);
  expect(unasked[0]?.reason).toContain('InvalidAddress.NotFound');
  const nowhere = await address({ endpoint: 'http://127.0.0.1:9', timeout: '500ms' }).holders();
  expect(nowhere.unasked[0]?.reason).toMatch(/^http:\/\/127\.0\.0\.1:9 cannot be reached: .*ECONNREFUSED/);
  expect(JSON.stringify([unasked, nowhere])).not.toContain('t0p');
});
