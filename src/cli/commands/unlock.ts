import { failure } from '../../core/errors.ts';
import type { LockState } from '../../core/observation.ts';
import { lockText } from '../../reporters/status-text.ts';
import { type Ask, asking, confirmed, isInteractive, mustBeConfirmable } from '../ask.ts';
import { type Call, type Command, onSite, siteOf, type Work } from '../call.ts';

/** Says whose lock it is, asks, and writes down why it was broken. */
export const unlockCommand: Command = async (call) => {
  mustBeConfirmable(call, 'unlock');
  return onSite(call, await siteOf(call), async ({ site, ports, engine }) => {
    const { stdout } = call.environment;
    const locks = await locksOf({ site, ports, engine }, call.environment.signal);
    stdout.write(locks.length === 0 ? 'No node is locked.\n' : locks.map(lineOf).join(''));
    if (locks.length === 0) return 0;
    const reason = await asking(call.environment, (ask) => agreedReason(call, ask));
    if (reason === null) {
      stdout.write('The lock stays.\n');
      return 2;
    }
    const freed = await engine.unlock(site, ports, { reason });
    stdout.write(`Unlocked: ${freed.map(({ node }) => node).join(', ')}.\n`);
    return 0;
  });
};

interface Held {
  readonly node: string;
  readonly lock: LockState;
}

async function locksOf(
  { site, ports, engine }: Pick<Work, 'site' | 'ports' | 'engine'>,
  signal: AbortSignal,
): Promise<readonly Held[]> {
  const { nodes } = await engine.observe(site, ports, signal);
  return Object.values(nodes).flatMap(({ name, lock }) => (lock ? [{ node: name, lock }] : []));
}

const lineOf = ({ node, lock }: Held): string => `${node}: ${lockText(lock)}, from ${lock.host}\n`;

/** Every broken lock has a reason in the log. Null: it is not to be broken. */
async function agreedReason(call: Call, ask: Ask): Promise<string | null> {
  const { environment, flags } = call;
  const reason = (flags.reason ?? (isInteractive(environment) ? await ask('Why? ') : null))?.trim();
  if (!reason) {
    throw failure('USAGE', { problem: 'unlock needs --reason: it is written to the log of every node.' });
  }
  const question = 'Break the lock? A run that still lives changes nothing more.';
  return (await confirmed(call, question, ask)) ? reason : null;
}
