import { describe, expect, test } from 'vitest';
import { countsOf } from '../../../src/adapters/balancers/haproxy-counts.ts';

const info = 'Name: HAProxy\nPid: 6478\nStart_time_sec: 1795252104';

/** `show stat` with one server that has these cells, and all others empty or 0. */
function stats(cells: Readonly<Record<string, string>>): string {
  const row = {
    pxname: 'web',
    svname: 'web1',
    ...Object.fromEntries(counters.map((name) => [name, '0'])),
    last_chk: '"got ""502"", then, nothing"',
    rtime: '0',
    ...cells,
  };
  return `# ${Object.keys(row).join(',')},\n${Object.values(row).join(',')},`;
}

const counters = [
  ...['econ', 'eresp', 'hrsp_1xx', 'hrsp_2xx', 'hrsp_3xx', 'hrsp_4xx'],
  ...['hrsp_5xx', 'hrsp_other', 'cli_abrt', 'srv_abrt'],
];

const answers = (cells: Readonly<Record<string, string>>) =>
  countsOf([info, stats(cells)]).servers[0]!.answers;

describe('countsOf', () => {
  test('names the process and the server', () => {
    expect(countsOf([info, stats({})])).toEqual({
      incarnation: '6478 since 1795252104',
      servers: [
        {
          backend: 'web',
          server: 'web1',
          answers: { requests: 0, errors: 0, refused: 0, responseMs: null },
        },
      ],
    });
  });

  test.each([
    ['answers of every class', { hrsp_2xx: '5', hrsp_3xx: '4', hrsp_other: '1' }, [10, 0, 0]],
    ['answers of 4xx and 5xx', { hrsp_2xx: '5', hrsp_4xx: '3', hrsp_5xx: '2' }, [10, 2, 3]],
    ['interim answers, which are none', { hrsp_1xx: '7', hrsp_2xx: '1' }, [1, 0, 0]],
    ['requests without an answer', { hrsp_2xx: '1', eresp: '3' }, [4, 3, 0]],
    ['answers that were cut off twice', { hrsp_2xx: '9', eresp: '2', srv_abrt: '2' }, [11, 2, 0]],
    ['WebSockets that ran out of time', { hrsp_1xx: '3', hrsp_2xx: '9', srv_abrt: '3' }, [9, 0, 0]],
    ['requests without a connection', { econ: '2' }, [2, 2, 0]],
    ['visitors who went away', { hrsp_2xx: '1', cli_abrt: '5' }, [1, 0, 0]],
  ])('counts %s', (_, cells, [requests, errors, refused]) => {
    expect(answers(cells)).toMatchObject({ requests, errors, refused });
  });

  test('has the average time of answers, once there is one', () => {
    expect(answers({ hrsp_2xx: '1', rtime: '73' })).toMatchObject({ responseMs: 73 });
    expect(answers({ eresp: '1', rtime: '0' })).toMatchObject({ responseMs: null });
  });

  test('in TCP mode there is nothing to count', () => {
    expect(answers({ hrsp_2xx: '' })).toBeNull();
  });

  test.each([
    ['no process', ['', stats({})], '"show info" has no Pid: ""'],
    ['no table', [info, 'Permission denied'], 'a table without a header: "Permission denied"'],
    ['a text where a number stands', [info, stats({ eresp: 'x' })], 'a number cannot be read from "x"'],
  ])('%s is an error', (_, read, message) => {
    expect(() => countsOf(read)).toThrow(message);
  });
});
