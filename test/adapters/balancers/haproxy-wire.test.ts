import { describe, expect, test } from 'vitest';
import {
  answersOf,
  type Batch,
  batchesOf,
  isName,
  readingOf,
  refusalOf,
  setState,
  setWeight,
} from '../../../src/adapters/balancers/haproxy-wire.ts';

describe('setState', () => {
  test.each([
    ['in', 'set server web/web1 state ready'],
    ['draining', 'set server web/web1 state drain'],
    ['out', 'set server web/web1 state maint'],
  ] as const)('%s is sent as "%s"', (to, command) => {
    expect(setState({ backend: 'web', server: 'web1', to })).toBe(command);
  });

  test.each(['', 'web 1', 'web;shutdown', 'web\n', 'web\\', 'web/1', 'wéb', '#1'])(
    '%j is not sent as a name',
    (server) => {
      expect(isName(server)).toBe(false);
      expect(() => setState({ backend: 'web', server, to: 'out' })).toThrow(
        'only names are sent to HAProxy as names',
      );
    },
  );
});

describe('setWeight', () => {
  test('is sent in percent, for a server whose name is one', () => {
    expect(setWeight({ backend: 'web', server: 'web1', to: 25 })).toBe('set server web/web1 weight 25%');
    expect(() => setWeight({ backend: 'web', server: 'web1;quit', to: 25 })).toThrow('only names are sent');
  });
});

describe('batchesOf', () => {
  test('puts all commands on one line, after the one that numbers errors', () => {
    expect(batchesOf(['show info', 'show servers state'])).toEqual([
      {
        line: 'set severity-output number;show info;show servers state',
        commands: ['show info', 'show servers state'],
      },
    ]);
  });

  test('begins a new line before one gets too long, and keeps the order', () => {
    const commands = Array.from({ length: 10 }, (_, i) => `command ${i}`);
    const batches = batchesOf(commands, 60);
    expect(batches.flatMap((batch) => batch.commands)).toEqual(commands);
    expect(Math.max(...batches.map(({ line }) => line.length))).toBeLessThanOrEqual(60);
    expect(batches).toHaveLength(4);
  });
});

describe('answersOf', () => {
  const batch = (commands: number): Batch => ({ line: '', commands: Array(commands).fill('command') });

  test('gives each command its answer, and goes on after an error', () => {
    // set …/web1 state drain; set …/zz state drain; set zz/zz …; set …/web3 state maint; get weight web/web3
    const output = '\n\n[3]: No such server.\n\n[3]: No such backend.\n\n\n40 (initial 100)\n\n';
    expect(answersOf(output, batch(5))).toEqual([
      '',
      '[3]: No such server.',
      '[3]: No such backend.',
      '',
      '40 (initial 100)',
    ]);
  });

  test.each([
    ['fewer answers than commands', '\n\n'],
    ['more answers than commands', '\n\n\n\n'],
    ['an answer that was cut off', '\n\n1\n# be_id be_name'],
    ['nothing', ''],
    ['another protocol', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
  ])('%s: not a runtime API', (_, output) => {
    expect(() => answersOf(output, batch(2))).toThrow('the answer is not that of a runtime API');
  });
});

describe('refusalOf', () => {
  test.each([
    ['', null],
    ['[3]: Permission denied', 'Permission denied'],
    [
      "[3]: 'set server <srv> state' expects 'ready', 'drain' and 'maint'.",
      "'set server <srv> state' expects 'ready', 'drain' and 'maint'.",
    ],
    ['Proxy is disabled.', 'Proxy is disabled.'],
  ])('%j says %j', (answer, refusal) => {
    expect(refusalOf(answer)).toBe(refusal);
  });
});

describe('readingOf', () => {
  test('reads what HAProxy 2.6 answered', () => {
    expect(readingOf([info, states, stats])).toEqual({
      pid: 6478,
      incarnation: '6478 since 1795252104',
      servers: [
        {
          backend: 'web',
          server: 'web1',
          rotation: 'in',
          health: 'down',
          sessions: 0,
          weight: { now: 1, configured: 1 },
          because: [],
        },
        {
          backend: 'web',
          server: 'web2',
          rotation: 'draining',
          health: 'down',
          sessions: 0,
          weight: { now: 0, configured: 0 },
          because: ['its weight is 0'],
        },
        {
          backend: 'web',
          server: 'web3',
          rotation: 'in',
          health: 'unchecked',
          sessions: 3,
          weight: { now: 1, configured: 1 },
          because: [],
        },
      ],
    });
  });

  test('reads a process that does not say when it started', () => {
    expect(readingOf(['Name: HAProxy\nPid: 12\nUptime_sec: 2', states, stats]).incarnation).toBe(
      '12 since an unknown time',
    );
  });

  test.each([
    ['0', 'in', []],
    ['1', 'out', []],
    ['2', 'out', ['it follows the server that it tracks']],
    ['4', 'in', []],
    ['5', 'out', []],
    ['8', 'draining', []],
    ['16', 'draining', ['it follows the server that it tracks']],
    ['9', 'out', []],
    ['32', 'out', ['its host name does not resolve']],
    ['64', 'in', []],
  ])('admin state %s is %s', (admin, rotation, because) => {
    expect(reading({ admin })).toMatchObject({ rotation, because });
  });

  test.each([
    ['running, proven by a check', { op: '2', checkHealth: '4', checkState: '6' }, 'up'],
    ['running, but made ready just now', { op: '2', checkHealth: '2', checkState: '6' }, 'starting'],
    ['running, its last check failed', { op: '2', checkHealth: '3', checkState: '6' }, 'up'],
    ['running without checks', { op: '2', checkHealth: '0', checkState: '0' }, 'unchecked'],
    ['running, its checks switched off', { op: '2', checkHealth: '4', checkState: '2' }, 'unchecked'],
    ['running, and tracks another server', { op: '2', checkState: '0', tracked: 'web/web9' }, 'up'],
    ['stopped, and tracks another server', { op: '0', checkState: '0', tracked: 'web/web9' }, 'down'],
    ['in its slow start', { op: '1', checkHealth: '4', checkState: '6' }, 'starting'],
    ['stopped', { op: '0', checkHealth: '0', checkState: '6' }, 'down'],
    ['stopped while it drains', { op: '0', admin: '8', checkHealth: '0', checkState: '6' }, 'down'],
    ['stopped, and its last check was good', { op: '0', checkHealth: '1', checkState: '6' }, 'starting'],
    ['stopping, because it answers 404', { op: '3', checkHealth: '4', checkState: '6' }, 'down'],
    ['out, its checks paused', { op: '0', admin: '1', checkHealth: '0', checkState: '14' }, 'unchecked'],
  ])('a server that is %s', (_, row, health) => {
    expect(reading(row)).toMatchObject({ health });
  });

  test('sessions are those on the server and those queued for it', () => {
    expect(reading({ current: '3', queued: '2' })).toMatchObject({ sessions: 5 });
  });

  test('a reason with commas and quotes does not shift the columns', () => {
    expect(
      reading({ reason: '"got ""502"", then, nothing"', checkHealth: '4', checkState: '6' }),
    ).toMatchObject({ health: 'up' });
  });

  test.each([
    ['no process', ['', states, stats], '"show info" has no Pid: ""'],
    [
      'an unknown format',
      [info, states.replace('1', '2'), stats],
      '"show servers state" has an unknown format: "2\\n# be_id',
    ],
    [
      'a table without a header',
      [info, states, 'No such proxy.'],
      'a table without a header: "No such proxy."',
    ],
    [
      'a server without statistics',
      [info, states, stats.replace('web,web3', 'web,web4')],
      '"show stat" does not have web/web3',
    ],
    [
      'a column that is not there',
      [info, states.replace('srv_uweight', 'weight'), stats],
      'srv_uweight cannot be read from "3 web 1',
    ],
    [
      'a text where a number stands',
      [info, states.replace(' 0 0 1 1 ', ' 0 x 1 1 '), stats],
      'a number cannot be read from "x"',
    ],
    [
      'an unknown operation',
      [info, states.replace(' 0 0 1 1 ', ' 7 0 1 1 '), stats],
      'srv_op_state cannot be read from "7"',
    ],
  ])('%s is an error', (_, answers, message) => {
    expect(() => readingOf(answers)).toThrow(message);
  });
});

/** One server, as HAProxy would show it with these cells. */
function reading(cells: {
  op?: string;
  admin?: string;
  checkHealth?: string;
  checkState?: string;
  tracked?: string;
  current?: string;
  queued?: string;
  reason?: string;
}) {
  const { op = '2', admin = '0', checkHealth = '4', checkState = '6', tracked = '' } = cells;
  const { current = '0', queued = '0', reason = '' } = cells;
  const state = `3 web 1 web1 127.0.0.1 ${op} ${admin} 1 1 3 8 3 ${checkHealth} ${checkState} 0 0 0 - 80 - 0 0 - - 0`;
  const stat = `web,web1,${queued},${current},${tracked},${reason},2,3,`;
  const columns = '# pxname,svname,qcur,scur,tracked,last_chk,check_rise,check_fall,';
  return readingOf([info, `1\n${stateHeader}\n${state}`, `${columns}\n${stat}`]).servers[0];
}

const info = `Name: HAProxy
Version: 2.6.12-1+deb12u4
Release_date: 2026/10/17
Nbthread: 2
Nbproc: 1
Process_num: 1
Pid: 6478
Uptime: 0d 0h00m02s
Uptime_sec: 2
Stopping: 0
Jobs: 5
Start_time_sec: 1795252104
Tainted: 0`;

const stateHeader =
  '# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port';

const states = `1
${stateHeader}
3 web 1 web1 127.0.0.1 0 0 1 1 3 8 2 0 6 0 0 0 - 19081 - 0 0 - - 0
3 web 2 web2 127.0.0.1 0 0 0 0 2 8 2 0 6 0 0 0 - 19082 - 0 0 - - 0
3 web 3 web3 127.0.0.1 2 0 1 1 3 1 0 2 0 0 0 0 - 19083 - 0 0 - - 0`;

const stats = `# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,agent_status,agent_code,agent_duration,check_desc,agent_desc,check_rise,check_fall,check_health,agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,connect,reuse,cache_lookups,cache_hits,srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,idle_conn_cur,safe_conn_cur,used_conn_cur,need_conn_est,uweight,agg_server_status,agg_server_check_status,agg_check_status,-,ssl_sess,
web,web1,0,0,0,0,,0,0,0,,0,,0,0,0,0,DOWN,1,1,0,1,1,3,3,,1,3,1,,0,,2,0,,0,L4CON,,0,0,0,0,0,0,0,,,,0,0,0,,,,,-1,Connection refused,,0,0,0,0,,,,Layer4 connection problem,,2,3,0,,,,127.0.0.1:19081,,http,,,,,,,,0,0,0,,,0,,0,0,0,0,0,0,0,0,1,1,,,,-,0,
web,web2,0,0,0,0,,0,0,0,,0,,0,0,0,0,DOWN,0,1,0,1,1,2,2,,1,3,2,,0,,2,0,,0,L4CON,,0,0,0,0,0,0,0,,,,0,0,0,,,,,-1,Connection refused,,0,0,0,0,,,,Layer4 connection problem,,2,3,0,,,,127.0.0.1:19082,,http,,,,,,,,0,0,0,,,0,,0,0,0,0,0,0,0,0,1,0,,,,-,0,
web,web3,1,1,2,2,,4,0,0,,0,,0,0,0,0,no check,1,1,0,,,3,,,1,3,3,,0,,2,0,,0,,,,0,0,0,0,0,0,,,,0,0,0,,,,,-1,,,0,0,0,0,,,,,,,,,,,,127.0.0.1:19083,,http,,,,,,,,0,0,0,,,0,,0,0,0,0,0,0,0,0,0,1,,,,-,0,`;
