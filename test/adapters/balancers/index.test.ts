import { expect, test } from 'vitest';
import { balancerKinds } from '../../../src/adapters/balancers/index.ts';
import { localTransport } from '../../../src/adapters/transports/local.ts';
import { parseFields } from '../../../src/core/field.ts';

const dataplane = { url: 'https://lb1:5555', user: 'ops', password: 'secret', backend: 'web' };

test.each([
  ['haproxy', { socket: '/run/haproxy.sock', backend: 'web' }],
  ['haproxy-dataplane', dataplane],
  ['embedded', { url: 'http://127.0.0.1:1', token: 'secret' }],
] as const)('%s is by default as capable as the registry says, but for a flip', (kind, settings) => {
  const found = balancerKinds[kind];
  const options = parseFields(found.options, settings);
  if (!options.ok) throw new Error(options.problems.join('\n'));
  const transport = localTransport({ become: null });
  const { capabilities } = found.create({ name: 'lb', options: options.value, nodes: [], transport });
  expect(capabilities).toEqual({ ...found.capabilities, flip: capabilities.flip });
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
