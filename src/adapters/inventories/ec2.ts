import type { DescribeInstancesCommandInput, Instance } from '@aws-sdk/client-ec2';
import { failure } from '../../core/errors.ts';
import { describe, type Fields, oneOf, withDefault } from '../../core/field.ts';
import { type AwsAccess, awsAccess } from '../aws/access.ts';
import { ec2 } from '../aws/clients.ts';
import { type AwsList, askAws } from './aws.ts';

/** The settings of every list whose nodes are instances of EC2. */
export interface InstanceOptions extends AwsAccess {
  readonly address: 'private' | 'public';
}

export const instanceOptions: Fields<InstanceOptions> = {
  address: describe(
    'Which of its addresses a node is reached at.',
    withDefault(oneOf(['private', 'public']), 'private', 'private'),
  ),
  ...awsAccess,
};

/**
 * The instances that run, as a config would write them, by their ids: each bears its id as its name, and its tags as labels.
 * Amazon EC2 API 2016-11-15.
 */
export async function instances(
  list: AwsList,
  which: Pick<DescribeInstancesCommandInput, 'InstanceIds' | 'Filters'>,
  address: InstanceOptions['address'],
): Promise<readonly unknown[]> {
  const found = await askAws(list, ec2, 'DescribeInstances', async (client, options) => {
    const all: Instance[] = [];
    let NextToken: string | undefined;
    do {
      const page = await client.describeInstances(
        { ...which, ...(NextToken === undefined ? {} : { NextToken }) },
        options,
      );
      all.push(...(page.Reservations ?? []).flatMap(({ Instances = [] }) => Instances));
      ({ NextToken } = page);
    } while (NextToken);
    return all;
  });
  return found
    .filter(({ State }) => State?.Name === 'running')
    .toSorted((a, b) => ((a.InstanceId ?? '') < (b.InstanceId ?? '') ? -1 : 1))
    .map((instance) => entryOf(list, instance, address));
}

function entryOf(
  { list }: AwsList,
  { InstanceId: id = '', PrivateIpAddress, PublicIpAddress, Tags = [] }: Instance,
  address: InstanceOptions['address'],
): unknown {
  const at = address === 'public' ? PublicIpAddress : PrivateIpAddress;
  if (!at) throw failure('NODES_UNLISTED', { list, reason: `${id} has no ${address} address` });
  const labels = Tags.filter(({ Key, Value }) => Key && Value?.trim()).map(({ Key, Value }) => [Key, Value]);
  return { name: id, address: at, labels: { ...Object.fromEntries(labels), 'instance-id': id } };
}
