/** Milliseconds since the epoch as ISO 8601 in UTC, such as `2026-01-14T09:30:00.000Z`. */
export const isoTime = (ms: number): string => new Date(ms).toISOString();

/** `YYYYMMDDHHMMSS` in UTC. */
export const compactTime = (ms: number): string => isoTime(ms).replace(/\D/g, '').slice(0, 14);

/** Milliseconds since the epoch of a `YYYYMMDDHHMMSS`; 0 for anything else. */
export function timeOfCompact(text: string): number {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text);
  if (!parts) return 0;
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number);
  return Date.UTC(year!, month! - 1, day, hour, minute, second);
}
