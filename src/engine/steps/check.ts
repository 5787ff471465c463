import { note } from '../../commands/note.ts';
import { failure, isDeployError } from '../../core/errors.ts';
import type { Node } from '../../core/node.ts';
import type { Release } from '../../core/release.ts';
import type { Check } from '../../core/site.ts';
import type { Host, HttpAnswer, HttpQuestion } from '../../ports.ts';
import { eachNode, fenceFor, interruption, journalLine, onHeld, type Run, writeLater } from '../run.ts';
import { pauseAfter } from '../settle/look.ts';
import type { StepHandler } from './handler.ts';

export const check: StepHandler<'check'> = {
  describe: ({ release }, _ports, { checks }) =>
    checks.map(
      (one) =>
        `${one.scheme}://${one.host ?? '<node>'}:${one.port}${one.path} answers ${expectation(one, release)} within ${one.timeoutMs} ms`,
    ),
  execute: (step, run) =>
    eachNode(run, step, async (node) => {
      try {
        await settled(checksOf(run, node).map((one) => prove(run, node, one, step.release)));
      } catch (error) {
        if (isDeployError(error) && !isDeployError(error, 'INTERRUPTED', 'LOCK_LOST'))
          await markFailed(run, node, step.release);
        throw error;
      }
      writeLater(run, node.name, journalLine(run, step, 'done'), [
        { release: step.release.id, mark: 'checked' },
      ]);
      return null;
    }),
};

/** A node that gets no traffic has nothing that answers. */
const checksOf = ({ site }: Run, { traffic }: Node): readonly Check[] => (traffic ? site.checks : []);

/** All of them, then the first that failed: no question goes on behind the caller's back. */
async function settled(work: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

/** Asks each check of a node once. What was wrong with the first answer that is not as it must be; null: nothing. */
export async function firstWrong(
  run: Run,
  node: Node,
  release: Release,
  timeoutMs: number,
): Promise<string | null> {
  const answers = await Promise.all(
    run.site.checks.map(async (one) => ({
      one,
      verdict: await ask(run, placeOf(node, one), one, release, Math.min(one.timeoutMs, timeoutMs)),
    })),
  );
  for (const { one, verdict } of answers)
    if (!verdict.ok)
      return `${urlOf(node, one)} must answer ${expectation(one, release)}, and answered ${verdict.answer}`;
  return null;
}

/** A node that can no longer be told is in trouble enough: its first failure is the one that counts. */
async function markFailed(run: Run, node: Node, release: Release): Promise<void> {
  const fence = fenceFor(run, node.name);
  const marks = [...fence.marks, { release: release.id, mark: 'failed' } as const];
  await Promise.allSettled([onHeld(run, node, note({ ...fence, marks }, null))]);
}

/**
 * Asks until the node answers as the release. The pauses grow from a few milliseconds to the check's interval, so
 * that a node that starts fast is out of rotation no longer than it must be; with `attemptsMax` they are even.
 */
export async function prove(run: Asking, node: Host, one: Check, release: Release | null): Promise<void> {
  const refused = await askUntil(run, placeOf(node, one), one, release);
  if (refused) throw refusal({ node, one, release, ...refused });
}

/** Where a question is asked: of a node, or through the balancers. */
export type Place = Pick<HttpQuestion, 'url' | 'headers' | 'via'>;

const placeOf = (node: Host, one: Check): Place => ({
  url: urlOf(node, one),
  headers: one.host === null ? {} : { host: one.host },
  via: one.via === 'ssh' ? node : null,
});

/** Whoever asks. */
interface Asking extends Pick<Run, 'signal'> {
  readonly ports: Pick<Run['ports'], 'clock' | 'http'>;
}

export async function askUntil(
  run: Asking,
  place: Place,
  one: Check,
  release: Release | null,
): Promise<Pick<Refusal, 'attempts' | 'timeUp' | 'verdict'> | null> {
  const { clock } = run.ports;
  const deadlineMs = clock.nowMs() + one.timeoutMs;
  let last: Refused | null = null;
  for (let attempts = 1; ; attempts++) {
    const verdict = await ask(run, place, one, release, Math.max(1, deadlineMs - clock.nowMs()));
    if (verdict.ok) return null;
    const leftMs = deadlineMs - clock.nowMs();
    const timeUp = leftMs <= 0;
    // A question that the deadline cut off tells less than the answer before it.
    if (last === null || !timeUp || verdict.kind !== 'silent') last = verdict;
    if (timeUp || attempts === one.attemptsMax) {
      const again = leftMs < -overdueMsMax ? await ask(run, place, one, release, againMs) : last;
      return again.ok ? null : { attempts, timeUp, verdict: last };
    }
    const pauseMs =
      one.attemptsMax === null ? pauseAfter(one.timeoutMs - leftMs, one.intervalMs) : one.intervalMs;
    await clock.sleep(Math.min(pauseMs, leftMs), run.signal);
    if (run.signal.aborted) throw interruption(run.signal);
  }
}

/**
 * No question and no pause goes beyond the deadline: if it is long past, this process stood still. Timers then go off
 * before what has come is read, so the node is asked once more.
 */
const overdueMsMax = 500;
const againMs = 1000;

type Verdict = { readonly ok: true } | Refused;

interface Refused {
  readonly ok: false;
  readonly answer: string;
  readonly kind: 'silent' | 'wrong' | 'old';
}

async function ask(
  run: Asking,
  place: Place,
  one: Check,
  release: Release | null,
  leftMs: number,
): Promise<Verdict> {
  try {
    const answer = await run.ports.http.request({ method: 'GET', ...place, timeoutMs: leftMs }, run.signal);
    return judge(one, release, answer);
  } catch (error) {
    if (run.signal.aborted) throw interruption(run.signal);
    if (!isDeployError(error, 'HTTP_UNANSWERED')) throw error;
    return { ok: false, kind: 'silent', answer: String(error.details.reason) };
  }
}

function judge(one: Check, release: Release | null, { status, body }: HttpAnswer): Verdict {
  const shown = `${status} ${JSON.stringify(body.trim().slice(0, 120))}`;
  if (status !== one.status) return { ok: false, kind: 'wrong', answer: shown };
  if (one.expect === null || body.includes(fill(one.expect, release))) return { ok: true };
  return { ok: false, kind: namesRelease(one) ? 'old' : 'wrong', answer: shown };
}

/** Through SSH the node is asked on its own loopback-free address, as its balancer would. */
const urlOf = (node: Host, { scheme, port, path }: Check): string => {
  const host = node.address.includes(':') ? `[${node.address}]` : node.address;
  return `${scheme}://${host}:${port}${path}`;
};

interface Refusal {
  readonly node: Host;
  readonly one: Check;
  readonly release: Release | null;
  readonly attempts: number;
  readonly timeUp: boolean;
  readonly verdict: Refused;
}

function refusal({ node, one, release, attempts, timeUp, verdict }: Refusal): Error {
  const details = {
    node: node.name,
    url: urlOf(node, one),
    expected: expectation(one, release),
    answer: verdict.answer,
  };
  if (verdict.kind === 'old') return failure('WRONG_RELEASE', details);
  return timeUp
    ? failure('CHECK_TIMEOUT', { ...details, withinMs: one.timeoutMs })
    : failure('CHECK_FAILED', { ...details, attempts });
}

export const expectation = (one: Check, release: Release | null): string =>
  one.expect === null
    ? String(one.status)
    : `${one.status} with ${JSON.stringify(fill(one.expect, release))}`;

/** What is asked of a machine that has no releases names none. */
const fill = (text: string, release: Release | null): string =>
  release === null
    ? text
    : text.replaceAll('{{release}}', release.id).replaceAll('{{revision}}', release.revision);

const namesRelease = ({ expect }: Check): boolean =>
  expect !== null && /\{\{(release|revision)\}\}/.test(expect);
