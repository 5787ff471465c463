import { list } from '../../core/errors.ts';
import type { Command } from '../call.ts';
import { rotateByHand } from '../rotate-by-hand.ts';

/** Lets nodes take traffic again, and waits until every balancer sends it. */
export const enableCommand: Command = (call) =>
  rotateByHand(call, 'in', (nodes) => `In rotation: ${list(nodes)}.`);
