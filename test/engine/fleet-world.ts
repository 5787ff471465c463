import type { CommandLine } from '../../src/core/command.ts';
import type { Event } from '../../src/core/event.ts';
import type { GroupState, ImageId } from '../../src/core/fleet.ts';
import type { FleetPorts, OperatorRunOptions } from '../../src/ports.ts';
import { virtualClock } from '../../src/simulator/clock.ts';
import type { FleetWorld } from '../../src/simulator/fleet-world.ts';
import { type GroupWorldOptions, groupWorld } from '../../src/simulator/group-world.ts';
import { seededRandom } from '../../src/simulator/random.ts';

export interface InFleet {
  readonly ports: FleetPorts;
  readonly world: FleetWorld<GroupState>;
  readonly events: Event[];
  /** What hooks ran here; `fail` among the words of a command makes it fail. */
  readonly commands: readonly RanHere[];
}

interface RanHere {
  readonly command: CommandLine;
  readonly env: OperatorRunOptions['env'];
  /** What the group made machines of at that time. */
  readonly at: ImageId;
}

const dayMs = 24 * 3_600_000;

/**
 * Lets `work` go on in a simulated group of 3 instances, whose time passes only there; within a day it has ended. `loads`: it loads
 * modules, which takes time of this world.
 */
export async function inFleet<T>(
  work: (fleet: InFleet) => Promise<T>,
  { loads = false, ...options }: Partial<GroupWorldOptions> & { readonly loads?: boolean } = {},
): Promise<T> {
  const clock = virtualClock(1_800_000_000_000, () => new Promise((resolve) => setImmediate(resolve)));
  const random = seededRandom(7);
  const world = groupWorld({
    clock,
    random,
    capacity: { min: 2, desired: 3, max: 4 },
    replace: 'sluice',
    servingMin: 3,
    image: 'good',
    suspended: [],
    isChecked: true,
    ...options,
  });
  const events: Event[] = [];
  const commands: RanHere[] = [];
  const ports: FleetPorts = {
    clock,
    random,
    http: { request: async (question) => world.answer(question) },
    operator: {
      name: 'ann@laptop',
      run: async (command, { env }) => {
        commands.push({ command, env, at: world.state().place.image });
        return { status: command.includes('fail') ? 1 : 0, stdout: '', stderr: '' };
      },
    },
    emit: (event) => void events.push(event),
    fleet: world.fleet,
  };
  let isOver = false;
  const working = work({ ports, world, events, commands }).finally(() => {
    isOver = true;
    clock.woken();
  });
  working.catch(() => {});
  let ended = false;
  while (!ended && clock.passedMs() < dayMs) {
    if (loads) await new Promise((resolve) => setTimeout(resolve, 1));
    const untilMs = loads ? clock.passedMs() + 2000 : dayMs;
    ended = await clock.run({ isOver: () => isOver, untilMs });
  }
  world.stop();
  if (!ended) throw new Error(['it did not end', ...world.trace].join('\n'));
  return working;
}
