import type { Event } from '../core/event.ts';

/** Shows a run to somebody. Each event is drawn when it comes, in order. */
export interface Reporter {
  draw(event: Event): void;
  /** Takes down what moves on the screen, so that others can write; the next event may bring it back. */
  clear(): void;
  /** What others write beside the events, so that nothing in it is taken for a command; absent: nothing is. */
  readonly inert?: (text: string) => string;
}

/** Where a reporter writes. */
export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

export interface ReporterOptions {
  readonly output: Output;
  /** The site as the user named it, for commands that are suggested: `shop/production`. */
  readonly wanted: string;
  /** Every node's detail, and every line of builds and hooks. */
  readonly verbose: boolean;
  readonly colour: boolean;
  /** Takes Markdown that is shown beside the log of a job; absent: there is no such place. */
  readonly summary?: (markdown: string) => void;
}
