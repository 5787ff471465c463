import type { Command } from '../call.ts';
import type { FleetCommandName } from './fleet.ts';

/** Nodes and fleets have commands of the same name; which one is meant, the config says. */
const orFleet =
  (name: FleetCommandName, load: CommandEntry['load']): CommandEntry['load'] =>
  async () => {
    const [{ orFleetCommand }, command] = await Promise.all([import('./fleet.ts'), load()]);
    return orFleetCommand(name, command);
  };

/** A command as help shows it. Its work is loaded only when it is run. */
export interface CommandEntry {
  readonly name: string;
  readonly operands: readonly Operand[];
  readonly summary: string;
  readonly flags: readonly Flag[];
  readonly examples: readonly string[];
  load(): Promise<Command>;
}

export type Operand = keyof typeof operands;
export type Flag = keyof typeof flags;

/** Each operand as commander reads it, and its sentence. */
export const operands = {
  stage: ['<stage>', 'production, or shop/production where sites stand side by side'],
  stageIfSeveral: [
    '[stage]',
    'production, or shop/production where sites stand side by side; an only stage may be left out',
  ],
  nodes: ['<node...>', 'as the config names them'],
  onOrOff: ['<to>', 'on: visitors are turned away; off: they are let in'],
  action: ['<action>', 'build, list, show, diff, verify or prune'],
  more: [
    '[more...]',
    'the stage, then images: newest, the beginning of a name, or node:web3 for what is live there',
  ],
  application: [
    '[application]',
    'plain, magento, wordpress, drupal, moodle, rails or django; default: what the folder holds. aws-fleet: machines made of images',
  ],
  nodesIfSome: ['[node...]', 'as the config names them; default: all that are behind'],
} as const satisfies Readonly<Record<string, readonly [string, string]>>;

/** Each flag as commander reads it, and its sentence. */
export const flags = {
  ref: ['--ref <ref>', 'a branch, tag, commit or image instead of the one in the config'],
  seedRef: ['--ref <ref>', 'build: a branch, tag or commit of the repository of the seed'],
  to: ['--to <release>', 'this release instead of the one before the live one'],
  toNode: ['--to <node>', 'move it to this node'],
  nodes: ['--nodes <names>', 'only these nodes, separated by commas'],
  strategy: ['--strategy <name>', 'another strategy than that of the config'],
  batch: ['--batch <sizes>', 'nodes at a time: a count, a part, or a list of them such as 1,30%,100%'],
  onFailure: ['--on-failure <policy>', 'rollback, rollback-batch, halt or hold'],
  failuresMax: [
    '--failures-max <count>',
    'nodes that may fail and are left out: a count, or a part such as 10%',
  ],
  acrossIrreversible: [
    '--across-irreversible',
    'although an irreversible migration lies between; written to the history',
  ],
  maintenance: ['--maintenance', 'turn visitors away while database and nodes change'],
  noMaintenance: ['--no-maintenance', 'let them in meanwhile, although the config says always'],
  back: ['--back', 'to the pool with the older release'],
  why: ['--reason <text>', 'shown by sluice status, and written to the history'],
  reason: ['--reason <text>', 'why the lock is broken; written to the log of every node'],
  runs: ['--runs <count>', 'how many lives of the site are simulated; default: 200'],
  seed: ['--seed <number>', 'the first of them; default: 1'],
  skipUnreachable: [
    '--skip-unreachable',
    'leave nodes out that cannot be reached, as many as failuresMax lets',
  ],
  withoutQuorum: ['--without-quorum', 'although most machines cannot be locked; written to the history'],
  plan: ['--plan <file>', 'carry out this plan of sluice plan --out, or nothing; asks no more'],
  out: ['--out <file>', 'write the plan there too, for sluice deploy --plan'],
  format: ['--format <format>', 'text, or markdown for a merge request'],
  reporter: [
    '--reporter <name>',
    'pretty, plain, json, github or gitlab; default: what fits the terminal or the CI',
  ],
  lockWait: ['--lock-wait <time>', 'wait so long, such as 10m, for another run to end'],
  takeOver: ['--take-over <how>', 'resume or abort what an earlier run left that died, then deploy'],
  yes: ['-y, --yes', 'do not ask; implied by CI=true'],
  dryRun: ['--dry-run', 'print the whole plan, and change nothing'],
  json: ['--json', 'for programs: JSON on standard output'],
  verbose: ['-v, --verbose', 'every detail of every node, and all output of builds and hooks'],
  watch: ['-w, --watch', 'read again every 2 s, until Ctrl-C'],
  drift: ['--drift', 'compare packages and configuration too: 1 if nodes are not alike'],
  forceTakeOver: ['--force', 'although the run may still be alive: it changes nothing any more'],
  forceDrain: ['--force', 'although fewer nodes than servingMin would serve'],
  fenced: ['--fenced', 'nodes that cannot be read are off, and stay off: you say so, and it is recorded'],
  forceEnable: ['--force', 'without its checks'],
} as const satisfies Readonly<Record<string, readonly [string, string]>>;

const policyFlags = ['strategy', 'batch', 'onFailure', 'failuresMax', 'skipUnreachable'] as const;
const planFlags = ['ref', 'nodes', ...policyFlags] as const;
const showFlags = ['json', 'reporter', 'verbose'] as const;
const runFlags = ['withoutQuorum', 'yes', ...showFlags] as const;

export const commandEntries: readonly CommandEntry[] = [
  {
    name: 'deploy',
    operands: ['stageIfSeveral'],
    summary: 'Release a revision to the nodes.',
    flags: [
      ...planFlags,
      'maintenance',
      'noMaintenance',
      'plan',
      'takeOver',
      'lockWait',
      'dryRun',
      ...runFlags,
    ],
    examples: [
      'sluice deploy production',
      'sluice deploy shop/production --ref v2.1 --batch 1,30% --yes',
      'sluice deploy production --plan plan.json --lock-wait 10m',
    ],
    load: orFleet('deploy', async () => (await import('./deploy.ts')).deployCommand),
  },
  {
    name: 'plan',
    operands: ['stageIfSeveral'],
    summary: 'Print what a deploy would do; change nothing.',
    flags: [...planFlags, 'maintenance', 'noMaintenance', 'out', 'format', 'json'],
    examples: [
      'sluice plan production',
      'sluice plan production --nodes web1,web2 --json',
      'sluice plan production --out plan.json --format markdown',
    ],
    load: orFleet('plan', async () => (await import('./plan.ts')).planCommand),
  },
  {
    name: 'rollback',
    operands: ['stageIfSeveral'],
    summary: 'Bring an earlier release back live.',
    flags: ['to', 'acrossIrreversible', 'nodes', ...policyFlags, 'lockWait', 'dryRun', ...runFlags],
    examples: ['sluice rollback production', 'sluice rollback production --to 20260114093000'],
    load: orFleet('rollback', async () => (await import('./rollback.ts')).rollbackCommand),
  },
  {
    name: 'flip',
    operands: ['stageIfSeveral'],
    summary: 'Send all traffic to the other pool, as it is.',
    flags: ['back', 'lockWait', 'yes', 'dryRun', ...showFlags],
    examples: ['sluice flip production', 'sluice flip production --back'],
    load: orFleet('flip', async () => (await import('./flip.ts')).flipCommand),
  },
  {
    name: 'resume',
    operands: ['stageIfSeveral'],
    summary: 'Finish what a run that died had begun.',
    flags: [...policyFlags, 'forceTakeOver', 'lockWait', ...runFlags],
    examples: ['sluice resume production', 'sluice resume production --yes'],
    load: orFleet('resume', async () => (await import('./resume.ts')).resumeCommand),
  },
  {
    name: 'abort',
    operands: ['stageIfSeveral'],
    summary: 'Go back to where a run that died or is held began.',
    flags: ['acrossIrreversible', 'failuresMax', 'skipUnreachable', 'forceTakeOver', 'lockWait', ...runFlags],
    examples: ['sluice abort production'],
    load: orFleet('abort', async () => (await import('./abort.ts')).abortCommand),
  },
  {
    name: 'sync',
    operands: ['stage', 'nodesIfSome'],
    summary: 'Bring nodes that are behind to the live release.',
    flags: [
      'to',
      'acrossIrreversible',
      'onFailure',
      'failuresMax',
      'skipUnreachable',
      'lockWait',
      ...runFlags,
    ],
    examples: ['sluice sync production', 'sluice sync production web5'],
    load: orFleet('sync', async () => (await import('./sync.ts')).syncCommand),
  },
  {
    name: 'promote',
    operands: ['stageIfSeveral'],
    summary: 'Go on with a run that is held.',
    flags: [...policyFlags, ...runFlags],
    examples: ['sluice promote production'],
    load: orFleet('promote', async () => (await import('./promote.ts')).promoteCommand),
  },
  {
    name: 'status',
    operands: ['stageIfSeveral'],
    summary: 'Show what is live and in rotation on each node.',
    flags: ['drift', 'watch', 'json'],
    examples: [
      'sluice status production',
      'sluice status production --watch',
      'sluice status production --drift',
    ],
    load: orFleet('status', async () => (await import('./status.ts')).statusCommand),
  },
  {
    name: 'balancers',
    operands: ['stageIfSeveral'],
    summary: 'Show what each balancer thinks of each node.',
    flags: ['json'],
    examples: ['sluice balancers production', 'sluice balancers production --json'],
    load: orFleet('balancers', async () => (await import('./balancers.ts')).balancersCommand),
  },
  {
    name: 'releases',
    operands: ['stageIfSeveral'],
    summary: 'List the releases and who has them.',
    flags: ['json'],
    examples: ['sluice releases production'],
    load: orFleet('releases', async () => (await import('./releases.ts')).releasesCommand),
  },
  {
    name: 'history',
    operands: ['stageIfSeveral'],
    summary: 'Show what was done, by whom and when.',
    flags: ['json'],
    examples: ['sluice history production'],
    load: orFleet('history', async () => (await import('./history.ts')).historyCommand),
  },
  {
    name: 'check',
    operands: ['stageIfSeveral'],
    summary: 'Find out whether a deploy could begin.',
    flags: ['json'],
    examples: ['sluice check production'],
    load: orFleet('check', async () => (await import('./check.ts')).checkCommand),
  },
  {
    name: 'unlock',
    operands: ['stageIfSeveral'],
    summary: 'Break the lock of a run that is dead.',
    flags: ['reason', 'yes'],
    examples: ["sluice unlock production --reason 'the CI runner was shut down'"],
    load: orFleet('unlock', async () => (await import('./unlock.ts')).unlockCommand),
  },
  {
    name: 'drain',
    operands: ['stage', 'nodes'],
    summary: 'Take nodes out of rotation for work by hand.',
    flags: ['forceDrain', 'json'],
    examples: ['sluice drain production web3'],
    load: orFleet('drain', async () => (await import('./drain.ts')).drainCommand),
  },
  {
    name: 'enable',
    operands: ['stage', 'nodes'],
    summary: 'Let nodes take traffic again.',
    flags: ['forceEnable', 'json'],
    examples: ['sluice enable production web3'],
    load: orFleet('enable', async () => (await import('./enable.ts')).enableCommand),
  },
  {
    name: 'cron',
    operands: ['stageIfSeveral'],
    summary: 'Show which node runs the jobs, or move them.',
    flags: ['toNode', 'fenced', 'json'],
    examples: ['sluice cron production', 'sluice cron production --to web2'],
    load: orFleet('cron', async () => (await import('./cron.ts')).cronCommand),
  },
  {
    name: 'maintenance',
    operands: ['stage', 'onOrOff'],
    summary: 'Turn visitors away, or let them in again.',
    flags: ['why', 'withoutQuorum', 'json'],
    examples: [
      "sluice maintenance production on --reason 'the database moves'",
      'sluice maintenance production off',
    ],
    load: orFleet('maintenance', async () => (await import('./maintenance.ts')).maintenanceCommand),
  },
  {
    name: 'seed',
    operands: ['action', 'more'],
    summary: 'Take images of the seed server, and look at them.',
    flags: ['seedRef', 'json'],
    examples: [
      'sluice seed build production',
      'sluice seed list production',
      'sluice seed diff production newest node:web3',
      'sluice seed prune production',
    ],
    load: orFleet('seed', async () => (await import('./seed.ts')).seedCommand),
  },
  {
    name: 'simulate',
    operands: ['stageIfSeveral'],
    summary: 'Try the strategy against faults, in simulated lives.',
    flags: ['runs', 'seed', 'strategy', 'batch', 'onFailure', 'failuresMax'],
    examples: ['sluice simulate production', 'sluice simulate production --batch 30% --runs 1000'],
    load: orFleet('simulate', async () => (await import('./simulate.ts')).simulateCommand),
  },
  {
    name: 'init',
    operands: ['application'],
    summary: 'Write a config for the application here.',
    flags: [],
    examples: ['sluice init', 'sluice init magento', 'sluice init aws-fleet'],
    load: async () => (await import('./init.ts')).initCommand,
  },
  {
    name: 'schema',
    operands: [],
    summary: 'Print the JSON Schema of the config, for editors.',
    flags: [],
    examples: ['sluice schema > sluice.schema.json'],
    load: async () => (await import('./schema.ts')).schemaCommand,
  },
];
