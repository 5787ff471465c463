import { expect, test } from 'vitest';
import { balancerKinds } from '../../../src/adapters/balancers/index.ts';
import { parseFields } from '../../../src/core/field.ts';
import type { BalancerState } from '../../../src/core/observation.ts';
import type { Transport } from '../../../src/ports.ts';

/** A director with two services of one server, both by direct routing: the second one is checked more patiently. */
const output = (reuseMode: number): string => `== ldirectord
checkinterval = 5
negotiatetimeout = 10
quiescent = yes
maintenancedir = /etc/ha.d/maintenance
virtual = 192.0.2.1:80
\treal = 10.0.0.1:80 gate 100
virtual = 192.0.2.1:443
\tfailurecount = 4
\treal = 10.0.0.1:443 gate 100
== process
4711
== maintenance
== settings
-A -t 192.0.2.1:80 -s wrr
-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 100
-A -t 192.0.2.1:443 -s wrr
== kernel
eba67055-3a8e-46c5-b03b-31141ec3137e
0
0
${reuseMode}
== counts
TCP  192.0.2.1:80 wrr
  -> 10.0.0.1:80   Route 100 3 7
TCP  192.0.2.1:443 wrr
== notes
`;

async function observed(reuseMode: number): Promise<BalancerState> {
  const { options, create } = balancerKinds.ldirectord;
  const read = parseFields(options, { services: ['192.0.2.1:80', '192.0.2.1:443'], hosts: 'lb1' });
  if (!read.ok) throw new Error(read.problems.join('\n'));
  const transport = {
    run: async () => ({ status: 0, stdout: output(reuseMode), stderr: '' }),
  } as Pick<Transport, 'run'> as Transport;
  const addresses = { web1: '10.0.0.1' };
  const balancer = create({ name: 'lvs', options: read.value, nodes: ['web1'], addresses, transport });
  return (await balancer.observe()).members[0]!;
}

test('a dead node is noticed as late as in the service that is the slowest', async () => {
  expect(await observed(3)).toMatchObject({ unreachable: null, noticesDeadWithinMs: 60_000, weakSpots: [] });
});

test('a kernel that leads clients back to a node that is out is a weak spot', async () => {
  expect((await observed(1)).weakSpots).toEqual([expect.stringContaining('conn_reuse_mode is 1')]);
});
