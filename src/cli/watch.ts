import type { Ports } from '../ports.ts';
import type { Call } from './call.ts';

/** Writes what a look finds; with `--watch` again and again, until Ctrl-C or until nobody reads it any more. */
export async function watching(
  { environment: { signal, stdout }, flags: { watch, json } }: Call,
  { clock }: Pick<Ports, 'clock'>,
  look: () => Promise<string>,
): Promise<0> {
  const before = watch && stdout.isTTY && !json ? home : '';
  try {
    do {
      stdout.write(`${before}${await look()}`);
      if (watch) await clock.sleep(everyMs, signal);
    } while (watch && !signal.aborted && stdout.writable);
  } catch (error) {
    if (!watch || !signal.aborted) throw error;
  }
  return 0;
}

const everyMs = 2000;

/** Top left corner, and everything below it cleared. */
const home = '\u001b[H\u001b[J';
