import { describe, expect, test } from 'vitest';
import type { MachineState } from '../../src/core/drift.ts';
import { failure } from '../../src/core/errors.ts';
import type { Revision } from '../../src/core/release.ts';
import { findDrift } from '../../src/engine/drift.ts';
import type { Ports } from '../../src/ports.ts';
import { node, site } from '../core/fleet.ts';

const signal = new AbortController().signal;
const image = 'ab12'.repeat(16) as Revision;

/** Nodes that print this when they are read; `null` cannot be reached. */
async function compared(
  printed: Readonly<Record<string, string | null>>,
  { seed, ignore = [] }: { readonly seed?: MachineState | Error; readonly ignore?: readonly string[] } = {},
) {
  const asked: string[] = [];
  const ports = {
    transport: {
      run: async ({ name }: { readonly name: string }) => {
        asked.push(name);
        const stdout = printed[name];
        if (typeof stdout !== 'string')
          throw failure('NODE_UNREACHABLE', { node: name, address: name, reason: 'no route' });
        return { status: 0, stdout, stderr: '' };
      },
    },
    source: seed
      ? { images: { machine: async () => (seed instanceof Error ? Promise.reject(seed) : seed) } }
      : {},
  } as unknown as Ports;
  const nodes = [...Object.keys(printed).map((name) => node(name)), { ...node('queue1'), traffic: false }];
  const fleet = site(1, { nodes, drift: { paths: ['/etc/nginx'], ignore } });
  const drift = await findDrift(fleet, ports, { image, signal });
  expect(asked).toEqual(Object.keys(printed));
  return {
    image: drift.image,
    nodes: Object.fromEntries(
      drift.nodes.map(({ name, problem, deviations }) => [
        name,
        problem ?? deviations.map((one) => `${one.name}: ${one.expected} ${one.found}`),
      ]),
    ),
  };
}

const digest = 'aa'.repeat(32);
const good = `p nginx 1.22\nf ${digest}  /etc/nginx/nginx.conf\n`;

describe('each node that gets traffic is asked once, and compared', () => {
  test('with the seed as it was when the image was taken', async () => {
    const seed: MachineState = {
      packages: { nginx: '1.22', git: '2' },
      paths: ['/etc/nginx'],
      files: { '/etc/nginx/nginx.conf': digest },
      unread: [],
    };
    expect(await compared({ web1: `${good}p git 2\n`, web2: good }, { seed })).toEqual({
      image,
      nodes: { web1: [], web2: ['git: 2 null'] },
    });
    expect((await compared({ web1: good }, { seed, ignore: ['git'] })).nodes).toEqual({ web1: [] });
  });

  test('with most of the nodes, where there is no image or the store has lost it', async () => {
    const printed = { web1: 'p nginx 1.24\n', web2: good, web3: good };
    const expected = {
      image: null,
      nodes: {
        web1: ['nginx: 1.22 1.24', `/etc/nginx/nginx.conf: ${digest} null`],
        web2: [],
        web3: [],
      },
    };
    expect(await compared(printed)).toEqual(expected);
    const lost = failure('IMAGE_DAMAGED', { image, store: '/store', problems: [] });
    expect(await compared(printed, { seed: lost })).toEqual(expected);
  });
});

test('a node that cannot be read, or has no package manager, says so and keeps no other from being compared', async () => {
  const { nodes } = await compared({ web1: null, web2: good, web3: 'unmanaged\n', web4: good });
  expect(nodes).toEqual({
    web1: expect.stringContaining('no route'),
    web2: [],
    web3: 'web3 has none of dpkg, rpm and apk: its packages are unknown.',
    web4: [],
  });
});
