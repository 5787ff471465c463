import { expect, test } from 'vitest';
import { ldirectordConfigOf } from '../../src/commands/ldirectord-config.ts';

test('a configuration has its virtual services, their servers, and where maintenance files stand', () => {
  expect(
    ldirectordConfigOf(`
# a comment = nothing
checkinterval = 2
maintenancedir = /etc/ha.d/maintenance
quiescent=yes
virtual=10.0.0.100:80
\treal=10.0.0.1:80 masq 100
\treal=10.0.0.2:8080 masq
# real=10.0.0.3:80 masq
\tfallback=127.0.0.1:80 masq

\tservice=http
\trequest="/health"
virtual=10.0.0.100:53
        real = 10.0.0.7->10.0.0.9:53 gate 5
        protocol = udp
        quiescent = no
virtual=7
        real=10.0.0.1 gate
virtual6=8
        real6=[fd00::3] gate 3
virtual6=[fd00::1]:443
        real6=[fd00::3]:443 gate 3 "request", "receive"
`),
  ).toEqual({
    maintenanceDir: '/etc/ha.d/maintenance',
    virtuals: [
      {
        service: '-t 10.0.0.100:80',
        isQuiescent: true,
        servers: [
          { address: '10.0.0.1:80', weight: 100 },
          { address: '10.0.0.2:8080', weight: 1 },
        ],
      },
      {
        service: '-u 10.0.0.100:53',
        isQuiescent: false,
        servers: [7, 8, 9].map((n) => ({ address: `10.0.0.${n}:53`, weight: 5 })),
      },
      { service: '-f 7', isQuiescent: true, servers: [{ address: '10.0.0.1', weight: 1 }] },
      { service: '-f 8 -6', isQuiescent: true, servers: [{ address: '[fd00::3]', weight: 3 }] },
      { service: '-t [fd00::1]:443', isQuiescent: true, servers: [{ address: '[fd00::3]:443', weight: 3 }] },
    ],
  });
});

test('where nothing is said servers are deleted, and none can be taken out', () => {
  expect(ldirectordConfigOf('virtual=10.0.0.100:80\n real=10.0.0.1:80 masq\n')).toMatchObject({
    maintenanceDir: null,
    virtuals: [{ isQuiescent: false }],
  });
});
