import type { Event } from '../core/event.ts';
import type { FleetIntent } from '../core/fleet-log.ts';
import type { NodeName } from '../core/node.ts';
import type { Plan } from '../core/plan.ts';
import type { Step } from '../core/step.ts';

/** What a reporter has to remember of the events so far. */
export interface Progress {
  note(event: Event): void;
  elapsedMs(atMs: number): number;
  command(): string;
  /** What the run set out to do; a plan of recovery does not replace it. */
  plan(): Plan | null;
  /** Of a fleet: what the run has it for; null before it has it, and of a site of nodes. */
  intent(): FleetIntent | null;
  /** Steps of the plan that is carried out now. */
  total(): number;
  /** The step that began last. */
  step(): StepProgress | null;
}

export interface StepProgress {
  readonly step: Step;
  readonly index: number;
  readonly done: readonly NodeName[];
  readonly failed: readonly NodeName[];
  readonly ended: boolean;
  readonly details: Readonly<Record<NodeName, string>>;
  /** Of all nodes together; null before the first byte. */
  readonly sent: { readonly done: number; readonly total: number } | null;
}

export function createProgress(): Progress {
  let startMs: number | null = null;
  let command = 'run';
  let plan: Plan | null = null;
  let intent: FleetIntent | null = null;
  let total = 0;
  let step: StepProgress | null = null;
  const sent = new Map<NodeName, { readonly done: number; readonly total: number }>();

  const endStep = (): void => {
    if (step) step = { ...step, ended: true };
  };
  const notes: { readonly [T in Event['type']]?: (event: Extract<Event, { type: T }>) => void } = {
    'run-started': (event) => {
      command = event.command;
    },
    planned: (event) => {
      plan = event.plan;
    },
    'fleet-taken': (event) => {
      intent = event.intent;
    },
    'step-started': (event) => {
      total = event.total;
      step = {
        step: event.step,
        index: event.index,
        done: [],
        failed: [],
        ended: false,
        details: {},
        sent: null,
      };
      sent.clear();
    },
    bytes: ({ node, done, total: size }) => {
      sent.set(node, { done, total: size });
      if (step) step = { ...step, sent: sumOf([...sent.values()], step.step.nodes.length) };
    },
    'node-done': ({ node, detail }) => {
      if (!step) return;
      const details = detail === null ? step.details : { ...step.details, [node]: detail };
      step = { ...step, done: [...step.done, node], details };
    },
    'node-failed': ({ node }) => {
      if (step) step = { ...step, failed: [...step.failed, node] };
    },
    'step-done': endStep,
    'step-failed': endStep,
  };

  return {
    note(event) {
      startMs ??= event.atMs;
      (notes[event.type] as ((event: Event) => void) | undefined)?.(event);
    },
    elapsedMs: (atMs) => Math.max(0, atMs - (startMs ?? atMs)),
    command: () => command,
    plan: () => plan,
    intent: () => intent,
    total: () => total,
    step: () => step,
  };
}

/** What a run set out to do, for the words at its end. */
export const aimOf = (
  progress: Progress,
): { readonly command: string; readonly plan: Plan | null; readonly intent: FleetIntent | null } => ({
  command: progress.command(),
  plan: progress.plan(),
  intent: progress.intent(),
});

/** Every node gets the same artifact, so those that did not begin yet count with the size of the others. */
function sumOf(sent: readonly { readonly done: number; readonly total: number }[], nodes: number) {
  const size = Math.max(...sent.map(({ total }) => total));
  return { done: sent.reduce((sum, { done }) => sum + done, 0), total: size * Math.max(nodes, sent.length) };
}
