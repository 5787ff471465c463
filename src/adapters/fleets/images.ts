import type { EC2, Image, Tag } from '@aws-sdk/client-ec2';
import { failure } from '../../core/errors.ts';
import type { FleetSite, ImageId, MachineImage } from '../../core/fleet.ts';
import type { MachineImages, TakeOptions } from '../../ports.ts';
import type { AwsApi } from '../aws/api.ts';
import { unless } from './access.ts';

/** Images of the seed instance, known by their tags (EC2 API Reference 2016-11-15). */
export function ec2Images(fleet: string, api: AwsApi<EC2>, { name, stage, seed }: FleetSite): MachineImages {
  const InstanceId = seed.instance;
  const seedNow = async (signal?: AbortSignal) => {
    const request = `DescribeInstances ${InstanceId}`;
    const { Reservations = [] } = await api.ask(
      request,
      (client, options) => client.describeInstances({ InstanceIds: [InstanceId] }, options),
      signal,
    );
    const instance = Reservations.flatMap(({ Instances = [] }) => Instances)[0];
    if (instance === undefined)
      throw failure('FLEET_REFUSED', { fleet, request, answer: 'there is no such instance' });
    return instance;
  };
  const listed = async (signal?: AbortSignal): Promise<readonly MachineImage[]> => {
    const { Images = [] } = await api.ask(
      'DescribeImages',
      (client, options) =>
        client.describeImages(
          { Owners: ['self'], Filters: [filter('site', name), filter('stage', stage)] },
          options,
        ),
      signal,
    );
    return Images.map(imageOf).toSorted((a, b) => b.atMs - a.atMs || (a.name < b.name ? 1 : -1));
  };
  return {
    async seedAddress(signal) {
      const { PrivateIpAddress } = await seedNow(signal);
      if (PrivateIpAddress) return PrivateIpAddress;
      const request = `DescribeInstances ${InstanceId}`;
      throw failure('FLEET_REFUSED', { fleet, request, answer: 'it has no address: does it run?' });
    },
    async take(options, signal) {
      const named = async (): Promise<ImageId | null> =>
        (await listed(signal)).find((one) => one.name === options.name)?.id ?? null;
      const before = await named();
      if (before !== null) return before;
      const { Tags: own = [] } = await seedNow(signal);
      const Tags = tagsFor({ name, stage }, options, tagIn(own, beanstalkTag));
      const request = `CreateImage ${InstanceId}`;
      // The SDK asks again if an answer was lost; then the name is taken, by this image.
      await unless(
        ['InvalidAMIName.Duplicate'],
        api.ask(
          request,
          (client, call) =>
            client.createImage(
              {
                InstanceId,
                Name: options.name,
                Description: `${name} ${stage}, by sluice`,
                NoReboot: !seed.reboot,
                TagSpecifications: [{ ResourceType: 'image', Tags }],
              },
              call,
            ),
          signal,
        ),
      );
      const id = await named();
      if (id !== null) return id;
      throw failure('FLEET_UNREACHABLE', {
        fleet,
        address: api.address,
        reason: `${options.name} is not listed yet`,
      });
    },
    async read(image, signal) {
      const { Images = [] } = await api.ask(
        `DescribeImages ${image}`,
        (client, options) =>
          client.describeImages({ Filters: [{ Name: 'image-id', Values: [image] }] }, options),
        signal,
      );
      return Images[0] ? imageOf(Images[0]) : { ...imageOf({ ImageId: image }), state: 'gone' };
    },
    list: listed,
    async remove(images, signal) {
      for (const ImageId of images)
        await api.ask(
          `DeregisterImage ${ImageId}`,
          (client, options) => client.deregisterImage({ ImageId, DeleteAssociatedSnapshots: true }, options),
          signal,
        );
    },
  };
}

/** Elastic Beanstalk marks the instances that it starts. */
const beanstalkTag = 'elasticbeanstalk:environment-name';

const filter = (key: string, value: string) => ({ Name: `tag:sluice:${key}`, Values: [value] });

const tagsFor = (
  { name, stage }: Pick<FleetSite, 'name' | 'stage'>,
  { by, checks, name: image }: TakeOptions,
  environment: string | null,
): Tag[] =>
  Object.entries({
    Name: image,
    'sluice:site': name,
    'sluice:stage': stage,
    'sluice:by': by.slice(0, 256),
    'sluice:checks': `${checks} passed`,
    ...(environment === null ? {} : { 'sluice:environment': environment }),
  }).map(([Key, Value]) => ({ Key, Value }));

const imageOf = ({
  ImageId = '',
  Name = '',
  CreationDate,
  State,
  StateReason,
  Tags = [],
}: Image): MachineImage => ({
  id: ImageId as ImageId,
  name: Name,
  atMs: Date.parse(CreationDate ?? '') || 0,
  by: tagIn(Tags, 'sluice:by') ?? '',
  state: states[State ?? 'pending'] ?? 'failed',
  reason: StateReason?.Message ?? null,
  environment: tagIn(Tags, 'sluice:environment'),
});

/** Of Image.State (API Reference, Image); what is not here is a failure. */
const states: Readonly<Record<string, MachineImage['state']>> = {
  available: 'available',
  pending: 'pending',
  transient: 'pending',
  deregistered: 'gone',
  disabled: 'gone',
};

const tagIn = (tags: readonly Tag[], key: string): string | null =>
  tags.find(({ Key }) => Key === key)?.Value ?? null;
