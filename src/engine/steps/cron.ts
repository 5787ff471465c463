import { endCronJobs, putCron, takeCron } from '../../commands/cron.ts';
import { inspect } from '../../commands/inspect.ts';
import { userCommand } from '../../commands/shell.ts';
import { assert } from '../../core/assert.ts';
import { failure, isDeployError, list } from '../../core/errors.ts';
import type { NodeName } from '../../core/node.ts';
import { liveRelease, type NodeState, nodeState } from '../../core/observation.ts';
import type { Site } from '../../core/site.ts';
import type { StepOf } from '../../core/step.ts';
import { cronFileOf } from '../cron-file.ts';
import { patienceMs } from '../observe.ts';
import {
  around,
  eachNode,
  fenceFor,
  interruption,
  type NodeFailure,
  nodeOf,
  onEach,
  onHeld,
  onNode,
  type Run,
  stepFailed,
} from '../run.ts';
import type { StepHandler } from './handler.ts';

type Cron = StepOf<'cron'>;

/**
 * Never two, at worst none for a moment: taken off, seen to be off and idle everywhere else, and only then put on. It
 * fails as a whole, for no other node can do what one of them did not.
 */
export const cron: StepHandler<'cron'> = {
  describe: ({ from, to }, _ports, { cron }) => [
    ...(from.length === 0 ? [] : [`take the cron off ${list(from)}, and wait for its jobs`]),
    ...(to === null ? [] : [`put the cron on ${to}`]),
    ...(to === null || !cron
      ? []
      : cron.file === null
        ? cron.jobs.map(({ schedule, run }) => `  ${schedule} ${userCommand(run)}`)
        : [`  the jobs of ${cron.file} in its live release`]),
  ],
  async execute(step, run) {
    try {
      const place = step.to === null ? run.site : await withJobs(run, step.to);
      const kept = await onEach(run, { ...step, nodes: step.from }, (node) =>
        onHeld(run, node, takeCron(fenceFor(run, node.name, around(run, step)))),
      );
      if (kept.length > 0) return asWhole(kept);
      await awaitIdle(step, run);
      if (step.to === null) return [];
      const { to } = step;
      return asWhole(
        await eachNode(run, { ...step, nodes: [to] }, async (node) => {
          await onHeld(run, node, putCron(fenceFor(run, to, around(run, step)), place));
          return null;
        }),
      );
    } catch (error) {
      return stepFailed(run, error);
    }
  },
};

/** The settings with the jobs of the release that is live on the node, if they stand in a file of it. */
async function withJobs(run: Run, to: NodeName): Promise<Site> {
  const { site, ports, signal } = run;
  if (!site.cron?.file) return site;
  const node = nodeOf(site, to);
  const live = liveRelease(await onNode(ports, node, inspect(node, site), { signal }));
  assert(live !== null, `no plan gives the cron to a node without a release, as ${to} is`);
  return { ...site, cron: { ...site.cron, jobs: await cronFileOf(run, node, live) } };
}

const asWhole = (failures: readonly NodeFailure[]): readonly NodeFailure[] =>
  failures.map(({ error }) => ({ node: null, error }));

/** Throws `CRON_BUSY` if jobs go on for too long, and `CRON_ELSEWHERE` if a node has the cron that should not. */
async function awaitIdle(step: Cron, run: Run): Promise<void> {
  const { clock } = run.ports;
  const { onRunning, timeoutMs } = run.site.cron ?? leftOver;
  const startMs = clock.nowMs();
  const deadlineMs = startMs + timeoutMs;
  const names = othersOf(step, run);
  const ended = new Set<'TERM' | 'KILL'>();
  for (;;) {
    const states = await lookAll(run, names, clock.nowMs() - startMs < patienceMs);
    if (states === null) {
      await pause(run);
      continue;
    }
    const holders = states.filter(({ cron }) => cron.block !== 'none');
    if (holders.length > 0) throw failure('CRON_ELSEWHERE', { nodes: holders.map(({ name }) => name) });
    const busy = states.filter(({ cron }) => cron.running.length > 0);
    if (busy.length === 0) return;
    const isLate = clock.nowMs() >= deadlineMs;
    const signal = onRunning === 'wait' ? null : isLate ? 'KILL' : 'TERM';
    if (isLate && (signal === null || ended.has('KILL'))) throw tooLong(busy, timeoutMs);
    if (signal !== null && !ended.has(signal)) {
      ended.add(signal);
      for (const { name } of busy)
        await onHeld(run, nodeOf(run.site, name), endCronJobs(fenceFor(run, name), signal));
    }
    await pause(run);
  }
}

async function pause({ ports: { clock }, signal }: Run): Promise<void> {
  await clock.sleep(lookEveryMs, signal);
  if (signal.aborted) throw interruption(signal);
}

const lookEveryMs = 500;

/** Of a cron that the settings no longer have. */
const leftOver = { onRunning: 'wait', timeoutMs: 60_000 } as const;

/** All that must not run jobs beside `to`. What could not be read when the plan was proved was judged there. */
const othersOf = ({ from, to, off }: Cron, { site, observed }: Run): readonly NodeName[] =>
  to === null
    ? from
    : site.nodes
        .map(({ name }) => name)
        .filter((name) => name !== to && !off.includes(name))
        .filter((name) => from.includes(name) || nodeState(observed, name).unreachable === null);

/** Null if one of them cannot be reached, and that may pass. */
async function lookAll(
  run: Run,
  names: readonly NodeName[],
  mayPass: boolean,
): Promise<readonly NodeState[] | null> {
  const looks = await Promise.allSettled(names.map((name) => look(run, name)));
  const failed = looks.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  if (failed.length === 0) return looks.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  if (mayPass && failed.every((error) => isDeployError(error, 'NODE_UNREACHABLE'))) return null;
  throw failed[0];
}

const look = (run: Run, name: NodeName): Promise<NodeState> => {
  const node = nodeOf(run.site, name);
  return onNode(run.ports, node, inspect(node, run.site), { signal: run.signal });
};

const tooLong = (busy: readonly NodeState[], withinMs: number) =>
  failure('CRON_BUSY', {
    jobs: busy.flatMap(({ name, cron }) => cron.running.map((job) => `${name}: ${job}`)),
    withinMs,
  });
