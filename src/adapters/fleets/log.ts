import { createHash } from 'node:crypto';
import type { EC2, LaunchTemplate, LaunchTemplateVersion } from '@aws-sdk/client-ec2';
import { isPlainObject } from '../../core/field.ts';
import type { FleetEntry, LoggedEntry } from '../../core/fleet-log.ts';
import type { FleetLog } from '../../ports.ts';
import type { AwsApi } from '../aws/api.ts';
import { unless } from './access.ts';

/**
 * The log of a fleet, as versions of a launch template of which nothing is ever started. EC2 numbers versions one by one and never
 * changes one: the number that a writer gets says whether somebody else was before it. No other thing that lives beside a group or
 * an environment of AWS can be written only if nobody else has.
 */
export function templateLog(fleet: string, api: AwsApi<EC2>): FleetLog {
  const LaunchTemplateName = templateName(fleet);
  const template = async (signal?: AbortSignal): Promise<LaunchTemplate | null> => {
    const Filters = [{ Name: 'launch-template-name', Values: [LaunchTemplateName] }];
    const { LaunchTemplates = [] } = await api.ask(
      `DescribeLaunchTemplates ${LaunchTemplateName}`,
      (client, options) => client.describeLaunchTemplates({ Filters }, options),
      signal,
    );
    return LaunchTemplates[0] ?? null;
  };
  return {
    async read(signal) {
      const found = await template(signal);
      if (found === null) return [];
      const first = Math.max(1, (found.LatestVersionNumber ?? 1) - entriesMax);
      const { LaunchTemplateVersions = [] } = await api.ask(
        `DescribeLaunchTemplateVersions ${LaunchTemplateName}`,
        (client, options) =>
          client.describeLaunchTemplateVersions(
            { LaunchTemplateName, MinVersion: `${first}`, MaxResults: 200 },
            options,
          ),
        signal,
      );
      return LaunchTemplateVersions.flatMap(entryIn);
    },
    async append(entry, after, signal) {
      const text = JSON.stringify({ ...entry, after });
      const question = {
        LaunchTemplateName,
        LaunchTemplateData: { UserData: Buffer.from(text).toString('base64') },
        VersionDescription: `${entry.intent.command} ${entry.intent.to.image}: ${entry.state}`,
        // So that a question that is asked again by the SDK is one entry.
        ClientToken: digest(text),
      };
      if (after > 0) {
        const { LaunchTemplateVersion: version } = await api.ask(
          `CreateLaunchTemplateVersion ${LaunchTemplateName}`,
          (client, options) => client.createLaunchTemplateVersion(question, options),
          signal,
        );
        return Number(version?.VersionNumber ?? 0);
      }
      let number = 1;
      await unless(
        [alreadyThere],
        api.ask(
          `CreateLaunchTemplate ${LaunchTemplateName}`,
          (client, options) => client.createLaunchTemplate(question, options),
          signal,
          (refusal) => {
            if (refusal === alreadyThere) number = 0;
            return null;
          },
        ),
      );
      return number;
    },
    async beat(text, signal) {
      const found = await template(signal);
      if (!found?.LaunchTemplateId) return;
      const Resources = [found.LaunchTemplateId];
      await api.ask(
        `CreateTags ${LaunchTemplateName}`,
        (client, options) =>
          client.createTags({ Resources, Tags: [{ Key: heartbeat, Value: text }] }, options),
        signal,
      );
    },
    async lastBeat(signal) {
      const found = await template(signal);
      if (!found?.LaunchTemplateId) return null;
      const Filters = [
        { Name: 'resource-id', Values: [found.LaunchTemplateId] },
        { Name: 'key', Values: [heartbeat] },
      ];
      const { Tags = [] } = await api.ask(
        `DescribeTags ${LaunchTemplateName}`,
        (client, options) => client.describeTags({ Filters }, options),
        signal,
      );
      return Tags[0]?.Value ?? null;
    },
  };
}

/** As many as one answer holds, with room to spare: runs of months. */
const entriesMax = 150;
const heartbeat = 'sluice:heartbeat';
const alreadyThere = 'InvalidLaunchTemplateName.AlreadyExists';

/** What such a name may hold (API Reference, CreateLaunchTemplate), and what keeps two fleets apart. */
const templateName = (fleet: string): string =>
  `sluice-log/${fleet.replaceAll(/[^\w().\-/]/g, '-').slice(0, 90)}/${digest(fleet).slice(0, 8)}`;

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 64);

/** A version that somebody else made is no entry. */
function entryIn({ VersionNumber, LaunchTemplateData }: LaunchTemplateVersion): readonly LoggedEntry[] {
  try {
    const text = Buffer.from(LaunchTemplateData?.UserData ?? '', 'base64').toString();
    const value: unknown = JSON.parse(text);
    const isEntry = isPlainObject(value) && isPlainObject(value.intent) && typeof value.after === 'number';
    return isEntry
      ? [{ ...(value as unknown as FleetEntry & { after: number }), number: Number(VersionNumber) }]
      : [];
  } catch {
    return [];
  }
}
