import type { Paint } from './paint.ts';

/** What stands out, a line each; `fine` if nothing does. */
export const remarksText = (
  remarks: readonly string[],
  paint: Paint,
  fine = 'Nothing stands out.',
): readonly string[] =>
  remarks.length === 0 ? [paint.good(fine)] : remarks.map((text) => `${paint.warn('!')} ${text}`);
