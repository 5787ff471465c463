import { describe, expect, test } from 'vitest';
import { ipvsTableOf } from '../../src/commands/ipvs-table.ts';

const columns = 'IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags';

/** As ipvsadm 1.31 wrote it on Linux 6.1. */
const output = ({ notes = '', settings = '0\n0\n1' } = {}): string => `== settings
-A -t 10.0.0.100:80 -s rr -p 300
-a -t 10.0.0.100:80 -r 10.0.0.1:80 -m -w 100
-a -t 10.0.0.100:80 -r 10.0.0.2:80 -g -w 0
-A -u 10.0.0.100:53 -s wlc
-A -t [fd00::1]:443 -s wrr -p 300 -M 64
-a -t [fd00::1]:443 -r [fd00::3]:443 -g -w 100
-A -f 1 -s wlc
-a -f 1 -r 10.0.0.3:0 -i -w 7 --tun-type ipip
-A -f 7 -6 -s wlc -o
-a -f 7 -6 -r [fd00::3]:0 -i -w 100 --tun-type ipip
== kernel
eba67055-3a8e-46c5-b03b-31141ec3137e
${settings}
== counts
${columns}
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.0.0.100:80 rr persistent 300
  -> 10.0.0.1:80                  Masq    100    12         340
  -> 10.0.0.2:80                  Route   0      3          0
UDP  10.0.0.100:53 wlc
TCP  [fd00::1]:443 wrr persistent 300 mask 64
  -> [fd00::3]:443                Route   100    1234567    0
FWM  1 wlc
  -> 10.0.0.3:0                   Tunnel  7      0          0
FWM  7 IPv6 wlc ops
  -> [fd00::3]:0                  Tunnel  100    0          5
== thresholds
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn
  -> RemoteAddress:Port
TCP  10.0.0.100:80 rr persistent 300
  -> 10.0.0.1:80                  0          0          12         340
  -> 10.0.0.2:80                  5          2          3          0
== totals
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  10.0.0.100:80                      41      500      400    30000    90000
  -> 10.0.0.1:80                        20      250      200    15000    45000
UDP  10.0.0.100:53                       0        0        0        0        0
TCP  [fd00::1]:443                       9        0        0        0        0
FWM  1                                   2        0        0        0        0
FWM  7 IPv6                              3        0        0        0        0
== notes
${notes}`;

describe('the table of a director', () => {
  test('has every service as ipvsadm calls it, and what it counted', () => {
    expect(
      ipvsTableOf(output()).services.map(({ service, persistentSeconds, connections }) => [
        service,
        persistentSeconds,
        connections,
      ]),
    ).toEqual([
      ['-t 10.0.0.100:80', 300, 41],
      ['-u 10.0.0.100:53', 0, 0],
      ['-t [fd00::1]:443', 300, 9],
      ['-f 1', 0, 2],
      ['-f 7 -6', 0, 3],
    ]);
  });

  test('has what an edit must say again of a server, lest it be lost', () => {
    const [web, , , mark, mark6] = ipvsTableOf(output()).services;
    expect(web!.servers).toEqual([
      {
        address: '10.0.0.1:80',
        forwarding: ['-m'],
        thresholds: [],
        weight: 100,
        active: 12,
        note: null,
      },
      {
        address: '10.0.0.2:80',
        forwarding: ['-g'],
        thresholds: ['-x', '5', '-y', '2'],
        weight: 0,
        active: 3,
        note: null,
      },
    ]);
    expect(mark!.servers).toMatchObject([{ forwarding: ['-i', '--tun-type', 'ipip'], weight: 7 }]);
    expect(mark6!.servers).toMatchObject([{ address: '[fd00::3]:0', active: 0 }]);
  });

  test('what was not asked for is not taken to be 0', () => {
    const whole = output();
    const asked = whole.slice(0, whole.indexOf('== counts')) + whole.slice(whole.indexOf('== notes'));
    const [web] = ipvsTableOf(asked).services;
    expect(web).toMatchObject({ connections: null, servers: [{ active: null, weight: 100 }, { weight: 0 }] });
  });

  test('counts are exact, however large', () => {
    expect(ipvsTableOf(output()).services[2]!.servers).toMatchObject([{ active: 1_234_567 }]);
  });

  test.each([
    ['0\n0\n1', { expiresTemplates: false, expiresConnections: false, reuseMode: 1 }],
    ['1\n0\n3', { expiresTemplates: true, expiresConnections: false, reuseMode: 3 }],
    ['0\n1\n0', { expiresTemplates: false, expiresConnections: true, reuseMode: 0 }],
    // Linux before 4.1.
    ['1\n1', { expiresTemplates: true, expiresConnections: true, reuseMode: 0 }],
  ])('has the settings of the kernel: %j', (settings, read) => {
    expect(ipvsTableOf(output({ settings }))).toMatchObject(read);
  });

  test('has the notes about its servers; one that was cut off says nothing', () => {
    const notes =
      '-t_10.0.0.100:80_10.0.0.1:80 in 0\n-t_10.0.0.100:80_10.0.0.2:80 \n-f_1_10.0.0.3:0 out 25\n';
    const [web, , , mark] = ipvsTableOf(output({ notes })).services;
    expect(web!.servers.map(({ note }) => note)).toEqual([{ rotation: 'in', weight: 0 }, null]);
    expect(mark!.servers[0]!.note).toEqual({ rotation: 'out', weight: 25 });
  });

  test.each([
    ['', 'no section kernel: ""'],
    [output().replace('eba67055', 'nothing'), /^no boot id: "nothing/],
    [output().replace('-A -f 1 -s', '-X -f 1 -s'), '"-X -f 1 -s wlc" cannot be read'],
    [output().replaceAll(/ {2}-> 10.0.0.3:0 .*\n/g, ''), '"-f 1 10.0.0.3:0" cannot be read'],
  ])('other output is not taken for a table', (text, complaint) => {
    expect(() => ipvsTableOf(text)).toThrow(complaint);
  });
});
