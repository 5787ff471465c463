import { describe, expect, test } from 'vitest';
import { removeReleases } from '../../src/commands/cleanup.ts';
import type { Fence } from '../../src/commands/fenced.ts';
import { inspect } from '../../src/commands/inspect.ts';
import { layout } from '../../src/commands/layout.ts';
import { acquireLock, breakLock, releaseLock, renewLock } from '../../src/commands/lock.ts';
import { setMaintenance } from '../../src/commands/maintenance.ts';
import { note } from '../../src/commands/note.ts';
import { readHistory } from '../../src/commands/read-history.ts';
import { receive } from '../../src/commands/receive.ts';
import { runHook } from '../../src/commands/run-hook.ts';
import { lookAtStorage, markStorage } from '../../src/commands/storage.ts';
import { switchTo } from '../../src/commands/switch.ts';
import type { CommandResult, NodeCommand } from '../../src/core/command.ts';
import type { Site } from '../../src/core/site.ts';
import { storageProblems } from '../../src/core/storage.ts';
import { virtualClock } from '../../src/simulator/clock.ts';
import { faultsOf, noFaults } from '../../src/simulator/faults.ts';
import type { SimulatedNode } from '../../src/simulator/node.ts';
import { workOf } from '../../src/simulator/node-commands.ts';
import { type SeededRandom, seededRandom } from '../../src/simulator/random.ts';
import { drawNode, revisionOf, startMs } from '../../src/simulator/scenario.ts';
import type { Session } from '../../src/simulator/session.ts';
import { newWorld, type World } from '../../src/simulator/world.ts';
import { artifact, nodeFolder } from '../commands/node-folder.ts';
import { release, releaseId, site as siteOf } from '../core/fleet.ts';
import { nextTurn } from './seeds.ts';

/** A node on which nothing was ever done. */
function newTwin(site: Site): { readonly world: World; readonly node: SimulatedNode } {
  const random = seededRandom(1);
  const node = {
    ...drawNode(random, site.nodes[0]!, { releases: [], startsAtOnce: true, joins: 0 }),
    skewMs: 0,
  };
  const world = newWorld(
    {
      site,
      clock: virtualClock(startMs, nextTurn),
      random,
      faults: faultsOf(noFaults, random),
      nodes: new Map([[node.name, node]]),
      balancers: [],
      addresses: [],
      batchMax: 1,
      isTraced: false,
      repository: { head: revisionOf(1), brokenOn: new Map(), errsAt: new Map() },
    },
    () => {},
  );
  return { world, node };
}

/** Runs to its end at once, whatever time it would take. */
function runOnTwin(
  { world, node }: ReturnType<typeof newTwin>,
  command: NodeCommand,
  digest: string | null,
): CommandResult {
  const by = { name: 'run', run: null, effects: 0 } as unknown as Session;
  const work = workOf({ world, node, by, command, sentAtMs: 0, digestOfInput: () => digest });
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** The same bytes for every release, so that one digest fits all. */
const build = artifact({ 'index.html': 'hello' });

/** A command as the engine might send it, by one of two runs. */
function drawCommand(random: SeededRandom, site: Site): NodeCommand {
  const run = random.pick(['run-1', 'run-2']);
  const one = release(random.integer({ min: 1, max: 3 }));
  const fence: Fence = {
    deployTo: site.deployTo,
    run,
    marks: random.chance(0.3)
      ? [{ release: one.id, mark: random.pick(['checked', 'failed', 'irreversible']) }]
      : [],
    before: random.chance(0.3) ? ['{"state":"begin"}'] : [],
    after: random.chance(0.3) ? ['{"state":"done"}', '{"it\'s":"so"}'] : [],
  };
  const lock = {
    run,
    holder: 'ada@laptop',
    host: 'laptop',
    reason: "it's a deploy",
    startedAt: '2026-01-14T09:30:00.000Z',
    intent: null,
  };
  const hook = {
    hook: 'migrate it',
    point: 'after:prepare',
    command: random.pick(['true', 'false']),
    once: random.chance(0.8),
    onceAs: one.id,
    release: one,
    timeoutMs: 1000,
    closesWayBack: random.pick([false, true, 'true', 'false']),
  } as const;
  const text = JSON.stringify({ at: '2026-01-14T09:30:00.000Z', run, text: 'something' });
  return random.pick<() => NodeCommand>([
    () => acquireLock(site.nodes[0]!, site, lock, random.pick([[], ['run-1'], ['run-2', 'run-3']])),
    () => acquireLock(site.nodes[0]!, site, lock, []),
    () => renewLock(fence),
    () => releaseLock(fence, { logLine: `${run} rolled back to release ${one.id}`, historyLine: text }),
    () => breakLock(site.deployTo, run, text),
    () => note(fence, random.pick([null, [], ['lb web/web1', 'lb web/web 1']])),
    () => receive(fence, site, one, random.chance(0.8) ? build.digest : 'f'.repeat(64)),
    () => receive(fence, site, one, build.digest),
    () => switchTo(fence, site, one),
    () => switchTo(fence, site, one),
    () => runHook(fence, hook),
    () =>
      setMaintenance(fence, null, { to: random.pick(['on', 'off']), text: random.pick([null, 'ada@desk']) }),
    () => removeReleases(fence, [releaseId(1), releaseId(2)]),
    () => readHistory(site.deployTo),
  ])();
}

describe('a simulated node does what a real shell does', () => {
  test.each([1, 2, 3, 4, 5, 6])('over fifty commands of seed %d', (seed) => {
    const random = seededRandom(seed);
    const folder = nodeFolder();
    const twin = newTwin(folder.site);
    const node = folder.site.nodes[0]!;
    const first = acquireLock(
      node,
      folder.site,
      { run: 'run-1', holder: 'a', host: 'b', reason: 'c', startedAt: 'd', intent: null },
      [],
    );
    for (let n = 0; n < 50; n++) {
      const command = n === 0 ? first : drawCommand(random, folder.site);
      const real = folder.run(command, build.bytes);
      const simulated = runOnTwin(twin, command, build.digest);
      const of = `${n}: ${command.name} ${JSON.stringify(command.params)}\n${real.stderr}`;
      expect(simulated.status, of).toBe(real.status);
      if (real.status === 0)
        expect(plain(command.parse(simulated.stdout)), of).toEqual(plain(command.parse(real.stdout)));
      expect(look(folder.site, runOnTwin(twin, inspect(node, folder.site), null).stdout), of).toEqual(
        look(folder.site, folder.run(inspect(node, folder.site)).stdout),
      );
      expect(Object.fromEntries(twin.node.disk.journals), of).toEqual(journalsIn(folder));
    }
  });
});

test('the storage of a simulated site is what the site asks for', () => {
  const shared = { path: '/mnt/shop', kind: 'cephfs', linkedDirs: ['uploads'] } as const;
  const site = siteOf(2, { linkedDirs: ['uploads'], shared });
  const twin = newTwin(site);
  const look = lookAtStorage(site.nodes[0]!, site);
  const storage = look.parse(runOnTwin(twin, look, null).stdout);
  expect(storage.places).toMatchObject([{ path: '/mnt/shop/uploads', state: 'there', isWritable: true }]);
  expect(storageProblems(site, storage, { isMaking: false })).toEqual([]);
  const mark = markStorage(site, ['uploads'], { act: 'see', marker: 'ab' });
  expect(mark.parse(runOnTwin(twin, mark, null).stdout)).toEqual([{ dir: 'uploads', failure: null }]);
});

const journalsIn = (folder: ReturnType<typeof nodeFolder>): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(
    folder
      .list('.sluice/journal')
      .map((run) => [run, folder.read(layout.journal(run)).trimEnd().split('\n')]),
  );

const look = (site: Site, stdout: string): unknown => plain(inspect(site.nodes[0]!, site).parse(stdout));

/** Without what is not the node's own: its time, revisions that no real file has, and what a hook says. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value ?? null, (key, inner) =>
      ['silentMs', 'since', 'revision', 'output'].includes(key) ? undefined : inner,
    ),
  );
