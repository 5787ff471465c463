import type { FleetEntry } from './fleet-log.ts';
import type { LockState } from './observation.ts';

/** What an exit status of the CLI means; the table of the README is made from it. */
export const exitStatuses = {
  0: 'done',
  1: 'failed; the site is back as it was',
  2: 'refused; nothing was touched (bad config, failed preflight, a plan that is not safe)',
  3: 'failed, and needs a person; the message says what is where',
  4: 'held; waiting for promote or abort',
  5: 'locked by another run',
  6: 'done in part; nodes that were left out are behind, and sluice sync brings them on',
  130: 'interrupted by Ctrl-C; every node is in a safe state',
  143: 'interrupted by SIGTERM; every node is in a safe state',
} as const;
export type ExitStatus = keyof typeof exitStatuses;

/** One row for each expected failure: how it reads, what to do next. The exit status is the run's to say. */
const catalogue = {
  USAGE: {
    message: (d: { problem: string }) => d.problem,
    hint: (d: { hint?: string }) => d.hint ?? null,
  },
  FILE_EXISTS: {
    message: (d: { file: string }) => `${d.file} is there already, and is never overwritten.`,
    hint: () => null,
  },
  NODE_UNKNOWN: {
    message: (d: { node: string; known: readonly string[]; nearest: string | null }) =>
      `There is no node ${d.node}; there are ${list(d.known)}.`,
    hint: (d: { nearest: string | null }) => (d.nearest === null ? null : `did you mean ${d.nearest}?`),
  },
  NODE_UNBALANCED: {
    message: (d: { nodes: readonly string[] }) => `No balancer of the site has ${list(d.nodes)}.`,
    hint: () => null,
  },
  NODES_UNLISTED: {
    message: (d: { list: string; reason: string }) =>
      `The list of nodes could not be read from ${d.list}: ${d.reason.replace(/\.$/, '')}.`,
    hint: () => 'nothing was touched: without its list nobody knows which nodes the site has',
  },
  CONFIG_NOT_FOUND: {
    message: (d: { searched: string; wanted: string }) =>
      `No config of ${d.wanted} was found in ${d.searched}.`,
    hint: (d: { sites?: readonly string[] }) =>
      d.sites?.length
        ? `${list(d.sites)} stand here: name the site and its stage, as in ${d.sites[0]}/production.`
        : 'sluice init writes a commented one.',
  },
  CONFIG_UNREADABLE: {
    message: (d: { file: string; reason: string }) => `${d.file} could not be read: ${d.reason}`,
    hint: () => null,
  },
  CONFIG_INVALID: {
    message: (d: { file: string; problems: readonly string[] }) =>
      [`${d.file} has ${count(d.problems.length, 'problem')}:`, ...d.problems.map((p) => `  ${p}`)].join(
        '\n',
      ),
    hint: () => null,
  },
  STAGE_UNKNOWN: {
    message: (d: { stage: string; known: readonly string[]; file: string }) =>
      `${d.file} has no stage ${d.stage}; it has ${list(d.known)}.`,
    hint: (d: { nearest?: string | null }) => (d.nearest ? `did you mean ${d.nearest}?` : null),
  },
  NODE_UNREACHABLE: {
    message: (d: { node: string; address: string; reason: string }) =>
      `${d.node} (${d.address}) could not be reached: ${d.reason}.`,
    hint: (d: { node: string; address: string }) => `try it by hand: ssh ${d.address}`,
  },
  HOST_KEY_UNKNOWN: {
    message: (d: { node: string; address: string; fingerprint: string; file: string }) =>
      `The host key of ${d.node} (${d.address}) is not known: ${d.fingerprint} is not in ${d.file}.`,
    hint: () =>
      "compare the fingerprint with the machine's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then add it with ssh-keyscan, or set ssh.hostKeys to accept-new.",
  },
  HOST_KEY_CHANGED: {
    message: (d: { node: string; address: string; fingerprint: string; place: string }) =>
      `The host key of ${d.node} (${d.address}) has changed: it shows ${d.fingerprint}, but ${d.place} has another.`,
    hint: (d: { place: string }) =>
      `somebody may be listening in. If the machine was rebuilt, remove ${d.place} and add the new key.`,
  },
  HOST_KEY_REVOKED: {
    message: (d: { node: string; address: string; fingerprint: string; place: string }) =>
      `The host key of ${d.node} (${d.address}), ${d.fingerprint}, is revoked by ${d.place}.`,
    hint: () => 'whoever has that key may be listening in. Give the machine a new one.',
  },
  AUTH_REFUSED: {
    message: (d: { node: string; user: string; address: string; tried: string }) =>
      `${d.node} refused the login of ${d.user}@${d.address}; tried ${d.tried}.`,
    hint: () => 'set ssh.keys or start an agent, and see that the key is in authorized_keys.',
  },
  OUTCOME_UNKNOWN: {
    message: (d: { node: string; command: string; reason: string }) =>
      `The connection to ${d.node} was lost during "${d.command}" (${d.reason}): it is not known whether that was done.`,
    hint: () => null,
  },
  COMMAND_TIMEOUT: {
    message: (d: { node: string; command: string; withinMs: number }) =>
      `"${d.command}" on ${d.node} did not end within ${d.withinMs} ms.`,
    hint: () => null,
  },
  OUTPUT_TOO_LONG: {
    message: (d: { node: string; command: string; bytesMax: number }) =>
      `"${d.command}" on ${d.node} was ended: it wrote more than ${d.bytesMax} bytes.`,
    hint: () => null,
  },
  COMMAND_FAILED: {
    message: (d: { node: string; command: string; status: number; output: string }) =>
      `"${d.command}" on ${d.node} ended with status ${d.status}${quoted(d.output)}`,
    hint: () => null,
  },
  BALANCER_UNREACHABLE: {
    message: (d: { balancer: string; address: string; reason: string }) =>
      `Balancer ${d.balancer} (${d.address}) could not be reached: ${d.reason}.`,
    hint: () => null,
  },
  PACKAGE_MISSING: {
    message: (d: { user: string; name: string }) =>
      `The package ${d.name}, which ${d.user} needs, is not installed.`,
    hint: (d: { name: string }) => `install it beside sluice: npm install ${d.name}`,
  },
  BALANCER_SERVER_UNKNOWN: {
    message: (d: { balancer: string; server: string; node: string; known: readonly string[] }) =>
      `Balancer ${d.balancer} has no server ${d.server} for ${d.node}; it has ${list(d.known)}.`,
    hint: (d: { balancer: string }) =>
      `name the server as the node, or map it: balancers.${d.balancer}.servers: { <node>: <server> }.`,
  },
  BALANCER_REFUSED: {
    message: (d: { balancer: string; request: string; answer: string }) =>
      `Balancer ${d.balancer} refused "${d.request}": ${d.answer}`,
    hint: () => null,
  },
  BALANCER_NOT_APPLIED: {
    message: (d: { balancer: string; server: string; wanted: string; seen: string }) =>
      `Balancer ${d.balancer} took the change of ${d.server} to ${d.wanted}, but it reads back as ${d.seen}.`,
    hint: () => null,
  },
  BALANCER_UNFIT: {
    message: (d: { balancer: string; member: string; reason: string; remedy: string }) =>
      `Balancer ${d.balancer} (${d.member}) cannot do what sluice needs: ${d.reason}.`,
    hint: (d: { remedy: string }) => d.remedy,
  },
  BALANCER_WEIGHT_COARSE: {
    message: (d: { balancer: string; server: string; wanted: number; configured: number; nearest: number }) =>
      `Balancer ${d.balancer} cannot give ${d.server} ${d.wanted} % of its weight: of the ${d.configured} that it is configured with that would be ${d.nearest} %.`,
    hint: () =>
      "give the servers a weight of 100 in the balancer's own configuration: it allows each percent.",
  },
  ADDRESS_NOT_MOVED: {
    message: (d: { address: string; ip: string; to: string; withinMs: number; holders: readonly string[] }) =>
      `Address ${d.address} (${d.ip}) was told to move to ${d.to}, and ${d.withinMs} ms later it is seen at ${list(d.holders)}.`,
    hint: () => 'sluice balancers shows who holds it.',
  },
  ADDRESS_REFUSED: {
    message: (d: { address: string; ip: string; to: string; reason: string }) =>
      `Address ${d.address} (${d.ip}) cannot be moved to ${d.to}: ${d.reason}.`,
    hint: () => null,
  },
  ADDRESS_BOUND: {
    message: (d: { address: string; constraints: readonly string[] }) =>
      `The move of address ${d.address} left ${list(d.constraints)} behind, which stands in the way of the next failover.`,
    hint: () => 'pcs constraint remove takes it away.',
  },
  DRAIN_TIMEOUT: {
    message: (d: { node: string; withinMs: number; sessions: string }) =>
      `${d.node} still had ${d.sessions} ${d.withinMs} ms after it was drained.`,
    hint: () => 'raise drain.timeout, or set drain.onTimeout to force to cut such requests.',
  },
  ENABLE_TIMEOUT: {
    message: (d: { node: string; withinMs: number; seen: string }) =>
      `${d.node} was enabled, but ${d.withinMs} ms later not every balancer sends it traffic: ${d.seen}.`,
    hint: () => "look at the balancer's own health check of this node.",
  },
  HTTP_UNANSWERED: {
    message: (d: { url: string; reason: string }) => `${d.url} did not answer: ${d.reason}.`,
    hint: () => null,
  },
  CHECK_FAILED: {
    message: (d: { node: string; url: string; attempts: number; expected: string; answer: string }) =>
      `${d.node} failed its check: ${d.url} was expected to answer ${d.expected}, after ${count(d.attempts, 'attempt')} it answered ${d.answer}.`,
    hint: () => null,
  },
  CHECK_TIMEOUT: {
    message: (d: { node: string; url: string; withinMs: number; expected: string; answer: string }) =>
      `${d.node} ran out of time: ${d.url} did not answer ${d.expected} within the timeout of ${d.withinMs} ms (last answer: ${d.answer}).`,
    hint: () => 'if the application needs longer to start, raise the timeout of the check.',
  },
  WRONG_RELEASE: {
    message: (d: { node: string; url: string; expected: string; answer: string }) =>
      `${d.node} still serves an old release: ${d.url} was expected to show ${d.expected}, it answered ${d.answer}.`,
    hint: () =>
      'its code cache holds the old paths: add a reload to activate, such as systemctl reload php-fpm.',
  },
  PREFLIGHT: {
    message: (d: { problems: readonly string[] }) =>
      [
        `The site is not ready (${count(d.problems.length, 'problem')}):`,
        ...d.problems.map((p) => `  ${p}`),
      ].join('\n'),
    hint: () => null,
  },
  PLAN_UNSAFE: {
    message: (d: { strategy: string; problems: readonly string[] }) =>
      [`The plan of strategy ${d.strategy} is not safe:`, ...d.problems.map((p) => `  ${p}`)].join('\n'),
    hint: () => null,
  },
  FLOOR_AT_RISK: {
    message: (d: { nodes: readonly string[]; serving: number; servingMin: number }) =>
      `Draining ${list(d.nodes)} would leave ${d.serving} nodes serving, and servingMin is ${d.servingMin}.`,
    hint: () => 'sluice status shows which nodes do not serve now.',
  },
  LOCKED: {
    message: (d: { node: string; lock: LockState }) =>
      `${d.lock.holder} holds the lock (on ${d.node}) since ${d.lock.startedAt}: ${d.lock.reason}, from ${d.lock.host}.`,
    hint: (d: { lock: LockState }) =>
      d.lock.held
        ? 'it is held: sluice promote goes on, sluice abort goes back to the release before.'
        : d.lock.silentMs > lockStaleMs
          ? `its last heartbeat was ${Math.round(d.lock.silentMs / 1000)} s ago, so that run is dead: sluice status shows what it left, sluice resume finishes it, sluice abort goes back to the release before.`
          : 'that run is alive: wait for it to end.',
  },
  LOCK_RACE: {
    message: (d: { node: string }) => `Another run took the lock on ${d.node} at the same moment.`,
    hint: () => 'wait for it to end.',
  },
  NO_QUORUM: {
    message: (d: { held: number; voters: number; missing: readonly string[] }) =>
      `Only ${d.held} of ${d.voters} machines could be locked, and more than half must be: ${list(d.missing)} could not.`,
    hint: (d: { flag: string }) =>
      `${d.flag} goes on all the same, and is written to the history: be sure that no other run is under way. Witnesses in the config prevent this.`,
  },
  TOO_MANY_UNREACHABLE: {
    message: (d: { nodes: readonly string[]; failuresMax: number; reasons: readonly string[] }) =>
      [
        `${list(d.nodes)} cannot be reached, and failuresMax lets ${count(d.failuresMax, 'node')} be left out:`,
        ...d.reasons.map((reason) => `  ${reason}`),
      ].join('\n'),
    hint: (d: { nodes: readonly string[] }) => `mend them first, or say --failures-max ${d.nodes.length}.`,
  },
  FLEET_MIXED: {
    message: (d: { releases: readonly string[] }) =>
      `There is no one live release to bring others to: as many nodes run ${list(d.releases)}.`,
    hint: () => 'say which: sluice sync --to RELEASE; or bring all to one by a deploy or a rollback.',
  },
  SYNC_BACKWARDS: {
    message: (d: { older: string; newer: string }) =>
      `Most nodes run ${d.older}, and never had ${d.newer}, which others serve: they may have come up from an old image.`,
    hint: (d: { newer: string }) => `say which: sluice sync --to ${d.newer}, or another release`,
  },
  NODE_BUSY: {
    message: (d: { node: string }) =>
      `A command that an earlier run began is still under way on ${d.node}, and must end first.`,
    hint: (d: { node: string; deployTo: string }) =>
      `wait for its end, or see there what it is: fuser -v ${d.deployTo}/.sluice/busy`,
  },
  LOCK_LOST: {
    message: (d: { node: string; run: string }) =>
      `Run ${d.run} no longer holds the lock on ${d.node}: somebody broke it, and this run changes nothing more.`,
    hint: () => 'sluice history says who broke it; sluice status shows what is where.',
  },
  NOTHING_TO_RESUME: {
    message: () => 'No run is under way, dead or alive: no node is locked.',
    hint: () => null,
  },
  NOT_RESUMABLE: {
    message: (d: { lock: LockState }) =>
      `The lock of ${d.lock.holder} (${d.lock.reason}) does not say what was set out to do.`,
    hint: () => 'sluice unlock frees it; sluice status shows what is where.',
  },
  HOLDER_ALIVE: {
    message: (d: { lock: LockState }) =>
      `${d.lock.holder} (from ${d.lock.host}) may still be at it: ${d.lock.reason}, last heartbeat ${Math.round(d.lock.silentMs / 1000)} s ago.`,
    hint: () =>
      `wait until it has been silent for ${lockStaleMs / 1000} s, or say --force: that run then changes nothing any more.`,
  },
  HELD: {
    message: (d: { why: string }) => `The run is held: ${d.why}.`,
    hint: () => 'sluice promote goes on, sluice abort goes back to the release before.',
  },
  NOT_HELD: {
    message: (d: { lock: LockState | null }) =>
      d.lock === null
        ? 'Nothing is held: no node is locked.'
        : `The run of ${d.lock.holder} (${d.lock.reason}) is not held.`,
    hint: (d: { lock: LockState | null }) =>
      d.lock === null ? null : 'sluice status says how it is; sluice resume finishes a run that died.',
  },
  BAKE_FAILED: {
    message: (d: { name: string; node: string; seen: string }) =>
      `${d.node} stopped serving during the hold ${d.name}: ${d.seen}.`,
    hint: () => null,
  },
  PREVIEW_FAILED: {
    message: (d: { url: string; expected: string; answer: string; withinMs: number }) =>
      `The preview does not show the new release: ${d.url} did not answer ${d.expected} within ${d.withinMs} ms (last answer: ${d.answer}).`,
    hint: () =>
      'the balancer must send what is asked there, with the headers of preview, to the pool without traffic.',
  },
  BAKE_UNPROVED: {
    message: (d: { name: string; node: string; answer: string }) =>
      `${d.node} no longer answered its checks during the hold ${d.name}: ${d.answer}.`,
    hint: () => null,
  },
  BAKE_WORSE: {
    message: (d: { name: string; reason: string }) =>
      `Hold ${d.name} found more errors than there were before the flip. ${d.reason}`,
    hint: () => null,
  },
  CANARY_FAILED: {
    message: (d: { name: string; reason: string }) => `Hold ${d.name} found the release worse. ${d.reason}`,
    hint: () => null,
  },
  BALANCER_WITHOUT_WEIGHTS: {
    message: (d: { balancer: string; nodes: readonly string[] }) =>
      `The plan sets weights of ${list(d.nodes)}, and balancer ${d.balancer} cannot.`,
    hint: () => 'leave weight out of the steps of strategy canary.',
  },
  BALANCER_WITHOUT_SHARES: {
    message: (d: { pool: string; balancers: readonly string[] }) =>
      `The plan sends a part of the traffic to pool ${d.pool}, and not every balancer can: ${list(d.balancers)} cannot.`,
    hint: () => 'leave shift out of the strategy: all traffic is then flipped at once.',
  },
  POOLS_ABSENT: {
    message: () => 'The site has no pools, and nothing to flip between.',
    hint: () => 'give each node a pool (nodes: [{ name, pool }]), or choose another strategy.',
  },
  POOLS_DIFFER: {
    message: (d: { seen: readonly string[] }) =>
      `Balancers do not send traffic to one and the same pool: ${list(d.seen)}.`,
    hint: () =>
      'sluice flip brings all of them to the pool with the newer release, sluice flip --back to the one with the older.',
  },
  POOL_NOT_WHOLE: {
    message: (d: { pool: string; seen: readonly string[] }) =>
      `Pool ${d.pool} does not have one release on all of its nodes: ${list(d.seen)}.`,
    hint: () => 'sluice deploy renews the pool that gets no traffic, and then flips to it.',
  },
  FLIP_NOWHERE: {
    message: (d: { pool: string; release: string; back: boolean }) =>
      `Pool ${d.pool} gets all traffic already, and has the ${d.back ? 'older' : 'newer'} release (${d.release}).`,
    hint: (d: { back: boolean }) =>
      d.back ? 'sluice flip leads to the newer one.' : 'sluice flip --back leads to the older one.',
  },
  POOL_IDLE: {
    message: (d: { pool: string; serving: number; servingMin: number }) =>
      `Pool ${d.pool} would serve with ${count(d.serving, 'node')}, and servingMin is ${d.servingMin}.`,
    hint: () => 'sluice status shows what the balancers think of its nodes.',
  },
  POOL_NOT_READY: {
    message: (d: { pool: string; withinMs: number; seen: string }) =>
      `Pool ${d.pool} was proved, but ${d.withinMs} ms later not every balancer finds it healthy: ${d.seen}.`,
    hint: () => "look at the balancer's own health check of these nodes.",
  },
  FLIP_NOT_APPLIED: {
    message: (d: { pool: string; seen: readonly string[] }) =>
      `The flip to ${d.pool} was taken, but reads back otherwise: traffic goes from ${list(d.seen)}.`,
    hint: () => null,
  },
  SITE_CHANGED: {
    message: () =>
      'The site changed between the plan and the lock, so the plan is no longer the one that was shown.',
    hint: () => 'nothing was touched; run the command again.',
  },
  PLAN_FILE_UNFIT: {
    message: (d: { file: string; problem: string }) => `${d.file} cannot be carried out: ${d.problem}.`,
    hint: () => 'sluice plan --out makes one.',
  },
  PLAN_OUTDATED: {
    message: (d: { file: string; differences: readonly string[] }) =>
      [
        `${d.file} is not what would be done now (${count(d.differences.length, 'difference')}):`,
        ...d.differences.map((difference) => `  ${difference}`),
      ].join('\n'),
    hint: () => 'nothing was touched; make a new plan, and have that approved.',
  },
  REF_UNKNOWN: {
    message: (d: { ref: string; url: string; among?: string }) =>
      `${d.url} has no ${d.among ?? 'branch, tag or commit'} ${d.ref}.`,
    hint: (d: { among?: string }) =>
      d.among ? 'sluice seed list shows all images, sluice seed build makes one.' : null,
  },
  SOURCE_UNREACHABLE: {
    message: (d: { url: string; reason: string }) => `${d.url} could not be read: ${d.reason}`,
    hint: () => null,
  },
  FLEET_UNREACHABLE: {
    message: (d: { fleet: string; address: string; reason: string }) =>
      `${d.address} did not answer for ${d.fleet}: ${d.reason}`,
    hint: () => 'see to the way there (region, endpoint, proxy); sluice status then shows if a run is open.',
  },
  FLEET_REFUSED: {
    message: (d: { fleet: string; request: string; answer: string }) =>
      `AWS refused "${d.request}" for ${d.fleet}: ${d.answer}`,
    hint: () =>
      'the README lists the rights that the key or role needs; sluice status shows if a run is open.',
  },
  FLEET_NOT_OPEN: {
    message: (d: { fleet: string; entry: FleetEntry | null }) =>
      d.entry === null
        ? `No run has ${d.fleet}: there is nothing to go on with.`
        : `The ${d.entry.intent.command} of ${d.fleet} by ${d.entry.by} is ${d.entry.state}, and not held.`,
    hint: (d: { entry: FleetEntry | null }) =>
      d.entry === null ? null : 'if that run is dead, sluice resume goes on with it, sluice abort goes back.',
  },
  FLEET_UNFIT: {
    message: (d: { fleet: string; problems: readonly string[] }) =>
      [`The machines of ${d.fleet} cannot be replaced as they are:`, ...d.problems.map((p) => `  ${p}`)].join(
        '\n',
      ),
    hint: () => null,
  },
  FLEET_LOCKED: {
    message: (d: { fleet: string; entry: FleetEntry }) =>
      `A ${d.entry.intent.command} of ${d.fleet} is ${d.entry.state}: ${d.entry.intent.from.image} → ${d.entry.intent.to.image}, by ${d.entry.by}.`,
    hint: () => 'if that run is dead or held, sluice resume goes on with it, sluice abort goes back.',
  },
  FLEET_HOLDER_ALIVE: {
    message: (d: { fleet: string; entry: FleetEntry }) =>
      `The ${d.entry.intent.command} of ${d.fleet} by ${d.entry.by} is alive.`,
    hint: () => 'wait for its end, or say --force: that run then changes nothing any more.',
  },
  FLEET_LOST: {
    message: (d: { fleet: string }) => `Another run took ${d.fleet} over, and this one changes nothing more.`,
    hint: () => 'sluice status shows what is so.',
  },
  FLEET_STUCK: {
    message: (d: { fleet: string; forMs: number; until: string }) =>
      `For ${Math.round(d.forMs / 1000)} s ${d.fleet} got no further: ${d.until}.`,
    hint: () => "the group's activities at AWS say why; fleet.patience is how long that may last.",
  },
  FLEET_FAILED: {
    message: (d: { fleet: string; reason: string }) => `${d.fleet}: ${d.reason}.`,
    hint: () => null,
  },
  FLEET_INSTEAD: {
    message: (d: { what: string; instead: string }) =>
      `${d.what} works on nodes, and the site is a fleet: machines that are made of an image.`,
    hint: (d: { instead: string }) => `${d.instead}.`,
  },
  IMAGE_UNKNOWN: {
    message: (d: { image: string; known: readonly string[] }) =>
      d.known.length === 0
        ? 'There is no image of this site yet that can be used.'
        : `There is no image ${d.image} of this site that can be used; there are ${list(d.known)}.`,
    hint: () => 'sluice seed list shows them, sluice seed build makes one.',
  },
  IMAGE_ELSEWHERE: {
    message: (d: { image: string; of: string | null; fleet: string }) =>
      `Image ${d.image} is of ${d.of === null ? 'no environment' : `environment ${d.of}`}, and ${d.fleet} takes only images of its own instances.`,
    hint: () => 'source.seed.instance must be an instance that the environment itself has started.',
  },
  IMAGE_FAILED: {
    message: (d: { image: string; reason: string }) => `Image ${d.image} was not made: ${d.reason}.`,
    hint: () => null,
  },
  NO_IMAGE_BEFORE: {
    message: (d: { fleet: string; image: string }) => `Nothing says what ${d.fleet} had before ${d.image}.`,
    hint: () => 'say which: sluice rollback --to ami-…; sluice seed list shows all.',
  },
  IMAGE_DAMAGED: {
    message: (d: { image: string; store: string; problems: readonly string[] }) =>
      `Image ${d.image} in ${d.store} is damaged: ${list(d.problems.slice(0, 3))}.`,
    hint: () => 'sluice seed verify names all that is; choose another image, or build it again on the seed.',
  },
  SEED_UNFIT: {
    message: (d: { seed: string; problems: readonly string[] }) =>
      [`No image can be taken of ${d.seed}:`, ...d.problems.slice(0, 20).map((p) => `  ${p}`)].join('\n'),
    hint: () => 'source.seed.exclude leaves out what is no part of a release.',
  },
  SEED_ABSENT: {
    message: () => 'Releases of this site come from git: there are no images.',
    hint: () => 'source: { seed: … } in the config lets them come from a seed server.',
  },
  BUILD_FAILED: {
    message: (d: { command: string; status: string; output: string }) =>
      `The build failed: "${d.command}" ended with ${d.status}${quoted(d.output)}`,
    hint: () => 'no node was touched.',
  },
  ARTIFACT_MISMATCH: {
    message: (d: { node: string; expected: string; got: string }) =>
      `${d.node} received other bytes than were sent: digest ${d.got}, expected ${d.expected}.`,
    hint: () => 'the half-made release was removed there.',
  },
  RELEASE_DIFFERS: {
    message: (d: { node: string; differs: readonly string[] }) =>
      `What ${d.node} made of the image is not the image: ${list(d.differs.slice(0, 3))}.`,
    hint: () => 'the half-made release was removed there.',
  },
  SPOOL_FAILED: {
    message: (d: { file: string; reason: string }) =>
      `${d.file} on this machine could not be written: ${d.reason}`,
    hint: () => null,
  },
  RELEASE_ABSENT: {
    message: (d: { release: string; nodes: readonly string[] }) =>
      `Release ${d.release} is not whole on ${list(d.nodes)}.`,
    hint: () => 'sluice releases shows which node has which release.',
  },
  NO_RELEASE_BEFORE: {
    message: (d: { nodes: readonly string[] }) =>
      `There is nothing to roll back to: ${list(d.nodes)} has no whole, checked release before the live one.`,
    hint: () => 'sluice releases shows which node has which release.',
  },
  IRREVERSIBLE: {
    message: (d: { release: string; closedBy: string }) =>
      `Release ${d.release} must not go live again: the migration of release ${d.closedBy} is irreversible, and the database may no longer fit it.`,
    hint: () =>
      'deploy a release that repairs it (sluice unlock frees a run that is held); or say --across-irreversible if the database fits, for it was restored, say. That is written to the history.',
  },
  HOOK_FAILED: {
    message: (d: { hook: string; point: string; where: string; reason: string }) =>
      `Hook ${d.hook} (${d.point}) failed on ${d.where}: ${d.reason}`,
    hint: () => null,
  },
  CRON_BUSY: {
    message: (d: { jobs: readonly string[]; withinMs: number }) =>
      [`Jobs of the cron did not end within ${d.withinMs} ms:`, ...d.jobs.map((job) => `  ${job}`)].join(
        '\n',
      ),
    hint: () => 'wait for their end, raise cron.timeout, or set cron.onRunning to end.',
  },
  CRON_ELSEWHERE: {
    message: (d: { nodes: readonly string[] }) =>
      `${list(d.nodes)} has the cron of the site, and should not: it is put nowhere else.`,
    hint: () => 'sluice cron shows who has it.',
  },
  CRON_UNFIT: {
    message: (d: { node: string; reason: string }) =>
      `${d.node} cannot have the cron of the site: ${d.reason}.`,
    hint: () => null,
  },
  CRON_UNKNOWN: {
    message: (d: { nodes: readonly string[] }) =>
      `${list(d.nodes)} cannot be read, and no other node has the cron of the site: its jobs may be running there.`,
    hint: () =>
      'see that the machine is off and stays off, then say --fenced: that you said so is recorded in the history. Or let cron.fence show it.',
  },
  CRON_NOT_FENCED: {
    message: (d: { node: string; reason: string }) =>
      `Nothing shows that ${d.node} is off, so the cron stays where it is: ${d.reason}`,
    hint: () =>
      'see for yourself that the machine is off and stays off, then say --fenced: that you said so is recorded in the history.',
  },
  CRON_FILE_INVALID: {
    message: (d: { file: string; release: string; problems: readonly string[] }) =>
      [
        `${d.file} of release ${d.release} has ${count(d.problems.length, 'problem')}:`,
        ...d.problems.map((p) => `  ${d.file}, ${p}`),
      ].join('\n'),
    hint: () => null,
  },
  NODES_FAILED: {
    message: (d: { failures: readonly { node: string; message: string }[] }) =>
      [
        `${count(d.failures.length, 'node')} failed:`,
        ...d.failures.map((f) => `  ${f.node}: ${f.message}`),
      ].join('\n'),
    hint: () => null,
  },
  INTERRUPTED: {
    message: (d: { signal: string }) => `Interrupted by ${d.signal}.`,
    hint: () => null,
  },
} satisfies Record<string, Row>;

/** A lock whose holder was silent for longer is said to be dead. Heartbeats come every third of it. */
export const lockStaleMs = 30_000;

interface Row {
  // biome-ignore lint/suspicious/noExplicitAny: each row types its own details; `Details` reads them back.
  readonly message: (details: any) => string;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  readonly hint: (details: any) => string | null;
}

export type ErrorCode = keyof typeof catalogue;
type Details<C extends ErrorCode> =
  Parameters<(typeof catalogue)[C]['message']> extends [infer D]
    ? D & (Parameters<(typeof catalogue)[C]['hint']> extends [infer H] ? H : unknown)
    : Record<never, never>;

/** A failure that can happen to a correct program. Decide by `code`, never by the text. */
export class DeployError extends Error {
  override readonly name = 'DeployError';
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;
  /** What to do next, one sentence; null if the message says it. */
  readonly hint: string | null;

  constructor(code: ErrorCode, details: Readonly<Record<string, unknown>>, cause?: unknown) {
    const row: Row = catalogue[code];
    super(row.message(details), cause === undefined ? {} : { cause });
    this.code = code;
    this.details = details;
    this.hint = row.hint(details);
  }
}

export const failure = <C extends ErrorCode>(code: C, details: Details<C>, cause?: unknown): DeployError =>
  new DeployError(code, details as Readonly<Record<string, unknown>>, cause);

export const isDeployError = (error: unknown, ...codes: readonly ErrorCode[]): error is DeployError =>
  error instanceof DeployError && (codes.length === 0 || codes.includes(error.code));

/** The message of anything that was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** `1 node`, `2 nodes`. */
export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

/** `a, b and c`; `nothing` for an empty list. */
export function list(items: readonly string[]): string {
  if (items.length === 0) return 'nothing';
  if (items.length === 1) return items[0]!;
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

const quoted = (output: string): string => {
  const text = output.trim();
  return text === ''
    ? ', without output.'
    : `:\n${text
        .split('\n')
        .slice(-20)
        .map((line) => `  | ${line}`)
        .join('\n')}`;
};
