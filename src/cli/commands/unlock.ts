import { failure } from '../../core/errors.ts';
import { locksIn } from '../../core/observation.ts';
import type { HeldLock } from '../../engine/unlock.ts';
import { lockText } from '../../reporters/status-text.ts';
import { type Ask, asking, confirmed, isInteractive, mustBeConfirmable } from '../ask.ts';
import { type Call, type Command, onSite, siteOf } from '../call.ts';

/** Says whose lock it is, asks, and writes down why it was broken. What could not be read may be locked, and is named. */
export const unlockCommand: Command = async (call) => {
  mustBeConfirmable(call, 'unlock');
  return onSite(call, await siteOf(call), async ({ site, ports, engine }) => {
    const { stdout, stderr, signal } = call.environment;
    const observed = await engine.observe(site, ports, signal);
    const states = [...Object.values(observed.nodes), ...observed.witnesses];
    const locks = locksIn(observed);
    const unread = states.flatMap(({ unreachable }) => unreachable ?? []);
    stdout.write(locks.length === 0 ? `${nothingLocked(unread.length)}\n` : locks.map(lineOf).join(''));
    stderr.write(unread.map((reason) => `May be locked too: ${reason}\n`).join(''));
    if (locks.length === 0) return unread.length === 0 ? 0 : 2;
    const reason = await asking(call.environment, (ask) => agreedReason(call, ask));
    if (reason === null) {
      stdout.write('The lock stays.\n');
      return 2;
    }
    const { broken, failed } = await engine.unlock(site, ports, { locks, reason });
    if (broken.length > 0) stdout.write(`Unlocked: ${broken.map(({ node }) => node).join(', ')}.\n`);
    stderr.write(failed.map((one) => `Not unlocked: ${one.reason}\n`).join(''));
    return failed.length + unread.length === 0 ? 0 : 3;
  });
};

const nothingLocked = (unread: number): string =>
  unread === 0 ? 'No node is locked.' : 'No node that could be read is locked.';

const lineOf = ({ node, lock }: HeldLock): string => `${node}: ${lockText(lock)}, from ${lock.host}\n`;

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
