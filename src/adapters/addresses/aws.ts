import type { EC2 } from '@aws-sdk/client-ec2';
import { describe, mapOf, period, textLike, withDefault } from '../../core/field.ts';
import { type AwsAccess, awsAccess } from '../aws/access.ts';
import { type Asker, awsApi } from '../aws/api.ts';
import { ec2 } from '../aws/clients.ts';
import { cloudAddress } from './cloud.ts';
import { ipField } from './ip.ts';
import { type AddressKind, addressKind } from './kind.ts';

interface AwsOptions extends AwsAccess {
  readonly ip: string;
  readonly instances: Readonly<Record<string, string>>;
  readonly moveTimeout: number;
}

/**
 * An Elastic IP address of AWS: the instance, or the network interface, that it is associated with holds it (API Reference of
 * EC2, DescribeAddresses). It moves by one question, AssociateAddress with AllowReassociation; what is read may lag behind.
 */
export const aws: AddressKind = addressKind<AwsOptions>({
  summary:
    'An Elastic IP address of AWS: the instance, or network interface, that it is associated with holds it.',
  options: {
    ip: ipField,
    instances: describe(
      'The instance (i-0abc1234def567890) that each machine is, or its network interface (eni-0abc1234def567890): of an instance the address gets the primary interface.',
      mapOf(
        textLike('the id of an instance or of a network interface', /^(i|eni)-[0-9a-f]{8,17}$/),
        'the name of a machine',
      ),
    ),
    moveTimeout: describe('How long a move may take.', withDefault(period, 60_000, '60s')),
    ...awsAccess,
  },
  create({ name, options, machines }) {
    const { ip, instances, moveTimeout } = options;
    const api = awsApi(askerOf(name), options, ec2);
    const names = Object.keys(machines);
    const look = async (signal: AbortSignal | undefined) => {
      const { Addresses = [] } = await api.ask(
        `DescribeAddresses ${ip}`,
        (client, asked) => client.describeAddresses({ PublicIps: [ip] }, asked),
        signal,
      );
      return Addresses[0] ?? {};
    };
    return cloudAddress({
      name,
      ip,
      machines: names,
      moveTimeoutMs: moveTimeout,
      async held(signal) {
        const { InstanceId, NetworkInterfaceId } = await look(signal);
        const at = [InstanceId, NetworkInterfaceId].filter((id) => id !== undefined);
        return names.filter((one) => at.includes(instances[one]!));
      },
      async assign(to, signal) {
        const { AllocationId } = await look(signal);
        const question = { AllocationId, ...placeOf(instances, to), AllowReassociation: true };
        const call = (client: EC2, asked: object) => client.associateAddress(question, asked);
        await api.ask(`AssociateAddress ${ip}`, call, signal);
      },
    });
  },
});

/** What it throws becomes a reason: of not being asked, or of not being moved. */
const askerOf = (address: string): Asker => ({
  name: `address ${address}`,
  unreachable: (place, reason) => new Error(`${place} cannot be reached: ${reason}`),
  refused: (request, answer) => new Error(`${request} was answered ${answer}`),
});

function placeOf(
  instances: AwsOptions['instances'],
  machine: string,
): { readonly InstanceId: string } | { readonly NetworkInterfaceId: string } {
  const id = instances[machine];
  if (id === undefined) throw new Error(`instances does not name ${machine}`);
  return id.startsWith('i-') ? { InstanceId: id } : { NetworkInterfaceId: id };
}
