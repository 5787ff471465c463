import { list } from '../../core/errors.ts';
import type { Command } from '../call.ts';
import { rotateByHand } from '../rotate-by-hand.ts';

/** Takes nodes out of rotation for work by hand; no deploy puts them back. */
export const drainCommand: Command = (call) =>
  rotateByHand(
    call,
    'out',
    (nodes, wanted) =>
      `Out of rotation: ${list(nodes)}. Back in with: sluice enable ${wanted} ${nodes.join(' ')}`,
  );
