import type { Answers } from '../../core/counts.ts';
import { type Cell, commaSeparated, numberOf, rowsOf } from './haproxy-table.ts';
import { incarnationOf, type ServerName } from './haproxy-wire.ts';

/** What one HAProxy process has counted since it started. */
export interface Counts {
  readonly incarnation: string;
  readonly servers: readonly CountedServer[];
}

export interface CountedServer extends ServerName {
  /** Null in TCP mode, where there are no answers. */
  readonly answers: Answers | null;
}

/** The commands whose answers `countsOf` reads. */
export const countCommands: readonly string[] = ['show info', 'show stat -1 4 -1'];

/** Throws if the answers are not what HAProxy 2.4 to 3.2 says (management guide, 9.1 and 9.3). */
export function countsOf([info = '', stats = '']: readonly string[]): Counts {
  const servers = rowsOf(stats.split('\n'), commaSeparated).map((cell) => ({
    backend: cell('pxname'),
    server: cell('svname'),
    answers: cell('hrsp_2xx') === '' ? null : answersIn(cell),
  }));
  return { incarnation: incarnationOf(info), servers };
}

/**
 * `hrsp_*` has the heads of answers that came from the server, and those of 1xx (100, 103, 101 to a WebSocket) are
 * not the answer to a request or have no end. `eresp`: no answer, none in time, or one that is none, which visitors
 * see as 502 or 504; and answers that were cut off after their head, which are two requests here, one good and one
 * not: `srv_abrt` does not tell them apart, for it has WebSockets that ran out of time as well. `econ`: no connection,
 * and no other server to go to. A request that went on to another server is counted there. Not counted at all is a
 * server that closes a connection without an answer after others on it: HAProxy takes that for the end of a keep-alive,
 * and has the client ask again. Versions 3.0 and 3.2 have a connection that is closed without an answer twice in `eresp`.
 */
export function answersIn(cell: Cell): Answers {
  const [refused, failed] = numbers(cell, ['hrsp_4xx', 'hrsp_5xx']);
  const answered = total(cell, ['hrsp_2xx', 'hrsp_3xx', 'hrsp_4xx', 'hrsp_5xx', 'hrsp_other']);
  const unanswered = total(cell, ['eresp', 'econ']);
  return {
    requests: answered + unanswered,
    errors: failed! + unanswered,
    refused: refused!,
    responseMs: answered === 0 ? null : numberOf(cell('rtime')),
  };
}

const total = (cell: Cell, columns: readonly string[]): number =>
  numbers(cell, columns).reduce((sum, count) => sum + count, 0);

const numbers = (cell: Cell, columns: readonly string[]): readonly number[] =>
  columns.map((column) => numberOf(cell(column)));
