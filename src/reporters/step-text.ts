import { count } from '../core/errors.ts';
import type { Step, StepKind, StepOf } from '../core/step.ts';
import { duration, names } from './amount.ts';
import { releaseText } from './release-text.ts';

/** A step without its verb, which is its kind: `20260114093000 (3f2a9c1) on web1, web2`. */
export const stepObject = (step: Step, namesMax?: number): string =>
  (objects[step.kind] as (step: Step, on: string) => string)(step, names(step.nodes, namesMax));

/** `activate 20260114093000 (3f2a9c1) on web1, web2` */
export const stepText = (step: Step, namesMax?: number): string =>
  `${step.kind} ${stepObject(step, namesMax)}`;

const objects: { readonly [K in StepKind]: (step: StepOf<K>, on: string) => string } = {
  build: ({ release }) => releaseText(release),
  fetch: ({ release, from }) => `${releaseText(release)} from ${from}`,
  prepare: ({ release }, on) => `${releaseText(release)} on ${on}`,
  drain: (_, on) => on,
  activate: ({ release }, on) => `${releaseText(release)} on ${on}`,
  check: ({ release }, on) => `${on} as ${release.id}`,
  enable: (_, on) => on,
  preview: ({ release }, on) => `${on} as ${release.id}`,
  flip: ({ to, share }, on) => `${share === undefined ? '' : `${share} % `}to ${to}: ${on}`,
  cleanup: ({ remove }, on) => `${on}: ${count(new Set(Object.values(remove).flat()).size, 'old release')}`,
  hold: ({ name, forMs, judged }, on) =>
    `${name}: ${on} ${forMs === null ? 'until it is promoted' : `for ${duration(forMs)}`}${judged === null ? '' : ', then judged'}`,
  shift: ({ to }, on) => `${on} to ${to} %`,
  cron: ({ from, to }) =>
    [from.length > 0 ? `off ${names(from)}` : '', to === null ? '' : `on ${to}`].filter(Boolean).join(', '),
  maintenance: ({ to }, on) => `${to} on ${on}`,
  hook: ({ hook, point }, on) => `${hook} (${point}) for ${on}`,
};
