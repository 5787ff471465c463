import { expect, test } from 'vitest';
import { balancerCapabilities, balancerKinds } from '../../../src/adapters/balancers/index.ts';
import { localTransport } from '../../../src/adapters/transports/local.ts';
import { parseFields } from '../../../src/core/field.ts';

const pools = { blue: 'blue', green: 'green' };
const haproxy = { socket: '/run/haproxy.sock', backend: 'web' };
const dataplane = { url: 'https://lb1:5555', user: 'ops', password: 'secret', backend: 'web' };

test.each([
  ['haproxy', haproxy, 12],
  ['haproxy', { ...haproxy, master: '/run/master.sock', stateFile: '/var/lib/haproxy/state' }, 12],
  ['haproxy', { ...haproxy, backend: pools, map: { file: '/etc/haproxy/site.map', keep: false } }, 12],
  ['haproxy-dataplane', dataplane, 6],
  ['haproxy-dataplane', { ...dataplane, version: '3.4', backend: pools, map: { name: 'site.map' } }, 6],
  ['embedded', { url: 'http://127.0.0.1:1', token: 'secret' }, 1],
] as const)('%s with %j is as capable as the registry says that it may be', (kind, settings, ways) => {
  const found = balancerKinds[kind];
  const options = parseFields(found.options, settings);
  if (!options.ok) throw new Error(options.problems.join('\n'));
  const transport = localTransport({ become: null });
  const { capabilities } = found.create({ name: 'lb', options: options.value, nodes: [], transport });
  const known = balancerCapabilities[kind];
  expect(known).toContainEqual(capabilities);
  expect(new Set(known.map((one) => JSON.stringify(one))).size).toBe(ways);
});

test.each([
  [{ url: 'https://ops:secret@lb1:5555' }, 'url: expected an http:// or https:// URL without'],
  [{ url: 'https://lb1:5555/v3' }, 'url: expected'],
  [{ version: '1.8' }, 'version: expected a version, such as 2.9 or 3.0, got "1.8"'],
  [{ version: 3 }, 'version: expected a version'],
])('%j is refused for a Data Plane API', (settings, problem) => {
  const read = parseFields(balancerKinds['haproxy-dataplane'].options, { ...dataplane, ...settings });
  expect(read.ok ? [] : read.problems).toEqual([expect.stringContaining(problem)]);
});
