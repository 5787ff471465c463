import type {
  ConfigurationOptionSetting,
  ElasticBeanstalk,
  EnvironmentDescription,
} from '@aws-sdk/client-elastic-beanstalk';
import { assert } from '../../core/assert.ts';
import { healthOf, statusOf } from '../../core/environments.ts';
import { failure, isDeployError } from '../../core/errors.ts';
import { describe, oneOrMore, optional, textLike } from '../../core/field.ts';
import { type Environment, type FleetSite, type Share, shareOf } from '../../core/fleet.ts';
import type { FleetOrder } from '../../ports.ts';
import type { AwsAccess } from '../aws/access.ts';
import type { AwsApi } from '../aws/api.ts';
import { ec2, elasticBeanstalk } from '../aws/clients.ts';
import { fleetAccess, fleetApi } from './access.ts';
import { ec2Images } from './images.ts';
import { type FleetKind, fleetKind } from './kind.ts';
import { templateLog } from './log.ts';

/**
 * Elastic Beanstalk (API 2010-12-01): the image id of an environment, which then replaces its instances by its own rolling updates;
 * or two environments, of which the one that is not live gets the image, and then the name of the other.
 */
export const beanstalk: FleetKind = fleetKind<BeanstalkOptions>({
  summary: 'One or two environments of Elastic Beanstalk, through the AWS SDK.',
  options: {
    application: describe(
      'The name of the application.',
      textLike('the name of an application', /^[^/]{1,100}$/),
    ),
    environment: describe(
      'The name of the environment; or a list of two, between which their CNAMEs are swapped.',
      oneOrMore(textLike('the name of an environment', /^[A-Za-z0-9][A-Za-z0-9-]{2,38}[A-Za-z0-9]$/)),
    ),
    cname: describe(
      'Of two environments: the name that visitors use, such as shop.eu-west-1.elasticbeanstalk.com.',
      optional(textLike('a host name', /^[a-z0-9][a-z0-9.-]+$/)),
    ),
    ...fleetAccess,
  },
  surges: false,
  conflicts: ({ environment, cname, servingMin }: BeanstalkOptions & { readonly servingMin?: Share }) => [
    ...(environment.length === 2 && servingMin !== '100%'
      ? [
          {
            setting: 'servingMin',
            problem: "expected '100%' or nothing, for of two environments the one that is live stays whole",
          },
        ]
      : []),
    ...(environment.length > 2
      ? [{ setting: 'environment', problem: `expected one or two, got ${environment.length}` }]
      : []),
    ...(environment.length === 2 && cname === null
      ? [{ setting: 'cname', problem: 'expected the name that visitors use, as there are two environments' }]
      : []),
  ],
  create(options, site) {
    const name = `environment ${options.environment.join(' and ')}`;
    const apis: Apis = {
      name,
      options,
      servingMin: site.fleet.servingMin,
      eb: fleetApi(name, options, elasticBeanstalk),
    };
    const machines = fleetApi(name, options, ec2);
    return {
      name,
      disturbing: [],
      observe: async (signal) => ({ kind: 'environments', environments: await observe(apis, signal) }),
      async admit({ id, environment }) {
        if (environment === null || !options.environment.includes(environment))
          throw failure('IMAGE_ELSEWHERE', { image: id, of: environment, fleet: name });
      },
      placeOf: async (image) => ({ image, version: null }),
      perform: (order, signal) => perform(apis, order, signal),
      news: (sinceMs, signal) => events(apis, sinceMs, signal),
      images: ec2Images(name, machines, site),
      log: templateLog(name, machines),
      close() {
        apis.eb.close();
        machines.close();
      },
    };
  },
});

interface BeanstalkOptions extends AwsAccess {
  readonly application: string;
  readonly environment: readonly string[];
  readonly cname: string | null;
}

interface Apis {
  readonly name: string;
  readonly options: BeanstalkOptions;
  readonly servingMin: FleetSite['fleet']['servingMin'];
  readonly eb: AwsApi<ElasticBeanstalk>;
}

async function observe(apis: Apis, signal?: AbortSignal): Promise<readonly Environment[]> {
  const { application: ApplicationName, environment: names, cname } = apis.options;
  const { Environments = [] } = await apis.eb.ask(
    `DescribeEnvironments ${names.join(' ')}`,
    (client, options) =>
      client.describeEnvironments(
        { ApplicationName, EnvironmentNames: [...names], IncludeDeleted: false },
        options,
      ),
    signal,
  );
  return Promise.all(
    names.map(async (name) => {
      const found = Environments.find(({ EnvironmentName }) => EnvironmentName === name);
      if (found === undefined) throw unfit(apis, [`there is no environment ${name} in ${ApplicationName}`]);
      const settings = await settingsOf(apis, name, signal);
      const problems = names.length === 1 ? updateProblems(settings, apis.servingMin) : [];
      if (problems.length > 0) throw unfit(apis, problems);
      return environmentOf(found, settings, names.length === 1 || found.CNAME === cname);
    }),
  );
}

const unfit = ({ name }: Apis, problems: readonly string[]): Error =>
  failure('FLEET_UNFIT', { fleet: name, problems });

type Settings = readonly ConfigurationOptionSetting[];

async function settingsOf(
  { eb, options }: Apis,
  EnvironmentName: string,
  signal?: AbortSignal,
): Promise<Settings> {
  const { ConfigurationSettings = [] } = await eb.ask(
    `DescribeConfigurationSettings ${EnvironmentName}`,
    (client, call) =>
      client.describeConfigurationSettings({ ApplicationName: options.application, EnvironmentName }, call),
    signal,
  );
  // Beside what runs stands what is being deployed, or could not be.
  const own = ConfigurationSettings.find(({ DeploymentStatus }) => DeploymentStatus === 'deployed');
  return (own ?? ConfigurationSettings[0])?.OptionSettings ?? [];
}

const setting = (settings: Settings, namespace: string, name: string): string | null =>
  settings.find((one) => one.Namespace === namespace && one.OptionName === name)?.Value ?? null;

const launch = 'aws:autoscaling:launchconfiguration';
const rolling = 'aws:autoscaling:updatepolicy:rollingupdate';

/** In place Elastic Beanstalk replaces as these say: without them all instances at once (General options for all environments). */
function updateProblems(settings: Settings, servingMin: Share): readonly string[] {
  const of = (name: string): string | null => setting(settings, rolling, name);
  if (of('RollingUpdateEnabled') !== 'true')
    return [`${rolling} RollingUpdateEnabled is not true: all instances would be replaced at once`];
  const type = of('RollingUpdateType');
  if (type === 'Immutable') return [];
  if (type !== 'Health')
    return [`${rolling} RollingUpdateType is ${type}, which waits for no health: set Health or Immutable`];
  const size = Number(setting(settings, 'aws:autoscaling:asg', 'MinSize') ?? 1);
  const floor = Math.min(size, shareOf(servingMin, size));
  const kept = Number(of('MinInstancesInService') ?? 0);
  return kept >= floor
    ? []
    : [
        `${rolling} MinInstancesInService is ${kept}, and servingMin asks for ${floor}: raise it, or set Immutable`,
      ];
}

const environmentOf = (
  { EnvironmentName = '', Status = 'Updating', Health = 'Grey', EndpointURL }: EnvironmentDescription,
  settings: Settings,
  isLive: boolean,
): Environment => ({
  name: EnvironmentName,
  image: setting(settings, launch, 'ImageId') ?? '',
  isLive,
  status: statusOf(Status),
  health: healthOf(Health),
  address: EndpointURL ?? null,
});

async function perform(apis: Apis, order: FleetOrder, signal?: AbortSignal): Promise<void> {
  assert(order.kind === 'update' || order.kind === 'swap', `an environment is never told to ${order.kind}`);
  await (order.kind === 'update' ? update(apis, order, signal) : swap(apis, order, signal)).catch(
    (error: unknown) => {
      // Somebody else's change began in between: it passes.
      const isBusy =
        isDeployError(error, 'FLEET_REFUSED') && /Must be Ready/i.test(String(error.details.answer));
      if (!isBusy) throw error;
      throw failure('FLEET_UNREACHABLE', {
        fleet: apis.name,
        address: apis.eb.address,
        reason: String(error.details.answer),
      });
    },
  );
}

const update = (
  { eb, options }: Apis,
  { environment, image }: Extract<FleetOrder, { readonly kind: 'update' }>,
  signal?: AbortSignal,
): Promise<unknown> =>
  eb.ask(
    `UpdateEnvironment ${environment} ${image}`,
    (client, call) =>
      client.updateEnvironment(
        {
          ApplicationName: options.application,
          EnvironmentName: environment,
          OptionSettings: [{ Namespace: launch, OptionName: 'ImageId', Value: image }],
        },
        call,
      ),
    signal,
  );

/** Looks first: done twice it would be undone. */
async function swap(
  apis: Apis,
  { from, to }: Extract<FleetOrder, { readonly kind: 'swap' }>,
  signal?: AbortSignal,
): Promise<void> {
  const now = await observe(apis, signal);
  if (now.some(({ name, isLive }) => isLive && name === to)) return;
  await apis.eb.ask(
    `SwapEnvironmentCNAMEs ${from} ${to}`,
    (client, options) =>
      client.swapEnvironmentCNAMEs({ SourceEnvironmentName: from, DestinationEnvironmentName: to }, options),
    signal,
  );
}

async function events({ eb, options }: Apis, sinceMs: number, signal?: AbortSignal) {
  const { Events = [] } = await eb.ask(
    `DescribeEvents ${options.application}`,
    (client, call) =>
      client.describeEvents(
        { ApplicationName: options.application, StartTime: new Date(sinceMs), MaxRecords: 100 },
        call,
      ),
    signal,
  );
  return Events.filter(({ EnvironmentName = '' }) => options.environment.includes(EnvironmentName))
    .map(({ EventDate, EnvironmentName, Severity, Message }) => ({
      atMs: EventDate?.getTime() ?? 0,
      text: `${EnvironmentName} ${Severity}: ${Message}`,
    }))
    .toSorted((a, b) => a.atMs - b.atMs);
}
