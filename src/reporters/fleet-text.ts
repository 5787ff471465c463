import { count } from '../core/errors.ts';
import { type FleetState, isServing, type MachineImage } from '../core/fleet.ts';
import { type LoggedEntry, standing } from '../core/fleet-log.ts';
import { isoTime } from '../core/instant.ts';
import { type FleetChange, type FleetStatus, openText, placeIn } from '../engine/fleet.ts';
import type { FleetReadiness } from '../engine/fleet-check.ts';
import type { Paint } from './paint.ts';
import { remarksText } from './remarks-text.ts';
import { table } from './table.ts';

/** What runs where, and what a run has left. */
export function fleetStatusText(wanted: string, { state, run }: FleetStatus, paint: Paint): string {
  const asleep = state.kind === 'environments' || state.suspended.length === 0 ? [] : state.suspended;
  const remarks = [
    ...(run ? [openText(run), ...(run.why === null ? [] : [`Why: ${run.why}`]), goOnText(wanted, run)] : []),
    ...(asleep.length > 0 ? [`Suspended: ${asleep.join(', ')}.`] : []),
  ];
  return [
    paint.strong(`${wanted}: ${headline(state)}`),
    '',
    table(rowsOf(state, paint)),
    '',
    ...remarksText(remarks, paint),
    '',
  ].join('\n');
}

const goOnText = (wanted: string, { state, intent }: LoggedEntry): string =>
  `${state === 'held' ? '' : 'If it is dead: '}sluice ${state === 'held' ? 'promote' : 'resume'} ${wanted} goes on with it, sluice abort ${wanted} goes back to ${intent.from.image}.`;

const headline = (state: FleetState): string => {
  const { image, version } = placeIn(state);
  if (state.kind === 'environments') return image;
  const serving = state.instances.filter(isServing).length;
  return `${image} (launch template version ${version}), ${serving} of ${count(state.capacity.desired, 'instance')} serving`;
};

const rowsOf = (state: FleetState, paint: Paint): readonly (readonly string[])[] =>
  state.kind === 'environments'
    ? [
        ['environment', 'image', 'status', 'health', ''].map(paint.dim),
        ...state.environments.map(({ name, image, status, health, isLive }) => [
          name,
          image,
          status,
          health === 'good' ? paint.good(health) : paint.warn(health),
          isLive ? 'live' : '',
        ]),
      ]
    : [
        ['instance', 'image', 'phase', 'traffic', 'health'].map(paint.dim),
        ...state.instances.map(({ id, image, phase, traffic, healthy }) => [
          id,
          image === state.place.image ? image : paint.warn(image),
          phase,
          traffic,
          healthy ? paint.good('healthy') : paint.warn('not healthy'),
        ]),
      ];

/** What a run would do, before it is asked whether it may. */
export function changeText(
  wanted: string,
  { way, intent, state, servingMin, surge }: FleetChange,
  paint: Paint,
): string {
  const { command, suspends } = intent;
  const how = {
    group: () => [
      `${count(intent.capacity.desired, 'instance')}, at most ${surge} new at a time; each is checked, and then takes traffic`,
      `never fewer than ${servingMin} serving, and old ones end once they are drained`,
    ],
    'refreshed group': () => [
      `${count(intent.capacity.desired, 'instance')}, by an instance refresh with never fewer than ${servingMin} healthy`,
    ],
    environments: () =>
      'environments' in state && state.environments.length > 1
        ? ['the environment that is not live gets the image, and then the name of the other']
        : ['in place, by the rolling updates of the environment'],
  }[state.kind]();
  const asleep = suspends.length > 0 ? [`suspended meanwhile: ${suspends.join(', ')}`] : [];
  return [
    paint.strong(`${command} of ${wanted}${ways[way]}: ${leadsTo(way, intent)}`),
    ...[...how, ...asleep].map((line) => `  ${line}`),
    '',
  ].join('\n');
}

const ways: { readonly [W in FleetChange['way']]: string } = {
  new: '',
  on: ' goes on',
  back: ' goes back',
};

const leadsTo = (way: FleetChange['way'], { from, to }: FleetChange['intent']): string =>
  way === 'back' ? `${to.image} → ${from.image}` : `${from.image} → ${to.image}`;

/** A preflight without problems; those that have some are shown as the failure that they are. */
export const fleetCheckText = (
  wanted: string,
  { state, image, warnings }: FleetReadiness,
  paint: Paint,
): string =>
  [
    ...warnings.map((text) => `${paint.warn('warning:')} ${text}`),
    `${paint.good('Ready:')} ${wanted} can be deployed to (now ${state && headline(state)}; next ${image?.id}).`,
    '',
  ].join('\n');

/** The images of a seed, newest first. */
export const machineImagesText = (images: readonly MachineImage[]): string =>
  images.length === 0
    ? 'There is no image yet; sluice seed build makes one.\n'
    : `${table([
        ['image', 'taken', 'state', 'name', 'by'],
        ...images.map(({ id, atMs, state, name, by }) => [id, isoTime(atMs), state, name, by]),
      ])}\n`;

/** How runs ended, oldest first. */
export function fleetHistoryText(log: readonly LoggedEntry[]): string {
  const ended = standing(log).filter(({ state }) => state === 'done' || state === 'rolled back');
  if (ended.length === 0) return 'Nothing was deployed yet.\n';
  const rows = ended.map(({ atMs, by, state, why, intent: { command, from, to } }) => [
    isoTime(atMs),
    `${command} ${from.image} → ${to.image}: ${state}`,
    by,
    why ?? '',
  ]);
  return `${table(rows)}\n`;
}
