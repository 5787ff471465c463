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
        noticesDeadWithinMs: 32_000,
        servers: [
          { address: '10.0.0.1:80', weight: 100 },
          { address: '10.0.0.2:8080', weight: 1 },
        ],
      },
      {
        service: '-u 10.0.0.100:53',
        isQuiescent: false,
        noticesDeadWithinMs: null,
        servers: [7, 8, 9].map((n) => ({ address: `10.0.0.${n}:53`, weight: 5 })),
      },
      {
        service: '-f 7',
        isQuiescent: true,
        noticesDeadWithinMs: null,
        servers: [{ address: '10.0.0.1', weight: 1 }],
      },
      {
        service: '-f 8 -6',
        isQuiescent: true,
        noticesDeadWithinMs: null,
        servers: [{ address: '[fd00::3]', weight: 3 }],
      },
      {
        service: '-t [fd00::1]:443',
        isQuiescent: true,
        noticesDeadWithinMs: 32_000,
        servers: [{ address: '[fd00::3]:443', weight: 3 }],
      },
    ],
  });
});

test('where nothing is said servers are deleted, and none can be taken out', () => {
  expect(ldirectordConfigOf('virtual=10.0.0.100:80\n real=10.0.0.1:80 masq\n')).toMatchObject({
    maintenanceDir: null,
    virtuals: [{ isQuiescent: false }],
  });
});

test.each([
  ['nothing is said', {}, 40],
  ['all is said of all services', { ofAll: 'checkinterval=5 negotiatetimeout=7 failurecount=3' }, 36],
  ['the service says it', { ofAll: 'failurecount=9', own: 'negotiatetimeout=2 failurecount=2' }, 24],
  ['one time stands in for the other', { ofAll: 'checktimeout=4' }, 14],
  [
    "the service's other time goes before the one of all",
    { ofAll: 'negotiatetimeout=9', own: 'checktimeout=4' },
    14,
  ],
  ['connections alone are tried', { own: 'checktype=connect' }, 15],
  ['a command checks', { ofAll: 'negotiatetimeout=9', own: 'checktype=external' }, 19],
  ['the pause of a service is of no account', { own: 'checkinterval=1' }, 40],
  ['each service has its process', { ofAll: 'fork=yes', own: 'checkinterval=1' }, 31],
  ['nothing is checked', { own: 'checktype=on' }, null],
  ['no service is named', { own: 'service=none' }, null],
])('how long a dead server keeps its weight, where %s', (_, { ofAll = '', own = '' }: Said, seconds) => {
  const lines = [...ofAll.split(' '), 'virtual=10.0.0.100:80', ...own.split(' ').map((line) => `\t${line}`)];
  const [virtual] = ldirectordConfigOf(lines.join('\n')).virtuals;
  expect(virtual!.noticesDeadWithinMs).toBe(seconds === null ? null : seconds * 1000);
});

interface Said {
  readonly ofAll?: string;
  readonly own?: string;
}
