import { failure, list as listed } from '../../core/errors.ts';
import { describe, type Fields, oneOf, oneOrMore, text, withDefault } from '../../core/field.ts';
import { type InventoryKind, inventoryKind } from '../../core/inventory.ts';
import { scaling } from '../aws/clients.ts';
import { type AwsList, askAws } from './aws.ts';
import { type InstanceOptions, instanceOptions, instances } from './ec2.ts';

interface GroupOptions extends InstanceOptions {
  readonly group: readonly string[];
  readonly states: readonly LifecycleState[];
}

/** In which instances have their machine, and keep it (Auto Scaling User Guide, instance lifecycle). */
const lifecycleStates = ['InService', 'Pending:Wait', 'Standby'] as const;
type LifecycleState = (typeof lifecycleStates)[number];

const fields: Fields<GroupOptions> = {
  group: describe('The Auto Scaling group, by name, or a list of such.', oneOrMore(text)),
  states: describe(
    "In which states instances are nodes. 'Pending:Wait' is that of those that a lifecycle hook holds back from traffic.",
    withDefault(oneOrMore(oneOf(lifecycleStates)), ['InService'], 'InService'),
  ),
  ...instanceOptions,
};

/** The instances of Auto Scaling groups (Amazon EC2 Auto Scaling API 2011-01-01). */
export const autoScalingGroup: InventoryKind = inventoryKind<GroupOptions>({
  summary:
    'The instances of an Auto Scaling group of AWS that are in service. Each is named by its id; its tags are its labels, with instance-id.',
  options: fields,
  create({ group, states, address, ...access }) {
    const shown = `the Auto Scaling group ${listed(group)}`;
    return {
      shown,
      async list(withinMs) {
        const list = { list: shown, access, signal: AbortSignal.timeout(withinMs) };
        const InstanceIds = await membersOf(list, { group, states });
        return InstanceIds.length === 0 ? [] : instances(list, { InstanceIds }, address);
      },
    };
  },
});

async function membersOf(
  list: AwsList,
  { group, states }: Pick<GroupOptions, 'group' | 'states'>,
): Promise<string[]> {
  const { AutoScalingGroups = [] } = await askAws(
    list,
    scaling,
    'DescribeAutoScalingGroups',
    (client, options) => client.describeAutoScalingGroups({ AutoScalingGroupNames: [...group] }, options),
  );
  const absent = group.filter((name) => !AutoScalingGroups.some((one) => one.AutoScalingGroupName === name));
  if (absent.length > 0)
    throw failure('NODES_UNLISTED', { list: list.list, reason: `there is no group ${listed(absent)}` });
  const wanted: readonly string[] = states;
  return AutoScalingGroups.flatMap(({ Instances = [] }) =>
    Instances.flatMap(({ InstanceId, LifecycleState }) =>
      InstanceId && wanted.includes(LifecycleState ?? '') ? [InstanceId] : [],
    ),
  );
}
