import type { Site } from '../../core/site.ts';
import type { Step, StepKind, StepOf } from '../../core/step.ts';
import { reportOf, type Session } from '../session.ts';
import { workersOf } from '../workers.ts';
import type { World } from '../world.ts';
import type { Checker } from './checker.ts';

/** A run takes no longer than its plans allow, where nothing goes wrong while it goes on. */
export const inTime: Checker = {
  name: 'in-time',
  watch(world) {
    const planned = new Map<Session, number>();
    return (event) => {
      if (event.kind === 'planned') {
        const ms = event.plan.steps.reduce((sum, { step }) => sum + longestMs(world.site, step), 0);
        planned.set(event.session, (planned.get(event.session) ?? 0) + ms);
      }
      if (event.kind !== 'ended' || world.faults.healedAtMs === null || !reportOf(event.session)) return null;
      const { session } = event;
      if (session.startedAtMs < healedAtMs(world)) return null;
      const tookMs = world.clock.passedMs() - session.startedAtMs;
      const mostMs = aroundMs + (planned.get(session) ?? 0);
      return tookMs <= mostMs ? null : `${session.name} took ${tookMs} ms, and its plan allows ${mostMs} ms`;
    };
  },
};

const healedAtMs = ({ faults }: World): number => faults.healedAtMs ?? Number.POSITIVE_INFINITY;

/** To observe, to be asked, to lock, to observe again and to free. */
const aroundMs = 15_000;

/** The longest that a step may take where every command and every balancer answers. */
const longestMs = (site: Site, step: Step): number =>
  aStepMs + (step.kind === 'hold' ? holdMs(step) : (waits[step.kind]?.(site) ?? 0));

/** Where a balancer is restarted meanwhile, the time of one that is judged begins anew. */
const holdMs = ({ forMs, judged }: StepOf<'hold'>): number => (judged === null ? 1 : 2) * (forMs ?? 0);

/** What each step does beside what it waits for: round trips and the commands themselves. */
const aStepMs = 5000;

const waits: { readonly [K in StepKind]?: (site: Site) => number } = {
  build: ({ source }) => (source.kind === 'git' ? source.timeoutMs : 0),
  drain: ({ drain }) => drain.timeoutMs,
  activate: ({ drain }) => drain.timeoutMs,
  check: ({ checks }) => Math.max(0, ...checks.map(({ timeoutMs }) => timeoutMs)),
  enable: ({ drain }) => drain.enableTimeoutMs,
  cron: ({ cron }) => cron?.timeoutMs ?? 0,
  hook: (site) => workersOf(site)?.drainMs ?? 0,
};
