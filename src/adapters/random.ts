import { randomBytes } from 'node:crypto';
import type { Random } from '../ports.ts';

/** The operating system's random numbers. */
export const systemRandom: Random = { hex: (bytes) => randomBytes(bytes).toString('hex') };
