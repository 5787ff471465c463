import { expect, test } from 'vitest';
import { toldState } from '../../../src/adapters/balancers/haproxy-state.ts';

const head =
  '# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_port';
const row = (name: string, admin: number, weight = 100) =>
  `3 web 1 ${name} 10.0.0.1 2 ${admin} ${weight} 100 80`;
const answer = (...rows: readonly string[]) => ['1', head, ...rows].join('\n');

test('servers that were told nothing are left out, all others stand there as HAProxy writes them', () => {
  const told = [row('drained', 8), row('out', 1), row('light', 0, 25), row('disabled-but-ready', 4)];
  expect(toldState(answer(row('web1', 0), ...told, row('web2', 0)))).toBe(`${answer(...told)}\n`);
});

test('nothing told is a file without servers, whose last line has an end', () => {
  expect(toldState(answer(row('web1', 0)))).toBe(`${answer()}\n`);
});

test('a format that is not known is not written down', () => {
  expect(() => toldState(`2\n${head}\n`)).toThrow('unknown format');
});
