import { describe, expect, test } from 'vitest';
import type { CommandResult, NodeCommand } from '../../src/core/command.ts';
import type { Answers, ServerCounts } from '../../src/core/counts.ts';
import type { Workers } from '../../src/core/hook.ts';
import { dutyHooks } from '../../src/core/migration.ts';
import type { PoolName } from '../../src/core/node.ts';
import {
  type AddressState,
  type BalancerState,
  nodeState,
  type ServerState,
} from '../../src/core/observation.ts';
import type { Release } from '../../src/core/release.ts';
import type { Site } from '../../src/core/site.ts';
import { activate, check, drain, enable, prepare, type Step } from '../../src/core/step.ts';
import type { Strategy } from '../../src/core/strategy.ts';
import type { Target } from '../../src/core/target.ts';
import type { Balancer, BalancerView, HttpAnswer, Ports } from '../../src/ports.ts';
import { checkers, lastPromises } from '../../src/simulator/checkers/index.ts';
import type { FaultMix } from '../../src/simulator/faults.ts';
import type { Mutant, Simulation } from '../../src/simulator/simulate.ts';
import { strategies } from '../../strategies/index.ts';
import { canaryOf, inParts, manned, run, twoPools } from './seeds.ts';

/** A bug that the engine could have, the faults that bring it out, and the promises that it may break. */
interface Case {
  readonly mutant: Mutant;
  readonly faults?: Partial<FaultMix>;
  readonly site?: Partial<Site>;
  readonly command?: 'deploy' | 'rollback';
  /** The strategy of every seed, and how many nodes; default: each draws its own. */
  readonly strategy?: Simulation['strategy'];
  readonly nodes?: number;
  /** How balancers behave, by their kind; default: as sluice's own kinds. */
  readonly kinds?: NonNullable<Simulation['kinds']>;
  readonly caughtBy: readonly string[];
}

type PortsMutant = NonNullable<Mutant['ports']>;

const everyBalancer =
  (change: (balancer: Balancer, index: number) => Partial<Balancer>): PortsMutant =>
  (ports) => ({
    ...ports,
    balancers: ports.balancers.map((balancer, index) => ({ ...balancer, ...change(balancer, index) })),
  });

/** What is read of the servers, by a liar. */
const seen = (
  balancer: Balancer,
  change: (server: ServerState) => ServerState,
): Pick<Balancer, 'observe'> => ({
  async observe(signal) {
    const { members, servers } = await balancer.observe(signal);
    return { members, servers: servers.map(change) };
  },
});

/** What is counted, by a liar. */
const counting = (balancer: Balancer, change: (answers: Answers) => Answers): Pick<Balancer, 'count'> => ({
  async count(signal) {
    const { members, servers } = await balancer.count(signal);
    return {
      members,
      servers: servers.map((server) => ({ ...server, answers: server.answers && change(server.answers) })),
    };
  },
});

const errorsOf = ({ answers }: ServerCounts): number => answers?.errors ?? 0;

/** Answers to checks, by a liar who knows which release is asked for. */
const answers =
  (lie: (honest: () => Promise<HttpAnswer>, body: string) => Promise<HttpAnswer>): PortsMutant =>
  (ports, _world, session) => ({
    ...ports,
    http: {
      ...ports.http,
      request: (question, signal) =>
        lie(
          () => ports.http.request(question, signal),
          String(session.step?.kind === 'check' && session.step.release.id),
        ),
    },
  });

/** The command, or what it answers, in the place of the one that the engine sent. */
type Swap = (command: NodeCommand) => NodeCommand | CommandResult;

const swapped =
  (swap: Swap): PortsMutant =>
  (ports) =>
    withCommands(ports, (_node, command) => swap(command));

const withCommands = (
  ports: Ports,
  swap: (node: string, command: NodeCommand) => NodeCommand | CommandResult,
): Ports => ({
  ...ports,
  transport: {
    ...ports.transport,
    async run(host, command, options) {
      const other = swap(host.name, command);
      return 'status' in other ? other : ports.transport.run(host, other, options);
    },
  },
});

const done: CommandResult = { status: 0, stdout: '', stderr: '' };
const named =
  (name: string, swap: Swap): Swap =>
  (command) =>
    command.name === name ? swap(command) : command;
const withParams = (command: NodeCommand, params: Record<string, unknown>): NodeCommand => ({
  ...command,
  params: { ...command.params, ...params },
});

/** What commands answer, by a liar. */
const rewritten =
  (rewrite: (stdout: string) => string): PortsMutant =>
  (ports) => ({
    ...ports,
    transport: {
      ...ports.transport,
      async run(host, command, options) {
        const result = await ports.transport.run(host, command, options);
        return { ...result, stdout: rewrite(result.stdout) };
      },
    },
  });

/** Two nodes in each of two pools. */
const ofPools = { strategy: twoPools, nodes: 4 } as const;

/** The same, of which the other pool gets parts of the traffic first. */
const byParts = { strategy: inParts, nodes: 4 } as const;

/** What is read of the members, by a liar. */
const seenAs = (
  balancer: Balancer,
  change: (member: BalancerState) => BalancerState,
): Pick<Balancer, 'observe'> => ({
  async observe(signal) {
    const { members, servers } = await balancer.observe(signal);
    return { members: members.map(change), servers };
  },
});

/** Flips that are said to be done, and are not. */
const unflipped = (balancer: Balancer): Partial<Balancer> => {
  let told: PoolName | null = null;
  return {
    async flip(to) {
      told = to;
    },
    ...seenAs(balancer, (member) => (told === null ? member : { ...member, pool: told })),
  };
};

const blind = (member: BalancerState): BalancerState => ({ ...member, pool: null });

/** Parts that are said to be given, and are not. */
const unshared = (balancer: Balancer): Partial<Balancer> => {
  let isTold = false;
  return {
    async share() {
      isTold = true;
    },
    async flip(to, signal) {
      isTold = false;
      await balancer.flip(to, signal);
    },
    ...seenAs(balancer, (member) => (isTold ? blind(member) : member)),
  };
};

/** While a pool is baked, all that is seen of it is well. */
const inBake =
  (lie: PortsMutant): PortsMutant =>
  (ports, world, session) => {
    const lying = lie(ports, world, session);
    const now = (): Ports => (session.step?.kind === 'hold' ? lying : ports);
    return {
      ...ports,
      http: { ...ports.http, request: (question, signal) => now().http.request(question, signal) },
      balancers: ports.balancers.map((balancer, index) => ({
        ...balancer,
        observe: (signal) => now().balancers[index]!.observe(signal),
        count: (signal) => now().balancers[index]!.count(signal),
      })),
    };
  };

/** A pair of which the first holds the address until it moves; faults that move it, and keep the other from being asked. */
const pairSettings = (onUnreachable: 'stop' | 'go on'): Partial<Site> => ({
  balancers: ['lb1', 'lb2'].map((name) => ({ name, kind: 'haproxy', onUnreachable, options: {} })),
  addresses: [{ name: 'front', balancers: ['lb1', 'lb2'], kind: 'simulated', options: {} }],
});

/** Other steps than the strategy's, for a target that is not reached yet; `before`: what the first node has. */
const instead =
  (steps: (target: Target, before: Target) => Iterable<Step>) =>
  (strategy: Strategy): Strategy => ({
    ...strategy,
    *steps({ observed, target }) {
      const { current, releases } = nodeState(observed, target.nodes[0]!);
      if (current.kind !== 'release' || current.id === target.release.id) return;
      const revision = releases.find(({ id }) => id === current.id)!.revision!;
      yield* steps(target, { ...target, release: { id: current.id, revision } });
    },
  });

const migration = dutyHooks(
  { expand: 'true', contract: 'true', irreversible: true, role: null, timeoutMs: 60_000 },
  null,
);

const mutants: { readonly [name: string]: Case } = {
  'nothing is drained, though it is said to be': {
    mutant: {
      ports: everyBalancer((balancer) => {
        const out = new Set<string>();
        return {
          async change(changes) {
            for (const { node, to } of changes) to === 'in' ? out.delete(node) : out.add(node);
          },
          ...seen(balancer, (server) =>
            out.has(server.node) ? { ...server, rotation: 'out', sessions: 0 } : server,
          ),
        };
      }),
    },
    caughtBy: ['no-spilled-request'],
  },
  'requests in flight are not waited for': {
    mutant: {
      ports: everyBalancer((balancer) => seen(balancer, (server) => ({ ...server, sessions: 0 }))),
    },
    caughtBy: ['no-spilled-request'],
  },
  'an old look at the balancers is used again': {
    mutant: {
      ports: everyBalancer((balancer) => {
        const looks: Promise<BalancerView>[] = [];
        return {
          observe(signal) {
            looks.push(balancer.observe(signal));
            return looks.at(-12) ?? looks[0]!;
          },
        };
      }),
    },
    caughtBy: ['no-spilled-request', 'floor'],
  },
  'a node that does not answer passes its checks': {
    mutant: { ports: answers(async (_honest, body) => ({ status: 200, body })) },
    caughtBy: ['proof-before-traffic'],
  },
  'a release that answers with an error passes its checks': {
    mutant: { ports: answers((honest, body) => honest().then(() => ({ status: 200, body }))) },
    faults: { brokenRelease: 1 },
    caughtBy: ['proof-before-traffic'],
  },
  'the next batch does not wait for the checks of the one before': {
    mutant: { ports: answers(async (_honest, body) => ({ status: 200, body })) },
    site: { balancers: [], servingMin: 0 },
    caughtBy: ['blast-radius'],
  },
  'the old code in the cache passes the checks of the new': {
    mutant: {
      site: (site) => ({ ...site, checks: site.checks.map((check) => ({ ...check, expect: null })) }),
    },
    faults: { staleCodeMs: 60_000 },
    caughtBy: ['proof-before-traffic'],
  },
  'the floor is not looked at': {
    mutant: { site: (site) => ({ ...site, servingMin: 0 }) },
    faults: { flaps: 3, operatorActs: 3, reboots: 3 },
    caughtBy: ['floor'],
  },
  'a run that lost its lock goes on': {
    mutant: {
      ports: (ports, world) =>
        withCommands(ports, (node, command) => {
          const holder = world.nodes.get(node)?.disk.lock?.run;
          if (command.name === 'acquire-lock' || holder === undefined) return command;
          return withParams(command, { run: holder });
        }),
    },
    faults: { brokenLocks: 3, secondRuns: 5 },
    caughtBy: ['fencing'],
  },
  'two runs go on, each as if the lock was its own': {
    mutant: {
      ports(ports, world) {
        const own = withCommands(ports, (node, command) => {
          const { run, lock } = command.params as { run?: string; lock?: { run: string } };
          const mine = lock?.run ?? run;
          if (mine !== undefined) world.nodes.get(node)!.disk.lock = { run: mine, details: '{}' };
          return command;
        });
        const blind: typeof own.transport.run = async (host, command, options) => {
          const result = await own.transport.run(host, command, options);
          if (command.name !== 'inspect') return result;
          return { ...result, stdout: result.stdout.replace(/^= lock .*\n/gm, '') };
        };
        return { ...own, transport: { ...own.transport, run: blind } };
      },
    },
    faults: { secondRuns: 3, slow: 0.25, lostReply: 0.25 },
    caughtBy: ['single-lock'],
  },
  'the lock is never given back': {
    mutant: { ports: swapped(named('release-lock', () => done)) },
    caughtBy: ['lock-freed'],
  },
  'work that runs once leaves no mark': {
    mutant: {
      ports: (ports, world) =>
        withCommands(ports, (node, command) => {
          if (command.name === 'run-hook') world.nodes.get(node)?.disk.once.clear();
          return command;
        }),
    },
    faults: { lostReply: 0.1 },
    site: {
      hooks: [
        {
          name: 'migrate',
          point: 'after:prepare',
          action: { kind: 'nodes', command: ['migrate'], role: null, once: true, timeoutMs: 60_000 },
        },
      ],
    },
    caughtBy: ['once'],
  },
  'the schema is said to be expanded, and is not': {
    mutant: {
      ports: swapped(named('run-hook', (command) => (command.params.duty === 'expand' ? done : command))),
    },
    site: { hooks: migration },
    caughtBy: ['schema-window'],
  },
  'that the way back is closed is not read': {
    mutant: { ports: rewritten((stdout) => stdout.replace(/^= irreversible.*\n/gm, '')) },
    faults: { brokenRelease: 0.3 },
    site: { hooks: migration, onFailure: 'rollback' },
    caughtBy: ['schema-window'],
  },
  'the release before is deleted': {
    mutant: {
      ports: (ports, _world, session) =>
        withCommands(ports, (node, command) =>
          command.name === 'remove-releases'
            ? withParams(command, { ids: [...(command.params.ids as string[]), session.before.get(node)] })
            : command,
        ),
    },
    caughtBy: ['way-back'],
  },
  'nodes that an operator took out are put back': {
    mutant: {
      ports: everyBalancer((balancer) => ({
        change: (changes) =>
          balancer.change(
            changes.flatMap((change) =>
              change.to === 'in'
                ? ['web1', 'web2', 'web3'].map((node) => ({ ...change, node, server: null }))
                : [change],
            ),
          ),
      })),
    },
    faults: { operatorActs: 3 },
    caughtBy: ['ours-only'],
  },
  'only the first balancer is told to put a node back': {
    mutant: {
      ports: everyBalancer((balancer, index) => {
        const forgotten = new Set<string>();
        if (index === 0) return {};
        return {
          async change(changes, signal) {
            const others = changes.filter(({ to }) => to !== 'in');
            for (const { node, to } of changes) to === 'in' ? forgotten.add(node) : forgotten.delete(node);
            if (others.length > 0) await balancer.change(others, signal);
          },
          ...seen(balancer, (server) =>
            forgotten.has(server.node) ? { ...server, rotation: 'in', health: 'up' } : server,
          ),
        };
      }),
    },
    site: { servingMin: 0 },
    caughtBy: ['nothing-left-drained'],
  },
  'the branch is looked up again for each node': {
    mutant: {
      ports: (ports, world) =>
        withCommands(ports, (_node, command) =>
          command.name === 'receive'
            ? withParams(command, {
                release: { ...(command.params.release as Release), revision: world.repository.head },
              })
            : command,
        ),
    },
    faults: { branchMoves: 3 },
    caughtBy: ['one-revision'],
  },
  'what is out of rotation is not written down': {
    mutant: {
      ports: swapped(named('note', (command) => withParams(command, { drained: null }))),
    },
    caughtBy: ['journal-first'],
  },
  'the journal is written when a step is done, not before': {
    mutant: { ports: swapped((command) => withParams(command, { before: [] })) },
    site: { balancers: [] },
    caughtBy: ['journal-first'],
  },
  'what a dead run had out of rotation is not read': {
    mutant: { ports: rewritten((stdout) => stdout.replace(/^= drained .*\n/gm, '')) },
    faults: { killAtCall: 40 },
    caughtBy: ['converges'],
  },
  'twice as many nodes leave as the strategy says': {
    mutant: {
      strategy: instead(function* (target) {
        yield prepare(target.nodes, target);
        yield drain(target.nodes);
        yield activate(target.nodes, target);
        yield check(target.nodes, target);
        yield enable(target.nodes);
      }),
    },
    site: { servingMin: 0 },
    caughtBy: ['out-at-once'],
  },
  'a node goes back and forth between two releases': {
    mutant: {
      strategy: instead(function* (target, before) {
        yield prepare(target.nodes, target);
        const first = target.nodes.slice(0, 1);
        for (const to of [target, before, target]) {
          yield drain(first);
          yield activate(first, to);
          yield check(first, to);
          yield enable(first);
        }
      }),
    },
    site: { servingMin: 0 },
    caughtBy: ['one-way-back'],
  },
  'new nodes are put into rotation with the others': {
    mutant: {
      ports: (ports, world) =>
        everyBalancer((balancer) => ({
          change: (changes, signal) =>
            balancer.change(
              changes.flatMap((change) =>
                [...world.nodes.values()]
                  .filter(({ name, disk }) => name === change.node || (change.to === 'in' && !disk.current))
                  .map(({ name }) => ({ ...change, node: name, server: null })),
              ),
              signal,
            ),
        }))(ports, world, world.sessions[0]!),
    },
    faults: { joins: 0.6, brokenRelease: 0.3 },
    site: { servingMin: 0, onFailure: 'rollback-batch' },
    caughtBy: ['allowed-release'],
  },
  'a command waits before it begins': {
    mutant: {
      ports: (ports) => ({
        ...ports,
        source: {
          ...ports.source,
          async resolve(ref, signal) {
            await ports.clock.sleep(60_000, signal);
            return ports.source.resolve(ref, signal);
          },
        },
      }),
    },
    caughtBy: ['in-time'],
  },
  'a request is seen where there is none, so every drain takes its whole time': {
    mutant: {
      ports: everyBalancer((balancer) =>
        seen(balancer, (server) => ({ ...server, sessions: (server.sessions ?? 0) + 1 })),
      ),
    },
    site: { drain: { timeoutMs: 10_000, onTimeout: 'force', enableTimeoutMs: 10_000, port: null } },
    caughtBy: ['drain-in-time'],
  },
  'nothing is enabled by hand where a machine is lost': {
    mutant: {
      ports: (ports, world, session) =>
        session.command === 'enable' && [...world.nodes.values()].some(({ isGone }) => isGone)
          ? everyBalancer(() => ({ change: async () => {} }))(ports, world, session)
          : ports,
    },
    faults: { leaves: 2, killAtCall: 45 },
    caughtBy: ['others-go-on'],
  },
  'a run that failed says that it is done': {
    mutant: { report: (report) => ({ ...report, exit: 0, outcome: 'done' }) },
    faults: { brokenRelease: 1 },
    caughtBy: ['end-is-true'],
  },
  'a run that touched the site says that it did not': {
    mutant: { report: (report) => (report.exit === 1 ? { ...report, exit: 2, outcome: 'refused' } : report) },
    faults: { brokenRelease: 1 },
    caughtBy: ['end-is-true'],
  },
  'an answer is waited for without end': {
    mutant: {
      ports: (ports) => ({
        ...ports,
        http: {
          ...ports.http,
          request: (question, signal) =>
            ports.http.request(question, signal).catch(() => new Promise<never>(() => {})),
        },
      }),
    },
    caughtBy: ['always-ends'],
  },
  'an unexpected error goes up to the user': {
    mutant: {
      ports: everyBalancer(() => ({
        change: () => Promise.reject(new TypeError('undefined is not a function')),
      })),
    },
    caughtBy: ['always-ends'],
  },
  'what a reload left behind is forgotten': {
    mutant: {
      ports: everyBalancer(({ capabilities }) => ({
        capabilities: { ...capabilities, successor: { ...capabilities.successor, requests: 'counted' } },
      })),
    },
    faults: { balancerRestarts: 6 },
    site: { drain: { timeoutMs: 10_000, onTimeout: 'put-back', enableTimeoutMs: 10_000, port: null } },
    caughtBy: ['no-spilled-request'],
  },
  'a balancer that lags behind is believed at once': {
    mutant: {
      ports: everyBalancer(({ capabilities }) => ({ capabilities: { ...capabilities, settleMs: 0 } })),
    },
    site: { balancers: [{ name: 'lb1', kind: 'lagging', onUnreachable: 'stop', options: {} }] },
    kinds: {
      lagging: {
        drain: 'hard',
        sessions: 'exact',
        settleMs: 5000,
        successor: { rotation: 'kept', requests: 'counted' },
      },
    },
    caughtBy: ['no-spilled-request'],
  },
  'weights are not given back': {
    mutant: {
      ports: everyBalancer((balancer) => {
        const whole = new Set<string>();
        return {
          async shift(changes, signal) {
            for (const { node, to } of changes) to < 100 ? whole.delete(node) : whole.add(node);
            const lower = changes.filter(({ to }) => to < 100);
            if (lower.length > 0) await balancer.shift(lower, signal);
          },
          ...seen(balancer, (server) => (whole.has(server.node) ? { ...server, weight: 100 } : server)),
        };
      }),
    },
    strategy: canaryOf({ weight: 10 }),
    caughtBy: ['weights-whole'],
  },
  'weights that a balancer forgot are set again, whatever the floor is': {
    mutant: { site: (site) => ({ ...site, servingMin: 0 }) },
    faults: { balancerRestarts: 3, flaps: 3, operatorActs: 3 },
    strategy: canaryOf({ weight: 10 }),
    caughtBy: ['floor'],
  },
  'errors of a canary are not counted': {
    mutant: {
      ports: everyBalancer((balancer) => counting(balancer, (answers) => ({ ...answers, errors: 0 }))),
    },
    faults: { erringRelease: 0.8 },
    strategy: canaryOf({ weight: 100 }),
    caughtBy: ['judged-first'],
  },
  'a canary is compared with nodes that have its release': {
    mutant: {
      ports: everyBalancer((balancer) => ({
        async count(signal) {
          const counted = await balancer.count(signal);
          const worst = counted.servers.toSorted((a, b) => errorsOf(b) - errorsOf(a))[0]!;
          return { ...counted, servers: counted.servers.map((one) => ({ ...one, answers: worst.answers })) };
        },
      })),
    },
    faults: { erringRelease: 0.8 },
    strategy: canaryOf({ weight: 100, verdict: { othersErrorsMax: 1 } }),
    caughtBy: ['judged-first'],
  },
  'few requests are taken for many': {
    mutant: {
      ports: everyBalancer((balancer) =>
        counting(balancer, (answers) => ({ ...answers, requests: 1000 * answers.requests })),
      ),
    },
    strategy: canaryOf({ weight: 100, verdict: { requestsMin: 1000 } }),
    caughtBy: ['judged-first'],
  },
  'who has the cron is not read': {
    mutant: { ports: rewritten((stdout) => stdout.replace(/^= cron.*\n/gm, '')) },
    caughtBy: ['one-cron'],
  },
  'jobs under way are not waited for': {
    mutant: { ports: rewritten((stdout) => stdout.replace(/^= cron-(job|busy).*\n/gm, '')) },
    caughtBy: ['one-cron'],
  },
  'jobs under way are not waited for before the database is migrated': {
    mutant: { ports: rewritten((stdout) => stdout.replace(/^= cron-(job|busy).*\n/gm, '')) },
    site: {
      cron: {
        node: null,
        role: 'cron',
        jobs: [{ schedule: '* * * * *', run: ['true'] }],
        file: null,
        keptIn: 'crontab',
        onRunning: 'wait',
        timeoutMs: 20_000,
        hold: 'migrations',
        fence: null,
      },
      hooks: dutyHooks(
        { expand: 'true', contract: null, irreversible: null, role: null, timeoutMs: 60_000 },
        null,
      ),
    },
    caughtBy: ['cron-held'],
  },
  'the cron is not put back': {
    mutant: { ports: swapped(named('put-cron', () => done)) },
    caughtBy: ['converges'],
  },
  'a node is taken out while a run holds': {
    mutant: {
      ports: (ports, _world, session) => ({
        ...ports,
        balancers: ports.balancers.map((balancer) => ({
          ...balancer,
          async observe(signal) {
            const { step } = session;
            if (step?.kind === 'hold')
              await balancer.change([{ node: step.nodes[0]!, server: null, to: 'out' }]);
            return balancer.observe(signal);
          },
        })),
      }),
    },
    strategy: () => ({ strategy: strategies.rolling.create({ batch: [1], hold: 60_000 }), batchMax: 1 }),
    caughtBy: ['still-while-held'],
  },
  'a flip tells one balancer alone': {
    mutant: { ports: everyBalancer((balancer, index) => (index === 0 ? {} : unflipped(balancer))) },
    ...ofPools,
    caughtBy: ['pool-whole'],
  },
  'a flip is not read back': {
    mutant: { ports: everyBalancer(unflipped) },
    ...ofPools,
    caughtBy: ['end-is-true'],
  },
  'a flip comes before the checks': {
    mutant: { ports: answers(async (_honest, body) => ({ status: 200, body })) },
    ...ofPools,
    caughtBy: ['pool-whole'],
  },
  'a pool goes live that is believed to be healthy': {
    mutant: { ports: everyBalancer((balancer) => seen(balancer, (server) => ({ ...server, health: 'up' }))) },
    ...ofPools,
    faults: { flaps: 3, reboots: 3, operatorActs: 3 },
    caughtBy: ['floor'],
  },
  'a pool goes live that is too small for the traffic': {
    mutant: { site: (site) => ({ ...site, servingMin: 0 }) },
    ...ofPools,
    site: { servingMin: 2 },
    faults: { operatorActs: 3 },
    caughtBy: ['floor'],
  },
  'the pool that has the traffic is taken for the other one': {
    mutant: {
      ports: everyBalancer((balancer) =>
        seenAs(balancer, (member) => ({ ...member, pool: member.pool === 'blue' ? 'green' : 'blue' })),
      ),
    },
    ...ofPools,
    caughtBy: ['no-spilled-request'],
  },
  'who goes on for a run that died in the bake does not bake': {
    mutant: {
      strategy: (strategy) => ({
        ...strategy,
        *steps(input) {
          for (const step of strategy.steps(input))
            if (step.kind !== 'hold' || input.target.onceAs === undefined) yield step;
        },
      }),
    },
    ...ofPools,
    caughtBy: ['judged-first'],
  },
  'a pool that fails its bake gets the next part': {
    mutant: {
      ports: inBake((ports, world, session) => ({
        ...answers(async (_honest, body) => ({ status: 200, body }))(ports, world, session),
        balancers: ports.balancers.map((balancer) => ({
          ...balancer,
          ...seen(balancer, (server) => ({ ...server, rotation: 'in', health: 'up' })),
        })),
      })),
    },
    ...byParts,
    faults: { flaps: 6, operatorActs: 6 },
    caughtBy: ['baked-well'],
  },
  'a bake is over before its time': {
    mutant: {
      ports(ports, _world, session) {
        let hasteMs = 0;
        const nowMs = (): number => {
          if (session.step?.kind !== 'hold') return ports.clock.nowMs();
          hasteMs += 1000;
          return ports.clock.nowMs() + hasteMs;
        };
        return { ...ports, clock: { ...ports.clock, nowMs } };
      },
    },
    ...byParts,
    caughtBy: ['baked-well'],
  },
  'errors of a pool that is baked are not counted': {
    mutant: {
      ports: everyBalancer((balancer) => counting(balancer, (answers) => ({ ...answers, errors: 0 }))),
    },
    ...byParts,
    faults: { erringRelease: 0.8 },
    caughtBy: ['baked-well'],
  },
  'a part is left with the pool that failed its bake': {
    mutant: {
      ports: everyBalancer((balancer) => {
        let part: PoolName | null = null;
        let told: PoolName | null = null;
        return {
          async share(to, percent, signal) {
            [part, told] = [to, null];
            await balancer.share!(to, percent, signal);
          },
          async flip(to, signal) {
            told = part === null || part === to ? null : to;
            if (told === null) await balancer.flip(to, signal);
          },
          ...seenAs(balancer, (member) => (told === null ? member : { ...member, pool: told })),
        };
      }),
    },
    ...byParts,
    faults: { flaps: 6, operatorActs: 6 },
    caughtBy: ['pool-whole'],
  },
  'a pool gets a part before it answered its checks': {
    mutant: { ports: answers(async (_honest, body) => ({ status: 200, body })) },
    ...byParts,
    caughtBy: ['pool-whole'],
  },
  'a part is given by one balancer alone': {
    mutant: { ports: everyBalancer((balancer, index) => (index === 0 ? {} : unshared(balancer))) },
    ...byParts,
    caughtBy: ['baked-well'],
  },
  'the first part is given, and no more': {
    mutant: {
      ports: everyBalancer((balancer) => ({
        share: (to, _percent, signal) => balancer.share!(to, 10, signal),
      })),
    },
    ...byParts,
    caughtBy: ['baked-well'],
  },
  'all of the traffic goes where a part was to go': {
    mutant: {
      ports: everyBalancer((balancer) => {
        let isPart = false;
        return {
          async share(to, _percent, signal) {
            isPart = true;
            await balancer.flip(to, signal);
          },
          async flip(to, signal) {
            isPart = false;
            await balancer.flip(to, signal);
          },
          ...seenAs(balancer, (member) => (isPart ? blind(member) : member)),
        };
      }),
    },
    ...byParts,
    caughtBy: ['baked-well'],
  },
  'the cron stays where it was while traffic goes to the other pool': {
    mutant: {
      site: (site) => ({ ...site, cron: site.cron && { ...site.cron, node: 'web1', role: null } }),
    },
    ...ofPools,
    site: {
      cron: {
        node: null,
        role: 'cron',
        jobs: [{ schedule: '* * * * *', run: ['true'] }],
        file: null,
        keptIn: 'crontab',
        fence: null,
        onRunning: 'wait',
        timeoutMs: 20_000,
        hold: 'never',
      },
    },
    caughtBy: ['one-cron'],
  },
  'only the balancer that holds the address is told': {
    mutant: {
      ports: (ports, world) => ({
        ...ports,
        balancers: ports.balancers.map((balancer) => {
          const out = new Set<string>();
          return {
            ...balancer,
            async change(changes, signal) {
              if (world.addresses[0]?.holder === balancer.name) await balancer.change(changes, signal);
              else for (const { node, to } of changes) to === 'in' ? out.delete(node) : out.add(node);
            },
            ...seen(balancer, (server) =>
              out.has(server.node) ? { ...server, rotation: 'out', sessions: 0 } : server,
            ),
          };
        }),
      }),
    },
    site: pairSettings('go on'),
    faults: { addressMoves: 30 },
    caughtBy: ['told-together'],
  },
  'who holds the address is read once': {
    mutant: {
      ports: (ports) => ({
        ...ports,
        addresses: ports.addresses.map((address) => {
          let first: Promise<AddressState> | null = null;
          return { ...address, holders: (signal) => (first ??= address.holders(signal)) };
        }),
      }),
    },
    site: pairSettings('go on'),
    faults: { addressMoves: 10, balancerCutOffs: 10 },
    caughtBy: ['no-spilled-request'],
  },
  'what a balancer forgot is not told again': {
    mutant: {
      ports: everyBalancer((balancer) => {
        const told = new Map<string, number>();
        return {
          shift: (changes, signal) =>
            balancer.shift(
              changes.filter(
                ({ server, to }) => told.get(String(server)) !== to && told.set(String(server), to),
              ),
              signal,
            ),
        };
      }),
    },
    strategy: canaryOf({ weight: 10 }),
    nodes: 4,
    faults: { balancerRestarts: 5 },
    caughtBy: ['told-again'],
  },
  'a flip that a balancer forgot is not told again': {
    mutant: {
      ports: everyBalancer((balancer) => {
        let told: PoolName | null = null;
        return {
          async flip(to, signal) {
            if (told !== to) await balancer.flip(to, signal);
            told = to;
          },
        };
      }),
    },
    ...ofPools,
    faults: { balancerRestarts: 10 },
    caughtBy: ['told-again'],
  },
  'workers stay in the release before': {
    mutant: {
      ports: swapped(named('run-hook', (command) => ('workers' in command.params ? done : command))),
    },
    site: manned(15_000),
    caughtBy: ['workers-whole'],
  },
  'workers are killed in the midst of their jobs': {
    mutant: {
      ports: swapped(
        named('run-hook', (command) =>
          'workers' in command.params
            ? withParams(command, { workers: { ...(command.params.workers as Workers), kill: ['true'] } })
            : command,
        ),
      ),
    },
    site: manned(1000),
    caughtBy: ['workers-whole'],
  },
  'assets are not lent': {
    mutant: { ports: swapped(named('receive', (command) => withParams(command, { assets: [] }))) },
    site: { assets: ['public/assets'] },
    caughtBy: ['assets-first'],
  },
  'nodes that join are not looked for': {
    mutant: { relisted: (site) => ({ ...site, nodes: site.nodes.slice(0, -1) }) },
    faults: { lateJoins: 1 },
    nodes: 6,
    caughtBy: ['join-gate'],
  },
  'a deploy that is done is done again': {
    mutant: {
      strategy: (strategy) => ({
        ...strategy,
        *steps(input) {
          yield* strategy.steps(input);
          yield activate(input.target.nodes.slice(0, 1), input.target);
        },
      }),
    },
    site: { balancers: [] },
    caughtBy: ['nothing-to-do'],
  },
};

const seedsMax = 100;

describe('a bug in the engine is found', () => {
  test.each(Object.entries(mutants))('%s', async (_name, one) => {
    const { mutant, faults = {}, site = {}, command = 'deploy', caughtBy } = one;
    const complaints = new Set<string>();
    for (let seed = 1; seed <= seedsMax; seed++) {
      const { broken } = await run({ ...one, seed, mutant, faults, site, command });
      for (const { promise } of broken) complaints.add(promise);
      if (caughtBy.some((promise) => complaints.has(promise))) return;
    }
    expect.fail(`${seedsMax} seeds, and all that was noticed is: ${[...complaints].join(', ') || 'nothing'}`);
  });

  test('by each checker', () => {
    const proved = new Set(Object.values(mutants).flatMap(({ caughtBy }) => caughtBy));
    const all = [...checkers.map(({ name }) => name), ...lastPromises];
    expect(all.filter((name) => !proved.has(name))).toEqual([]);
  });
});
