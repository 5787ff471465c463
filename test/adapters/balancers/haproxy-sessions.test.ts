import { expect, test } from 'vitest';
import { endSessions, webSocketsOf } from '../../../src/adapters/balancers/haproxy-sessions.ts';

/** A paragraph of `show sess all`, as HAProxy 2.6 writes it, cut to the lines around those that count. */
const stream = (id: number, backend: string, server: string, answer: string): string =>
  `0x55e8e8ff5${id}: [21/Nov/2026:15:36:46.353574] id=${id} proto=tcpv4 source=192.0.2.7:36454
  flags=0x400c4a, conn_retries=0, conn_exp=<NEVER> conn_et=0x000 srv_conn=0x55e8e8f347f0, pend_pos=(nil) waiting=0
  frontend=f (id=2 mode=http), listener=? (id=1) addr=192.0.2.1:80
  backend=${backend} (id=3 mode=http) addr=192.0.2.1:33484
  server=${server} (id=1) addr=192.0.2.9:80
  txn=0x55e8e9110f60 flags=0x8000 meth=1 ${answer} req.f=0xcc rsp.f=0xcc
  req=0x55e8e8ff5380 (f=0x8c48000 an=0x0 pipe=0 tofwd=-1 total=135)
`;

const tunnel = 'status=101 req.st=MSG_TUNNEL rsp.st=MSG_TUNNEL';

test('upgraded connections are counted at each server, and no request is', () => {
  const sessions = [
    stream(100, 'blue', 'web1', tunnel),
    stream(101, 'blue', 'web1', 'status=200 req.st=MSG_DATA rsp.st=MSG_DONE'),
    stream(102, 'green', 'web1', tunnel),
    stream(103, 'blue', 'web1', tunnel),
    '0x55e8e9111: [21/Nov/2026:15:36:46.857674] id=2 proto=unix_stream source=unix:1\n  backend=<NONE> (id=-1 mode=-)\n  server=<NONE> (id=-1)\n',
  ];
  expect(webSocketsOf([sessions.join('')])).toEqual(
    new Map([
      ['blue/web1', 2],
      ['green/web1', 1],
    ]),
  );
});

test('nothing is counted where there is no session', () => {
  expect(webSocketsOf([''])).toEqual(new Map());
});

test('sessions are ended by the name of the server alone', () => {
  expect(endSessions({ backend: 'blue', server: 'web1' })).toBe('shutdown sessions server blue/web1');
  expect(() => endSessions({ backend: 'blue', server: 'web1;quit' })).toThrow();
});
