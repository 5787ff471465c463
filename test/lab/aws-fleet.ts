import type { IncomingMessage, ServerResponse } from 'node:http';
import { answerXml, errorXml, type Fields, parametersOf, type Value } from './aws-query.ts';
import { bodyOf, listening, stopped } from './data-plane.ts';

/**
 * What moto has not: Elastic Beanstalk (API Reference 2010-12-01) with updates, events and swaps that take their time, and an Auto Scaling group
 * (2011-01-01) with instance refreshes. All is as it is at the time that is asked for, so no test waits.
 */
export async function startAwsFleet(setup: AwsFleetSetup): Promise<FakeAwsFleet> {
  const model: Model = {
    ...setup,
    events: [],
    environments: (setup.environments ?? []).map((one) => ({
      ...one,
      health: 'Green',
      readyAtMs: 0,
      draft: null,
    })),
    versions: ['ami-00000001'],
    version: '1',
    suspended: new Set(),
    refresh: null,
    made: 0,
    machines: [],
  };
  for (let i = 0; i < 3; i++) model.machines.push(machineOf(model, 'ami-00000001', 0));
  const requests: string[] = [];
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const asked = parametersOf(await bodyOf(request)) as unknown as Asked;
    requests.push(asked.Action);
    pass(model);
    const answer = actions[asked.Action];
    const [status, text] = answered(asked, answer, model);
    response.writeHead(status, { 'content-type': 'text/xml' }).end(text);
  };
  const { server, url } = await listening((request, response) => void handle(request, response));
  return { url, requests, model, close: () => stopped(server) };
}

export interface AwsFleetSetup {
  readonly nowMs: () => number;
  readonly environments?: readonly { name: string; cname: string; image: string }[];
  /** Option settings of every environment, by `namespace/name`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** An image whose instances never get well: Elastic Beanstalk takes an update to it back. */
  readonly badImage?: string;
}

export interface FakeAwsFleet {
  readonly url: string;
  /** The actions that were asked for, in order. */
  readonly requests: string[];
  readonly model: Model;
  close(): Promise<void>;
}

interface Model extends AwsFleetSetup {
  readonly environments: FakeEnvironment[];
  readonly events: { readonly atMs: number; readonly environment: string; readonly message: string }[];
  readonly versions: string[];
  readonly suspended: Set<string>;
  readonly machines: FakeMachine[];
  version: string;
  refresh: FakeRefresh | null;
  made: number;
}

interface FakeEnvironment {
  readonly name: string;
  cname: string;
  image: string;
  health: string;
  readyAtMs: number;
  /** The image that could not be deployed. */
  draft: string | null;
}

interface FakeMachine {
  readonly id: string;
  readonly image: string;
  readonly wellAtMs: number;
}

interface FakeRefresh {
  readonly version: string;
  status: 'InProgress' | 'Successful' | 'Cancelling' | 'Cancelled';
  nextAtMs: number;
}

/** Nested as the Query protocol nests it; each action knows its own. */
interface Asked {
  readonly Action: string;
  readonly EnvironmentName: string;
  readonly SourceEnvironmentName: string;
  readonly DestinationEnvironmentName: string;
  readonly StartTime: string;
  readonly OptionSettings: readonly [{ readonly Value: string }];
  readonly ScalingProcesses: readonly string[];
  readonly DesiredConfiguration: { readonly LaunchTemplate: { readonly Version: string } };
  readonly Preferences: { readonly MinHealthyPercentage: string; readonly MaxHealthyPercentage: string };
  readonly LaunchTemplateData: { readonly ImageId: string };
}

type Answer = (model: Model, asked: Asked) => Fields;

class Refusal extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

function answered(asked: Asked, answer: Answer | undefined, model: Model): readonly [number, string] {
  try {
    if (!answer) throw new Refusal('InvalidAction', `Could not find operation ${asked.Action}`);
    const result = answer(model, asked);
    // EC2 has a protocol of its own: no result around the answer, and items in lists.
    return [200, ofEc2.has(asked.Action) ? ec2Xml(asked.Action, result) : answerXml(asked.Action, result)];
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return [400, errorXml(error.code, error.message)];
  }
}

const ofEc2: ReadonlySet<string> = new Set([
  'DescribeInstances',
  'DescribeLaunchTemplateVersions',
  'CreateLaunchTemplateVersion',
]);

const ec2Xml = (action: string, result: Fields): string =>
  `<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>${items(result)}</${action}Response>`;

function items(value: Value): string {
  if (Array.isArray(value)) return value.map((one: Value) => `<item>${items(one)}</item>`).join('');
  if (typeof value !== 'object') return String(value ?? '');
  return Object.entries(value as Fields)
    .map(([name, inner]) => `<${name}>${items(inner)}</${name}>`)
    .join('');
}

/** Whatever came to its end by now. */
function pass(model: Model): void {
  const { environments, badImage, events } = model;
  const now = model.nowMs();
  for (const one of environments) {
    if (one.readyAtMs === 0 || one.readyAtMs > now) continue;
    if (one.image === badImage) {
      Object.assign(one, { image: 'ami-00000001', draft: badImage });
      events.push({ atMs: one.readyAtMs, environment: one.name, message: 'Failed to deploy configuration.' });
    } else
      events.push({ atMs: one.readyAtMs, environment: one.name, message: 'Environment update completed.' });
    Object.assign(one, { readyAtMs: 0, health: 'Green' });
  }
  passRefresh(model);
}

/** One instance a minute is started and, once it is well, one of the old ended. */
function passRefresh(model: Model): void {
  const { refresh, machines } = model;
  if (refresh?.status === 'Cancelling') refresh.status = 'Cancelled';
  while (refresh?.status === 'InProgress' && refresh.nextAtMs <= model.nowMs()) {
    const image = model.versions[Number(refresh.version) - 1]!;
    const old = machines.filter((one) => one.image !== image);
    if (machines.some((one) => one.wellAtMs > refresh.nextAtMs)) {
      if (image === model.badImage) return;
    } else if (old.length === 0) refresh.status = 'Successful';
    else if (machines.length > 3) machines.splice(machines.indexOf(old[0]!), 1);
    else machines.push(machineOf(model, image, refresh.nextAtMs + 30_000));
    refresh.nextAtMs += 60_000;
  }
}

const machineOf = (model: Model, image: string, wellAtMs: number): FakeMachine => ({
  id: `i-${String(++model.made).padStart(8, '0')}`,
  image,
  wellAtMs,
});

const mustBeReady = (model: Model, name: string): FakeEnvironment => {
  const found = model.environments.find((one) => one.name === name);
  if (!found)
    throw new Refusal('InvalidParameterValue', `No Environment found for EnvironmentName = '${name}'.`);
  if (found.readyAtMs > 0)
    throw new Refusal(
      'InvalidParameterValue',
      `Environment named ${name} is in an invalid state for this operation. Must be Ready.`,
    );
  return found;
};

const actions: Readonly<Record<string, Answer>> = {
  DescribeEnvironments: ({ environments }) => ({
    Environments: environments.map(({ name, cname, health, readyAtMs }) => ({
      EnvironmentName: name,
      CNAME: cname,
      EndpointURL: `${name}.elb.internal`,
      Status: readyAtMs > 0 ? 'Updating' : 'Ready',
      Health: health,
    })),
  }),
  DescribeConfigurationSettings({ environments, settings = {} }, { EnvironmentName }) {
    const { image, draft } = environments.find(({ name }) => name === EnvironmentName)!;
    const sets = [
      ...(draft === null ? [] : [{ status: 'failed', ofImage: draft }]),
      { status: 'deployed', ofImage: image },
    ];
    const general = Object.entries(settings).map(([key, Value]) => {
      const [Namespace, OptionName] = key.split('/');
      return { Namespace, OptionName, Value };
    });
    return {
      ConfigurationSettings: sets.map(({ status, ofImage }) => ({
        DeploymentStatus: status,
        OptionSettings: [
          ...general,
          { Namespace: 'aws:autoscaling:launchconfiguration', OptionName: 'ImageId', Value: ofImage },
        ],
      })),
    };
  },
  UpdateEnvironment(model, { EnvironmentName, OptionSettings }) {
    const environment = mustBeReady(model, EnvironmentName);
    const [{ Value: image }] = OptionSettings;
    model.events.push({
      atMs: model.nowMs(),
      environment: environment.name,
      message: 'Environment update is starting.',
    });
    Object.assign(environment, { image, health: 'Grey', readyAtMs: model.nowMs() + 300_000 });
    return { EnvironmentName, Status: 'Updating' };
  },
  SwapEnvironmentCNAMEs(model, { SourceEnvironmentName, DestinationEnvironmentName }) {
    const [from, to] = [SourceEnvironmentName, DestinationEnvironmentName].map((name) =>
      mustBeReady(model, name),
    ) as [FakeEnvironment, FakeEnvironment];
    [from.cname, to.cname] = [to.cname, from.cname];
    from.readyAtMs = to.readyAtMs = model.nowMs() + 20_000;
    return {};
  },
  DescribeEvents: ({ events }, { StartTime }) => ({
    Events: events
      .filter(({ atMs }) => atMs >= Date.parse(StartTime))
      .map(({ atMs, environment, message }) => ({
        EventDate: new Date(atMs).toISOString(),
        EnvironmentName: environment,
        Severity: 'INFO',
        Message: message,
      })),
  }),
  DescribeAutoScalingGroups: (model) => ({
    AutoScalingGroups: [
      {
        AutoScalingGroupName: 'web',
        MinSize: 2,
        DesiredCapacity: 3,
        MaxSize: 4,
        LaunchTemplate: { LaunchTemplateId: 'lt-1', LaunchTemplateName: 'web', Version: model.version },
        SuspendedProcesses: [...model.suspended].map((ProcessName) => ({ ProcessName })),
        Instances: model.machines.map(({ id, wellAtMs }) => ({
          InstanceId: id,
          LifecycleState: wellAtMs > model.nowMs() ? 'Pending' : 'InService',
          HealthStatus: 'Healthy',
        })),
      },
    ],
  }),
  SuspendProcesses(model, { ScalingProcesses }) {
    for (const process of ScalingProcesses) model.suspended.add(process);
    return {};
  },
  ResumeProcesses(model, { ScalingProcesses }) {
    for (const process of ScalingProcesses) model.suspended.delete(process);
    return {};
  },
  StartInstanceRefresh(model, { DesiredConfiguration, Preferences }) {
    if (model.refresh?.status === 'InProgress' || model.refresh?.status === 'Cancelling')
      throw new Refusal('InstanceRefreshInProgress', 'An Instance Refresh is already in progress.');
    const { MinHealthyPercentage: min, MaxHealthyPercentage: max } = Preferences;
    if (Number(max) - Number(min) > 100)
      throw new Refusal('ValidationError', 'The difference must not be greater than 100.');
    const { LaunchTemplate } = DesiredConfiguration;
    model.version = LaunchTemplate.Version;
    model.refresh = { version: LaunchTemplate.Version, status: 'InProgress', nextAtMs: model.nowMs() };
    return { InstanceRefreshId: 'refresh-1' };
  },
  CancelInstanceRefresh(model) {
    if (model.refresh?.status !== 'InProgress')
      throw new Refusal('ActiveInstanceRefreshNotFound', 'No in progress or pending Instance Refresh found.');
    model.refresh.status = 'Cancelling';
    return {};
  },
  DescribeInstanceRefreshes: ({ refresh }) => ({
    InstanceRefreshes:
      refresh === null
        ? []
        : [
            {
              InstanceRefreshId: 'refresh-1',
              Status: refresh.status,
              PercentageComplete: 50,
              DesiredConfiguration: {
                LaunchTemplate: { LaunchTemplateId: 'lt-1', Version: refresh.version },
              },
            },
          ],
  }),
  DescribeScalingActivities: () => ({ Activities: [] }),
  DescribeInstances: ({ machines }) => ({
    reservationSet: [
      {
        instancesSet: machines.map(({ id, image }) => ({
          instanceId: id,
          imageId: image,
          privateIpAddress: `${image}.internal`,
          instanceState: { code: 16, name: 'running' },
        })),
      },
    ],
  }),
  DescribeLaunchTemplateVersions: ({ versions }, asked) => {
    const wanted = Object.entries(asked).find(([name]) => name.startsWith('LaunchTemplateVersion'))?.[1] as
      | Readonly<Record<string, string>>
      | undefined;
    const number = Object.values(wanted ?? {})[0];
    const listed = versions.map((imageId, i) => ({
      launchTemplateId: 'lt-1',
      versionNumber: i + 1,
      launchTemplateData: { imageId },
    }));
    return {
      launchTemplateVersionSet: number ? listed.filter((one) => `${one.versionNumber}` === number) : listed,
    };
  },
  CreateLaunchTemplateVersion(model, { LaunchTemplateData }) {
    const { ImageId } = LaunchTemplateData;
    return {
      launchTemplateVersion: {
        launchTemplateId: 'lt-1',
        versionNumber: model.versions.push(ImageId),
        launchTemplateData: { imageId: ImageId },
      },
    };
  },
};
