// Deploys the site of the current directory as `sluice deploy production --yes` does, and prints how long the run took
// and what it waited for: each command on a node, and whatever else is asked of a port.
import { filesConfig } from '../../bin/config.ts';
import { createPorts } from '../../bin/ports.ts';
import { deploy } from '../../src/engine/deploy.ts';
import type { Ports } from '../../src/ports.ts';
import type { Interval } from './overhead.ts';

const intervals: Interval[] = [];

/** The same function, with a note of each call from its beginning to its end. */
const recorded =
  <A extends readonly unknown[], R>(
    work: (...args: A) => Promise<R>,
    nameOf: (...args: A) => string = () => 'other',
  ) =>
  async (...args: A): Promise<R> => {
    const fromMs = performance.now();
    try {
      return await work(...args);
    } finally {
      intervals.push({ name: nameOf(...args), fromMs, toMs: performance.now() });
    }
  };

const recording = ({
  clock,
  transport,
  balancers,
  source,
  spool,
  http,
  operator,
  ...rest
}: Ports): Ports => ({
  ...rest,
  clock: {
    nowMs: () => clock.nowMs(),
    // Between two heartbeats nothing is waited for.
    sleep: (ms, signal) =>
      ms >= 10_000 ? clock.sleep(ms, signal) : recorded(() => clock.sleep(ms, signal))(),
  },
  transport: {
    run: recorded(
      (host, command, options) => transport.run(host, command, options),
      (_, { name }) => name,
    ),
    connect: recorded((host, to, signal) => transport.connect(host, to, signal)),
    close: () => transport.close(),
    counts: () => transport.counts(),
  },
  balancers: balancers.map((balancer) => ({
    name: balancer.name,
    hosts: balancer.hosts,
    capabilities: balancer.capabilities,
    observe: recorded((signal) => balancer.observe(signal)),
    change: recorded((changes, signal) => balancer.change(changes, signal)),
    shift: recorded((changes, signal) => balancer.shift(changes, signal)),
    flip: recorded((to, signal) => balancer.flip(to, signal)),
    count: recorded((signal) => balancer.count(signal)),
    describe: (change) => balancer.describe(change),
    close: () => balancer.close(),
  })),
  spool,
  source: {
    resolve: recorded((ref, signal) => source.resolve(ref, signal)),
    compare: recorded((from, to) => source.compare(from, to)),
    build: recorded((release, options) => source.build(release, options)),
    describe: () => source.describe(),
  },
  http: {
    request: recorded((question, signal) => http.request(question, signal)),
  },
  operator: {
    name: operator.name,
    host: operator.host,
    run: recorded((command, options) => operator.run(command, options)),
  },
});

const config = filesConfig({ cwd: process.cwd(), env: process.env });
const site = await config.load('production', {});
const ports = await createPorts(site, { emit: () => {}, env: process.env });
const strategy = await config.strategy(site.strategy);
const startMs = performance.now();
const report = await deploy(
  {
    site,
    strategy,
    nodes: null,
    signal: new AbortController().signal,
    confirm: async () => true,
    decide: null,
    skipUnreachable: false,
    withoutQuorum: false,
    ref: site.source.ref,
  },
  recording(ports),
);
const tookMs = performance.now() - startMs;
await ports.close();
if (report.outcome !== 'done') throw new Error(`the recorded run ended: ${JSON.stringify(report)}`);
console.log(JSON.stringify({ tookMs, intervals }));
