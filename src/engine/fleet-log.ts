import { type DeployError, failure, lockStaleMs } from '../core/errors.ts';
import { type FleetEntry, type LoggedEntry, openRun, standing } from '../core/fleet-log.ts';
import type { FleetPorts } from '../ports.ts';

/** A run's hold on a fleet: while its last entry is the last that stands, nobody else changes anything. */
export interface FleetHold {
  /** What was written last. */
  entry(): FleetEntry;
  /** Writes how it is now. Rejects with `FLEET_LOST` if another run came in between. */
  write(change: Partial<Pick<FleetEntry, 'state' | 'why'>>): Promise<void>;
  /** Rejects with `FLEET_LOST` if it is no longer this run's, and shows that the run lives. */
  renew(): Promise<void>;
}

/** Takes a fleet that nobody has. Rejects with `FLEET_LOCKED`. */
export async function takeFleet(
  ports: FleetPorts,
  intent: FleetEntry['intent'],
  signal: AbortSignal,
): Promise<FleetHold> {
  const log = await ports.fleet.log.read(signal);
  const open = openRun(log);
  if (open) throw lockedBy(ports, open);
  return hold(ports, log, { ...entryOf(ports), intent, state: 'under way', why: null }, signal);
}

/** Takes a fleet over from the run that has it, which must be dead, or held, unless `force` says otherwise. */
export async function takeOverFleet(
  ports: FleetPorts,
  open: LoggedEntry,
  { force, signal }: { readonly force: boolean; readonly signal: AbortSignal },
): Promise<FleetHold> {
  if (open.state !== 'held' && !force) await mustBeSilent(ports, open, signal);
  const log = await ports.fleet.log.read(signal);
  if (openRun(log)?.number !== open.number) throw lost(ports);
  return hold(ports, log, { ...open, ...entryOf(ports) }, signal);
}

/** Who is alive shows it: clocks of two machines are not compared. */
async function mustBeSilent(ports: FleetPorts, entry: FleetEntry, signal: AbortSignal): Promise<void> {
  const { fleet, clock } = ports;
  const before = await fleet.log.lastBeat(signal);
  await clock.sleep(lockStaleMs, signal);
  signal.throwIfAborted();
  if ((await fleet.log.lastBeat(signal)) !== before)
    throw failure('FLEET_HOLDER_ALIVE', { fleet: fleet.name, entry });
}

const entryOf = ({ operator, clock }: FleetPorts): Pick<FleetEntry, 'by' | 'atMs'> => ({
  by: operator.name,
  atMs: clock.nowMs(),
});

async function hold(
  ports: FleetPorts,
  log: readonly LoggedEntry[],
  first: FleetEntry,
  signal: AbortSignal,
): Promise<FleetHold> {
  const { fleet, clock, random } = ports;
  let entry = plain(first);
  let number = 0;
  let tried: FleetEntry | null = null;
  let beatenAtMs = Number.NEGATIVE_INFINITY;
  const append = async (
    next: FleetEntry,
    seen: readonly LoggedEntry[],
    attempts = attemptsMax,
  ): Promise<void> => {
    const after = Math.max(0, ...seen.map((one) => one.number));
    tried = next;
    const got = await fleet.log.append(next, after, signal);
    if (got === after + 1) {
      number = got;
      entry = next;
      return;
    }
    // Somebody else wrote as well: an entry that says nothing, or one that came first.
    const now = await fleet.log.read(signal);
    if (attempts === 1 || lastOf(now) !== lastOf(seen))
      throw number === 0 ? refusal(ports, now) : lost(ports);
    await append(next, now, attempts - 1);
  };
  /** What was written although the answer was lost is this run's too. */
  const mine = async (): Promise<readonly LoggedEntry[]> => {
    const now = await fleet.log.read(signal);
    const last = standing(now).at(-1);
    if (last === undefined || last.number <= number) return now;
    if (tried === null || !isDeepEqual(plain(last), tried)) throw lost(ports);
    number = last.number;
    entry = tried;
    return now;
  };
  await append(entry, log);
  return {
    entry: () => entry,
    async write(change) {
      const seen = await mine();
      const next = { ...entry, ...change };
      if (!isDeepEqual(next, entry)) await append({ ...next, atMs: clock.nowMs() }, seen);
    },
    async renew() {
      await mine();
      if (clock.nowMs() - beatenAtMs < lockStaleMs / 3) return;
      await fleet.log.beat(`${number} ${random.hex(4)}`, signal);
      beatenAtMs = clock.nowMs();
    },
  };
}

const attemptsMax = 5;

/** Shows that the run lives for as long as the work goes on. What goes wrong with that, the next step finds out. */
export async function whileAlive<T>(
  { clock }: Pick<FleetPorts, 'clock'>,
  hold: FleetHold,
  work: () => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const beating = (async () => {
    while (!over.signal.aborted) {
      await clock.sleep(lockStaleMs / 3, over.signal);
      if (!over.signal.aborted) await hold.renew().catch(() => {});
    }
  })();
  try {
    return await work();
  } finally {
    over.abort();
    await beating;
  }
}

const lastOf = (log: readonly LoggedEntry[]): number => standing(log).at(-1)?.number ?? 0;

const isDeepEqual = (a: FleetEntry, b: FleetEntry): boolean => JSON.stringify(a) === JSON.stringify(b);

const plain = ({ intent, by, atMs, state, why }: FleetEntry): FleetEntry => ({
  intent,
  by,
  atMs,
  state,
  why,
});

const lost = ({ fleet }: FleetPorts): DeployError => failure('FLEET_LOST', { fleet: fleet.name });

const lockedBy = ({ fleet }: FleetPorts, entry: FleetEntry): DeployError =>
  failure('FLEET_LOCKED', { fleet: fleet.name, entry: plain(entry) });

function refusal(ports: FleetPorts, log: readonly LoggedEntry[]): DeployError {
  const open = openRun(log);
  return open ? lockedBy(ports, open) : lost(ports);
}
