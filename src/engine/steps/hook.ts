import { note } from '../../commands/note.ts';
import { runHook } from '../../commands/run-hook.ts';
import { userCommand } from '../../commands/shell.ts';
import { assert } from '../../core/assert.ts';
import type { CommandLine } from '../../core/command.ts';
import { type DeployError, failure, isDeployError, messageOf } from '../../core/errors.ts';
import type { HookContext, HookSpec } from '../../core/hook.ts';
import type { NodeName } from '../../core/node.ts';
import { liveRelease, type Observation } from '../../core/observation.ts';
import type { Site } from '../../core/site.ts';
import type { StepOf } from '../../core/step.ts';
import type { Operator, Ports } from '../../ports.ts';
import {
  around,
  eachNode,
  emit,
  expected,
  fenceFor,
  type NodeFailure,
  nodeOf,
  onHeld,
  presentNodes,
  type Run,
  stepFailed,
  writeLater,
} from '../run.ts';
import type { StepHandler } from './handler.ts';

type HookStep = StepOf<'hook'>;
type Action<K extends HookSpec['action']['kind']> = Extract<HookSpec['action'], { kind: K }>;

export const hook: StepHandler<'hook'> = {
  describe: ({ hook: name, nodes }, _ports, site) => [describeAction(hookOf(site, name), nodes)],
  async execute(step, run) {
    const spec = hookOf(run.site, step.hook);
    // Nodes were left out meanwhile: the report says what is to be done then.
    if (step.duty === 'contract' && lagging(step, run.observed).length > 0) return [];
    try {
      switch (spec.action.kind) {
        case 'nodes':
          return await onNodes(step, run, spec.action);
        case 'operator':
          await onOperator(step, run, spec.action);
          return [];
        case 'function':
          await inProcess(step, run, spec.action, nodesOf(step, run));
          return [];
      }
    } catch (error) {
      return stepFailed(run, error);
    }
  },
};

/** Nodes that have an older release than that of the step. */
export const lagging = (
  { release }: Pick<HookStep, 'release'>,
  { nodes }: Observation,
): readonly NodeName[] =>
  Object.values(nodes).flatMap((node) => ((liveRelease(node) ?? '') < release.id ? [node.name] : []));

function hookOf(site: Site, name: string): HookSpec {
  const spec = site.hooks.find((candidate) => candidate.name === name);
  assert(spec, `plans name hooks of the site, and ${name} is one`);
  return spec;
}

const describeAction = ({ name, action }: HookSpec, nodes: readonly NodeName[]): string => {
  if (action.kind === 'function') return `call ${name}`;
  const start = action.kind === 'nodes' ? (action.workers?.start ?? []) : [];
  const command = [action.command, ...start].map(userCommand).join(', then ');
  return action.kind === 'operator' ? `here: ${command}` : `${nodes.join(', ')}: ${command}`;
};

/** A hook where it stands, and what it is told of. */
export type HookPlace = Pick<HookStep, 'hook' | 'point' | 'release' | 'nodes'>;

/** What hooks need that run where sluice does. */
export interface Here {
  readonly site: Pick<Site, 'name' | 'stage'>;
  readonly ports: Pick<Ports, 'clock' | 'http' | 'emit'> & {
    readonly operator: Pick<Operator, 'name' | 'run'>;
  };
  /** What went wrong, for hooks at the point `failed`. */
  readonly failureText: string | null;
  readonly signal: AbortSignal;
}

const failed = (step: HookPlace, where: string, reason: string, cause?: unknown): DeployError =>
  failure('HOOK_FAILED', { hook: step.hook, point: step.point, where, reason }, cause);

const onNodes = (step: HookStep, run: Run, action: Action<'nodes'>): Promise<readonly NodeFailure[]> =>
  eachNode(run, step, async (node) => {
    const { hook: name, point, once, onceAs, release, duty } = step;
    const { command, timeoutMs, closesWayBack = false, workers } = action;
    const fence = fenceFor(run, node.name, around(run, step));
    const result = await onHeld(
      run,
      node,
      runHook(fence, {
        ...{ hook: name, point, command, once, onceAs, release, timeoutMs, closesWayBack },
        ...(duty ? { duty } : {}),
        ...(workers ? { workers } : {}),
      }),
    ).catch((error: unknown) => {
      throw isDeployError(error, 'COMMAND_FAILED', 'COMMAND_TIMEOUT')
        ? failed(step, node.name, error.message, error)
        : error;
    });
    if (result.state === 'unknown') {
      throw failed(
        step,
        node.name,
        'an earlier attempt was cut off, and it is not known how it ended; it runs once, so it was not run again',
      );
    }
    if (once) tellOthers(step, run, node.name);
    if (result.isIrreversible) await closeWayBack(step, run, node.name);
    for (const text of result.output.split('\n').filter((line) => line !== '')) {
      emit(run.ports, { type: 'line', from: `${name} on ${node.name}`, text });
    }
    return result.backup;
  });

/**
 * The machine that it ran on may be lost: whoever goes on then reads it from another. A release that took the place of an
 * attempt has it under its own name as well, by which it is looked for later.
 */
function tellOthers({ hook: name, onceAs, release: { id } }: HookStep, run: Run, ranOn: NodeName): void {
  for (const { name: node } of presentNodes(run))
    for (const release of new Set([onceAs, id]))
      if (node !== ranOn || release !== onceAs)
        writeLater(run, node, null, [{ release, mark: 'once', hook: name }]);
}

/** At once: whoever goes on, or back, from here must know it from any node that is left. */
async function closeWayBack({ onceAs }: HookStep, run: Run, ranOn: NodeName): Promise<void> {
  const others = run.site.nodes.filter(({ name }) => name !== ranOn);
  const results = await Promise.allSettled(
    others.map((node) => {
      writeLater(run, node.name, null, [{ release: onceAs, mark: 'irreversible' }]);
      return onHeld(run, node, note(fenceFor(run, node.name), null));
    }),
  );
  for (const [index, result] of results.entries()) {
    if (result.status === 'fulfilled') continue;
    const error = expected(run.signal, result.reason);
    if (error.code === 'LOCK_LOST') throw error;
    run.warnings.push(`${others[index]!.name} does not know that the way back is closed: ${error.message}`);
  }
}

/** Rejects with `HOOK_FAILED` unless the command's status is 0. */
export async function onOperator(step: HookPlace, run: Here, action: Action<'operator'>): Promise<void> {
  const result = await run.ports.operator.run(action.command, {
    env: environment(step, run),
    timeoutMs: action.timeoutMs,
    signal: run.signal,
  });
  const output = `${result.stdout}${result.stderr}`.trim();
  if (result.status !== 0) throw failed(step, 'the operator’s machine', `status ${result.status}: ${output}`);
  for (const text of output.split('\n').filter((line) => line !== ''))
    emit(run.ports, { type: 'line', from: step.hook, text });
}

const environment = (step: HookPlace, run: Here): Readonly<Record<string, string>> => ({
  SLUICE_SITE: run.site.name,
  SLUICE_STAGE: run.site.stage,
  SLUICE_HOOK: step.point,
  SLUICE_RELEASE: step.release.id,
  SLUICE_REVISION: step.release.revision,
  SLUICE_NODES: step.nodes.join(' '),
  SLUICE_OPERATOR: run.ports.operator.name,
  ...(run.failureText === null ? {} : { SLUICE_FAILURE: run.failureText }),
});

/** A user's function may throw anything: whatever it is, it is a failing hook. */
export async function inProcess(
  step: HookPlace,
  run: Here,
  action: Action<'function'>,
  nodes: Pick<HookContext, 'run' | 'get'>,
): Promise<void> {
  const ended = new AbortController();
  const timeUp = run.ports.clock.sleep(action.timeoutMs, ended.signal).then(() => {
    if (!ended.signal.aborted)
      throw failed(step, 'the operator’s machine', `it did not end within ${action.timeoutMs} ms`);
  });
  try {
    await Promise.race([
      timeUp,
      Promise.resolve().then(() => action.run({ ...contextOf(step, run, ended.signal), ...nodes })),
    ]);
  } catch (error) {
    throw isDeployError(error) ? error : failed(step, 'the operator’s machine', messageOf(error), error);
  } finally {
    ended.abort();
    await Promise.allSettled([timeUp]);
  }
}

const contextOf = (step: HookPlace, run: Here, ended: AbortSignal): Omit<HookContext, 'run' | 'get'> => ({
  site: run.site.name,
  stage: run.site.stage,
  point: step.point,
  operator: run.ports.operator.name,
  release: step.release,
  nodes: step.nodes,
  failure: run.failureText,
  signal: AbortSignal.any([run.signal, ended]),
  async post(url, body) {
    const { status } = await run.ports.http.request({
      method: 'POST',
      url,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      via: null,
      timeoutMs: requestTimeoutMs,
    });
    if (status < 200 || status > 299)
      throw failed(step, 'the operator’s machine', `the notice was answered with status ${status}`);
  },
});

const requestTimeoutMs = 30_000;

const nodesOf = (step: HookStep, run: Run): Pick<HookContext, 'run' | 'get'> => ({
  run: (node, command) => runOn(step, run, node, command),
  async get(node, { path, host, port = 80 }) {
    const { address } = nodeOf(run.site, node);
    return run.ports.http.request({
      method: 'GET',
      url: `http://${address.includes(':') ? `[${address}]` : address}:${port}${path}`,
      headers: host === undefined ? {} : { host },
      via: nodeOf(run.site, node),
      timeoutMs: requestTimeoutMs,
    });
  },
});

async function runOn(step: HookStep, run: Run, node: NodeName, command: CommandLine): Promise<string> {
  const { hook: name, point, release } = step;
  const fence = fenceFor(run, node);
  const work = runHook(fence, {
    hook: name,
    point,
    command,
    once: false,
    onceAs: release.id,
    release,
    timeoutMs: 10 * 60_000,
  });
  return (await onHeld(run, nodeOf(run.site, node), work)).output;
}
