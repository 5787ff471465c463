import { isDeployError, list } from '../core/errors.ts';
import type { AddressState, ServerState } from '../core/observation.ts';
import type { BalancerName, Site } from '../core/site.ts';
import type { Balancer, BalancerView, Ports } from '../ports.ts';
import { readAddresses, unreachableMember } from './observe.ts';
import { type Absence, type Absences, emit } from './run.ts';

/** What a run works with. */
export interface LookingPast {
  readonly ports: Ports;
  readonly absences: Absences;
}

/** The ports of a site whose balancers are looked past while they are absent, where their settings allow that. */
export function lookingPast(site: Site, ports: Ports): LookingPast {
  const absences: Absences = new Map();
  const yielding = new Set(
    site.balancers.flatMap(({ name, onUnreachable }) => (onUnreachable === 'go on' ? [name] : [])),
  );
  const balancers = ports.balancers.map((balancer) =>
    yielding.has(balancer.name) ? yieldingBalancer(balancer, ports, absences) : balancer,
  );
  return { ports: { ...ports, balancers }, absences };
}

/** Nothing is seen of it, and nothing told to it, while it is absent. */
const yieldingBalancer = (balancer: Balancer, ports: Ports, absences: Absences): Balancer => {
  const isAbsent = (): boolean => absences.has(balancer.name);
  let seen: readonly ServerState[] = [];
  return {
    ...balancer,
    async observe(signal) {
      if (!isAbsent()) {
        const view = await balancer.observe(signal);
        if (isWhole(view)) seen = view.servers;
        if (!(await goesAbsent({ balancer, seen }, view, ports, absences))) return view;
      }
      askAgain(absences.get(balancer.name)!);
      return nothing;
    },
    change: async (changes, signal) => (isAbsent() ? undefined : balancer.change(changes, signal)),
    shift: async (changes, signal) => (isAbsent() ? undefined : balancer.shift(changes, signal)),
    flip: async (to, signal) => (isAbsent() ? undefined : balancer.flip(to, signal)),
    ...(balancer.share
      ? {
          share: async (to, percent, signal) =>
            isAbsent() ? undefined : balancer.share?.(to, percent, signal),
        }
      : {}),
    count: async (signal) => (isAbsent() ? nothing : balancer.count(signal)),
    ...(balancer.webSockets ? { webSockets: yieldingCounter(balancer.webSockets, isAbsent) } : {}),
  };
};

const yieldingCounter = (
  webSockets: NonNullable<Balancer['webSockets']>,
  isAbsent: () => boolean,
): NonNullable<Balancer['webSockets']> => ({
  count: async (signal) => (isAbsent() ? new Map() : webSockets.count(signal)),
  close: async (servers) => (isAbsent() ? undefined : webSockets.close(servers)),
});

const nothing = { members: [], servers: [] } as const;

const isWhole = ({ members }: BalancerView): boolean =>
  members.every(({ unreachable }) => unreachable === null);

async function goesAbsent(
  { balancer, seen }: Pick<Absence, 'balancer' | 'seen'>,
  { members }: BalancerView,
  ports: Ports,
  absences: Absences,
): Promise<boolean> {
  const lost = members.find(({ unreachable }) => unreachable !== null);
  if (lost === undefined) return false;
  const addresses = await readAddresses(ports);
  const active = holdersBeside(balancer.name, ports, addresses);
  if (active === null || active.some((name) => absences.has(name))) return false;
  if (!(await areReadable(active, ports))) return false;
  const why = unreachableMember(lost).message;
  const sinceMs = ports.clock.nowMs();
  absences.set(balancer.name, { balancer, why, sinceMs, seen, isBack: false, probe: null });
  emit(ports, {
    type: 'note',
    level: 'warning',
    text: `${why} It is gone on without ${balancer.name} (onUnreachable): ${heldText(balancer.name, ports, addresses)}.`,
  });
  return true;
}

/**
 * Of each address that the balancer could hold, the one other balancer that is seen to hold it; null: it could hold none, so that
 * nothing shows who gets the traffic, or one is not seen at one other.
 */
export function holdersBeside(
  balancer: BalancerName,
  ports: Ports,
  addresses: readonly AddressState[],
): readonly BalancerName[] | null {
  const own = statesOf(balancer, ports, addresses);
  const isElsewhere = ({ holders }: AddressState): boolean => holders.length === 1 && holders[0] !== balancer;
  return own.length > 0 && own.every(isElsewhere) ? own.flatMap(({ holders }) => holders) : null;
}

const statesOf = (
  balancer: BalancerName,
  ports: Ports,
  addresses: readonly AddressState[],
): readonly AddressState[] =>
  addresses.filter(({ address }) =>
    ports.addresses.some(({ name, machines }) => name === address && machines.includes(balancer)),
  );

const heldText = (balancer: BalancerName, ports: Ports, addresses: readonly AddressState[]): string =>
  list(
    statesOf(balancer, ports, addresses).map(
      ({ address, ip, holders }) => `${address} (${ip}) is held by ${list(holders)}`,
    ),
  );

async function areReadable(names: readonly BalancerName[], { balancers }: Ports): Promise<boolean> {
  const views = await Promise.all(
    balancers.filter(({ name }) => names.includes(name)).map((balancer) => balancer.observe()),
  );
  return views.every(isWhole);
}

/** In the background, one question at a time: a machine that is off takes long not to answer. */
function askAgain(absence: Absence): void {
  absence.probe ??= absence.balancer
    .observe()
    .then((view) => {
      absence.isBack = isWhole(view);
    })
    .catch((error: unknown) => {
      if (!isDeployError(error)) throw error;
    })
    .finally(() => {
      absence.probe = null;
    });
}

/** Asks those that are absent, and waits for their answers. */
export async function askOnceMore(absences: Absences): Promise<void> {
  for (const absence of absences.values()) askAgain(absence);
  await noMoreQuestions(absences);
}

/** Waits for the questions that are under way, so that none goes on behind a run that ended. */
export async function noMoreQuestions(absences: Absences): Promise<void> {
  await Promise.allSettled([...absences.values()].map(({ probe }) => probe));
}
