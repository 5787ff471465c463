import { assert } from '../core/assert.ts';
import type { DeployError } from '../core/errors.ts';
import { type FleetSite, imageRelease } from '../core/fleet.ts';
import type { FleetEntry } from '../core/fleet-log.ts';
import type { FleetHookPoint, HookContext, HookSpec } from '../core/hook.ts';
import type { FleetPorts } from '../ports.ts';
import { expected } from './run.ts';
import { type Here, type HookPlace, inProcess, onOperator } from './steps/hook.ts';

interface Moment extends Pick<Here, 'failureText' | 'signal'> {
  readonly point: FleetHookPoint;
  readonly intent: FleetEntry['intent'];
}

/** Runs the hooks of a point in order, where sluice runs. Rejects with the first that fails; none is run after it. */
export async function fleetHooks(site: FleetSite, ports: FleetPorts, moment: Moment): Promise<void> {
  for (const spec of hooksAt(site, moment.point)) await runHook(site, ports, { ...moment, spec });
}

/** Those at `failed`: all are run, whatever happens, and what goes wrong with one is a warning. */
export async function failedFleetHooks(
  site: FleetSite,
  ports: FleetPorts,
  { intent, error }: Pick<Moment, 'intent'> & { readonly error: DeployError },
): Promise<readonly string[]> {
  const warnings: string[] = [];
  // The run's own signal may be what it failed by.
  const { signal } = new AbortController();
  const moment = { point: 'failed', intent, failureText: error.message, signal } as const;
  for (const spec of hooksAt(site, 'failed'))
    await runHook(site, ports, { ...moment, spec }).catch((thrown: unknown) => {
      warnings.push(expected(signal, thrown).message);
    });
  return warnings;
}

const hooksAt = ({ hooks }: FleetSite, at: FleetHookPoint): readonly HookSpec[] =>
  hooks.filter(({ point }) => point === at);

async function runHook(
  site: FleetSite,
  ports: FleetPorts,
  { spec, point, intent, failureText, signal }: Moment & { readonly spec: HookSpec },
): Promise<void> {
  const { name: hook, action } = spec;
  assert(action.kind !== 'nodes', 'the config was parsed, so hooks of a fleet run here');
  const place: HookPlace = { hook, point, release: imageRelease(intent.to.image), nodes: [] };
  const here: Here = { site, ports, failureText, signal };
  if (action.kind === 'operator') await onOperator(place, here, action);
  else await inProcess(place, here, action, noNodes);
}

/** Machines of a fleet have no names that a hook could know. */
const noNodes: Pick<HookContext, 'run' | 'get'> = {
  run: () => Promise.reject(new Error('a fleet has no nodes')),
  get: () => Promise.reject(new Error('a fleet has no nodes')),
};
