import { isDeployError, list } from '../core/errors.ts';
import type { Report } from '../core/event.ts';
import type { Node, NodeName, PoolName } from '../core/node.ts';
import type { ReleaseId } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import type { Ports } from '../ports.ts';
import { observe, readNode } from './observe.ts';
import type { NodeLists, RunRequest } from './propose.ts';
import { reportNodes } from './report.ts';
import { emit } from './run.ts';

/** A run that is over. */
export interface Past {
  readonly report: Report;
  /** The nodes that the site had when all this began: one that goes on for a dead run has others by now. */
  readonly known: readonly NodeName[];
}

/** Brings nodes to a release; null: to what most of the others have. */
type BringUp<R> = (
  request: R & { readonly nodes: readonly NodeName[]; readonly to: ReleaseId | null },
  ports: Ports,
) => Promise<Report>;

/**
 * The join gate: does a run, and once it has brought its release live reads the lists of nodes again. Nodes that joined
 * meanwhile are brought to that release, checked before they are enabled, until nobody joins any more, or `roundsMax` times.
 * Who has not come up by then is said. A site whose config names all nodes has no such end.
 */
export async function withJoiners<R extends RunRequest>(
  request: R,
  ports: Ports,
  { run, bringUp }: { run(request: R, ports: Ports): Promise<Past>; readonly bringUp: BringUp<R> },
): Promise<Report> {
  const { lists } = request;
  let { report, known } = await run(request, ports);
  if (!lists) return report;
  for (let round = 1; isLive(report) && !request.signal.aborted; round++) {
    const site = await relisted(lists, ports);
    if (site === null) return report;
    const joined = site.nodes.filter(({ name }) => !known.includes(name));
    if (joined.length === 0) return report;
    if (round > roundsMax) return behind(report, joined, 'joined still, and are behind', ports);
    say(ports, `${list(names(joined))} joined meanwhile.`);
    report = await broughtUp({ request, lists, site, joined, known, bringUp }, report, ports);
    known = [...known, ...names(joined)];
  }
  return report;
}

const roundsMax = 3;

const isLive = ({ outcome }: Report): boolean => outcome === 'done' || outcome === 'done in part';

/** Null: the list cannot be read now, which is said. */
async function relisted(lists: NodeLists, ports: Ports): Promise<Site | null> {
  try {
    return await lists.read();
  } catch (error) {
    if (!isDeployError(error)) throw error;
    say(ports, `Whether nodes joined meanwhile nobody knows: ${error.message}`);
    return null;
  }
}

interface Round<R> {
  readonly request: R;
  readonly lists: NodeLists;
  readonly site: Site;
  readonly joined: readonly Node[];
  readonly known: readonly NodeName[];
  readonly bringUp: BringUp<R>;
}

/** A run of its own for each pool, on a site without those that do not answer in time. */
async function broughtUp<R extends RunRequest>(
  { request, lists, site: whole, joined, known, bringUp }: Round<R>,
  before: Report,
  ports: Ports,
): Promise<Report> {
  const silent = await silentOf(whole, joined, await lists.open(whole), request.signal);
  const site = { ...whole, nodes: whole.nodes.filter((node) => !silent.includes(node)) };
  const present = joined.filter((node) => !silent.includes(node));
  let report = silent.length === 0 ? before : behind(before, silent, 'joined, and cannot be reached', ports);
  for (const pool of new Set(present.map((node) => node.pool))) {
    const nodes = present.filter((node) => node.pool === pool);
    const own = await lists.open(site);
    // Whoever agreed to the run agreed to its release on every node.
    const wish = {
      site,
      nodes: names(nodes),
      to: releaseIn(
        before,
        whole.nodes.filter(({ name }) => known.includes(name)),
        pool,
      ),
      confirm: yes,
    };
    try {
      const next = await bringUp({ ...request, ...wish }, own);
      // One that touched nothing may have seen more than the run before it: what is said of the site is read.
      const reported = next.nodes ?? reportNodes(site, await observe(site, own), null);
      report = after(report, { ...next, nodes: reported }, nodes);
    } finally {
      await own.close();
    }
    if (!isLive(report)) return report;
  }
  return report;
}

const yes = async (): Promise<true> => true;
const names = (nodes: readonly Node[]): readonly NodeName[] => nodes.map(({ name }) => name);

/** A machine that was just started may take a while until it answers. */
async function silentOf(
  site: Site,
  joined: readonly Node[],
  ports: Ports & { close(): Promise<void> },
  signal: AbortSignal,
): Promise<readonly Node[]> {
  const deadlineMs = ports.clock.nowMs() + bootMs;
  try {
    for (;;) {
      const states = await Promise.all(joined.map((node) => readNode(site, ports, node)));
      const silent = joined.filter((_, i) => states[i]!.unreachable !== null);
      if (silent.length === 0 || ports.clock.nowMs() >= deadlineMs || signal.aborted) return silent;
      await ports.clock.sleep(2000, signal);
    }
  } finally {
    await ports.close();
  }
}

const bootMs = 60_000;

/** What the nodes of a pool have that the run brought its release to; null: not all the same. */
function releaseIn(
  { nodes, behind }: Report,
  known: readonly Node[],
  pool: PoolName | null,
): ReleaseId | null {
  const own = known
    .filter((node) => node.pool === pool && !behind.includes(node.name))
    .map(({ name }) => name);
  const [release = null, ...others] = new Set(
    (nodes ?? []).filter(({ name }) => own.includes(name)).map((node) => node.release),
  );
  return others.length === 0 ? release : null;
}

/** The release is live all the same where the run brought it. */
function after(before: Report, next: Report, nodes: readonly Node[]): Report {
  const tookMs = before.tookMs + next.tookMs;
  const warnings = [...before.warnings, ...next.warnings];
  if (next.exit === 0) return { ...before, warnings, tookMs, nodes: next.nodes };
  if ([3, 4, 130, 143].includes(next.exit)) return { ...next, warnings };
  return {
    ...before,
    outcome: 'done in part',
    exit: 6,
    failure: next.failure,
    warnings,
    behind: [...before.behind, ...names(nodes)],
    tookMs,
    nodes: next.nodes,
  };
}

function behind(report: Report, nodes: readonly Node[], why: string, ports: Ports): Report {
  const text = `${list(names(nodes))} ${why}: sluice sync brings them to what the others have.`;
  say(ports, text);
  return {
    ...report,
    outcome: 'done in part',
    exit: 6,
    warnings: [...report.warnings, text],
    behind: [...report.behind, ...names(nodes)],
  };
}

const say = (ports: Ports, text: string): void => emit(ports, { type: 'note', level: 'warning', text });
