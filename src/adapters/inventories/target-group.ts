import { isIP } from 'node:net';
import { describe, type Fields } from '../../core/field.ts';
import { type InventoryKind, inventoryKind } from '../../core/inventory.ts';
import { elbv2 } from '../aws/clients.ts';
import { groupName } from '../balancers/aws-options.ts';
import { type AwsList, askAws } from './aws.ts';
import { type InstanceOptions, instanceOptions, instances } from './ec2.ts';

interface GroupOptions extends InstanceOptions {
  readonly targetGroup: string;
}

const fields: Fields<GroupOptions> = {
  targetGroup: describe('The target group, by name or ARN.', groupName),
  ...instanceOptions,
};

/**
 * The targets of a group (Elastic Load Balancing API 2015-12-01), whatever their health. Those that drain are on their way out,
 * and no nodes.
 */
export const targetGroup: InventoryKind = inventoryKind<GroupOptions>({
  summary:
    'The targets that are registered in a target group of AWS. Instances are named by their ids, addresses by themselves. Not for a group that a balancer of the site changes: what is out of it would be no node.',
  options: fields,
  create({ targetGroup: name, address, ...access }) {
    const shown = `the target group ${name}`;
    return {
      shown,
      async list(withinMs) {
        const list = { list: shown, access, signal: AbortSignal.timeout(withinMs) };
        const ids = await targetsIn(list, name);
        const addresses = ids.filter((id) => isIP(id) !== 0);
        const InstanceIds = ids.filter((id) => isIP(id) === 0);
        return [
          ...addresses,
          ...(InstanceIds.length === 0 ? [] : await instances(list, { InstanceIds }, address)),
        ];
      },
    };
  },
});

function targetsIn(list: AwsList, name: string): Promise<readonly string[]> {
  return askAws(list, elbv2, `DescribeTargetHealth ${name}`, async (client, options) => {
    const question = name.startsWith('arn:') ? { TargetGroupArns: [name] } : { Names: [name] };
    const { TargetGroups: [group] = [] } = await client.describeTargetGroups(question, options);
    if (!group?.TargetGroupArn) return [];
    const { TargetGroupArn } = group;
    const { TargetHealthDescriptions = [] } = await client.describeTargetHealth({ TargetGroupArn }, options);
    const staying = TargetHealthDescriptions.filter(({ TargetHealth }) => TargetHealth?.State !== 'draining');
    // One machine may be registered at several ports.
    return [...new Set(staying.flatMap(({ Target }) => Target?.Id ?? []))].toSorted();
  });
}
