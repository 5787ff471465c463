/** A time as people say it: `0.4 s`, `59.9 s`, `4 min 05 s`. */
export function duration(ms: number): string {
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
}

/** Bytes in units of 1000: `512 B`, `12.3 MB`. */
export function bytes(count: number): string {
  const power = count < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(count) / 3));
  return power === 0 ? `${count} B` : `${(count / 1000 ** power).toFixed(1)} ${units[power]}`;
}
const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** The first names, and how many more there are. */
export const names = (all: readonly string[], shownMax = Number.POSITIVE_INFINITY): string =>
  all.length <= shownMax
    ? all.join(', ')
    : `${all.slice(0, shownMax - 1).join(', ')} and ${all.length - shownMax + 1} more`;
