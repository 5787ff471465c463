import { list } from '../core/errors.ts';
import {
  defaultsTo,
  describe,
  type Field,
  flag,
  integer,
  isPlainObject,
  join,
  listOf,
  objectOf,
  oneOf,
  period,
  problem,
  refine,
  textLike,
  unexpected,
  type ValueOf,
  variantOf,
} from '../core/field.ts';
import { fleetHookPoints, hookPoints } from '../core/hook.ts';
import { checkFields, hooksAt, type Registries, siteFields } from './fields.ts';
import { type HookEntry, hookEntry } from './hook-entry.ts';
import { type NodeCount, nodeCount } from './node-count.ts';

/**
 * Every setting of a site that is a fleet: machines that are made of an image, and of which none is known by name. What a node would
 * need, such as a path or a balancer, it has not.
 */
export const fleetSiteFields = (registries: Registries) => {
  const { name, notices, stages } = siteFields(registries);
  return {
    name,
    source: describe('The machine of which images are taken.', objectOf(instanceSourceFields)),
    fleet: describe(
      'The machines that are made of an image.',
      variantOf('kind', fleetsOfSite(registries.fleets)),
    ),
    checks: describe(
      'What a new machine must answer at its private address; with an Auto Scaling group before it takes traffic.',
      defaultsTo(listOf(machineCheck), []),
    ),
    keepReleases: describe('Images that sluice seed prune leaves.', defaultsTo(integer(2, 1000), 5)),
    hooks: describe(
      `Your own steps, each run where sluice is, a list at each point: ${list(fleetHookPoints)}.`,
      defaultsTo(fleetHooksAt(listOf(hookHere(registries.hooks))), {}),
    ),
    notices,
    onFailure: describe(
      "What happens when a step fails: 'rollback' goes back to the image before, 'hold' changes nothing more and waits for sluice " +
        'promote or sluice abort.',
      defaultsTo(oneOf(['rollback', 'hold']), 'rollback'),
    ),
    stages,
  };
};

/** All settings of a fleet at one stage, parsed. */
export type FleetSettingsRead = {
  readonly [K in keyof ReturnType<typeof fleetSiteFields>]: ValueOf<ReturnType<typeof fleetSiteFields>[K]>;
};

const { via: _, ...machineCheckFields } = checkFields;

type MachineCheck = {
  readonly [K in keyof typeof machineCheckFields]: ValueOf<(typeof machineCheckFields)[K]>;
};

type HooksAt = ValueOf<ReturnType<typeof siteFields>['hooks']>;

/** Those that a fleet has not are refused, for nothing would run what stands there. */
function fleetHooksAt(entries: Field<readonly HookEntry[]>): Field<HooksAt> {
  const field = hooksAt(entries);
  return {
    ...field,
    parse(value, path, readSecret) {
      const points: readonly string[] = isPlainObject(value) ? Object.keys(value) : [];
      const strange = points.filter((point) => isOfNodes(point));
      if (strange.length === 0) return field.parse(value, path, readSecret);
      return {
        ok: false,
        problems: strange.map(
          (point) =>
            `${join(path, point)}: a fleet has only ${list(fleetHookPoints)}: AWS does what lies between`,
        ),
      };
    },
  };
}

const isOfNodes = (point: string): boolean =>
  hookPoints.some((one) => one === point) && !fleetHookPoints.some((one) => one === point);

/** A hook that needs no node. */
function hookHere(kinds: Registries['hooks']): Field<HookEntry> {
  const field = hookEntry(Object.fromEntries(Object.entries(kinds).filter(([, { onNodes }]) => !onNodes)));
  return {
    ...field,
    parse(value, path, readSecret) {
      const entry = field.parse(value, path, readSecret);
      if (!entry.ok || entry.value.action.kind !== 'nodes') return entry;
      return problem(join(path, 'on'), "expected 'operator', for sluice logs in to no machine of a fleet");
    },
  };
}

const anyCheck: Field<MachineCheck> = objectOf(machineCheckFields);
const machineCheck = refine(
  anyCheck,
  'a check that names no {{release}} or {{revision}}',
  ({ expect }) => expect === null || !/\{\{(release|revision)\}\}/.test(expect),
);

/** A machine of AWS on which changes are made and tried. */
export const instanceFields = {
  instance: describe(
    'The instance of AWS that images are taken of.',
    textLike("an instance such as 'i-0abc1234def567890'", /^i-[0-9a-f]{8,17}$/),
  ),
  reboot: describe(
    'Whether it is started anew for an image. Without that, what it has not written to its disk yet is missing.',
    defaultsTo(flag, true),
  ),
  checks: describe(
    'What it must answer at its private address before an image is taken.',
    defaultsTo(listOf(machineCheck), []),
  ),
  timeout: describe('How long an image may take.', defaultsTo(period, '1h')),
};

export const instanceSourceFields = {
  seed: describe('The seed.', objectOf(instanceFields)),
  ref: describe(
    'The image that is deployed unless the command line names another: newest, or its id.',
    defaultsTo(
      textLike("'newest', or an image such as 'ami-0abc1234def567890'", /^(newest|ami-[\da-f]{8,17})$/),
      'newest',
    ),
  ),
};

/** Every kind of fleet, with what all of them have. */
export const fleetsOfSite = (kinds: Registries['fleets']): Registries['fleets'] =>
  Object.fromEntries(
    Object.entries(kinds).map(([name, kind]) => {
      const fields = kind.surges ? replacementFields : { ...replacementFields, surge: noSurge };
      return [name, { ...kind, options: { ...kind.options, ...fields } }];
    }),
  );

const isNothing = (share: NodeCount): boolean => Number.parseFloat(`${share}`) === 0;

export const replacementFields = {
  servingMin: describe(
    'The capacity floor: the fewest machines that serve at every moment, as a count or a part (rounded up) of the capacity.',
    defaultsTo(nodeCount, '100%'),
  ),
  surge: describe(
    'New machines at a time beyond the capacity of an Auto Scaling group, as a count or a part (rounded up) of it.',
    defaultsTo(
      refine(nodeCount, 'more than none', (share) => !isNothing(share)),
      '100%',
    ),
  ),
  patience: describe(
    'How long a run goes on while nothing gets on: longer than a machine takes to start, and than its last requests take to end.',
    defaultsTo(period, '15m'),
  ),
};

const noSurge: Field<NodeCount> = {
  expected: 'nothing, for AWS says how many machines are new at a time',
  summary: replacementFields.surge.summary,
  schema: { enum: [] },
  absent: { value: '100%', shown: 'as AWS does it' },
  parse(value, path) {
    return unexpected(path, this.expected, value);
  },
};
