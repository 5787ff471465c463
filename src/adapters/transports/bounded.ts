/**
 * Settles as `work` does, unless its time runs out or the signal is aborted first: then it rejects at once with what
 * `stop` returns, and what becomes of `work` is no longer looked at. `timeoutMs` null: no limit.
 */
export function bounded<T>(work: Promise<T>, bounds: Bounds, stop: (by: EndedBy) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    const endBy = (by: EndedBy) => () => settle(() => reject(stop(by)));
    const onTimeout = endBy('timeout');
    const onAbort = endBy('abort');
    const timer = bounds.timeoutMs === null ? undefined : setTimeout(onTimeout, bounds.timeoutMs);
    const settle = (outcome: () => void): void => {
      clearTimeout(timer);
      bounds.signal?.removeEventListener('abort', onAbort);
      outcome();
    };
    bounds.signal?.addEventListener('abort', onAbort, { once: true });
    work.then(
      (value) => settle(() => resolve(value)),
      (error) => settle(() => reject(error)),
    );
    if (bounds.signal?.aborted) onAbort();
  });
}

export interface Bounds {
  readonly timeoutMs: number | null;
  readonly signal: AbortSignal | undefined;
}

export type EndedBy = 'timeout' | 'abort';
