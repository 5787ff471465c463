import type { Workers } from '../core/hook.ts';
import { layout } from './layout.ts';
import { quote, userCommand, words } from './shell.ts';

/**
 * Has workers finish their jobs and end, and brings them up again. It runs in the release that is live. Those that do not
 * end in time are killed, if that is set; else they are let be, and brought up in what is live then as soon as they have
 * ended: a job is not cut, and no worker is lost.
 */
export const restartWorkers = (deployTo: string, workers: Workers): string => {
  const { stop, isRunning, kill, start, drainMs } = workers;
  const seconds = Math.ceil(drainMs / 1000);
  return [
    // A later attempt sees to the workers: what waits for an earlier one need not go on.
    `turn=${words(`${deployTo}/${layout.workers}`)}; me=$(date +%s).$$; echo "$me" > "$turn"`,
    // Whatever goes on after the end of this must not hold its output open.
    `( ${quiet(stop)} ) > "$turn.output" 2>&1 & stopping=$!`,
    `runs() { kill -0 "$stopping" 2>/dev/null${isRunning === null ? '' : ` || ${quiet(isRunning)} > /dev/null 2>&1`}; }`,
    'killed=',
    waitWhileRunning(seconds),
    'cat "$turn.output"',
    'if runs; then',
    ...(kill === null ? [] : [`killed=yes; ${quiet(kill)} || :`, waitWhileRunning(killSeconds)]),
    'if runs; then',
    `( ${comeUpLater(deployTo, start)} ) > /dev/null 2>&1 &`,
    `echo ${quote(`the workers did not end their jobs within ${seconds} s; they come up again once they have`)} >&2; exit 1`,
    'fi',
    'fi',
    // Whatever asked workers to end that were killed need not have gone well.
    'status=0; wait "$stopping" || status=$?',
    `[ $status -eq 0 ] || [ -n "$killed" ] || { echo 'workers.stop failed' >&2; exit $status; }`,
    ...start.map(
      (command, index) =>
        `${quiet(command)} || { status=$?; echo ${quote(`workers.start[${index}] failed`)} >&2; exit $status; }`,
    ),
  ].join('\n');
};

const comeUpLater = (deployTo: string, start: Workers['start']): string =>
  [
    `until=$(($(date +%s) + ${laterSeconds}))`,
    'while runs; do',
    `  ${hasTurn} && [ "$(date +%s)" -lt "$until" ] || exit 0`,
    '  sleep 1',
    'done',
    // A later attempt may have begun while it looked.
    `${hasTurn} || exit 0`,
    words('cd', `${deployTo}/${layout.current}`),
    ...start.map(quiet),
  ].join('\n');

const hasTurn = '[ "$(cat "$turn")" = "$me" ]';

/** What runs for longer than a day is no job that is waited for. */
const laterSeconds = 86_400;

/** How long those that are killed may take. */
const killSeconds = 10;

const quiet = (command: Workers['stop']): string => `${userCommand(command)} < /dev/null`;

/** For at least so long: `date` knows whole seconds. Not every sleep knows parts of one. */
const waitWhileRunning = (seconds: number): string =>
  `until=$(($(date +%s) + ${seconds} + 1)); while runs && [ "$(date +%s)" -lt "$until" ]; do sleep 0.2 2>/dev/null || sleep 1; done`;
