import { assert } from '../core/assert.ts';
import { isDeployError, messageOf } from '../core/errors.ts';
import type { Event } from '../core/event.ts';
import { type Notice, noticesOfRun } from '../core/notice.ts';
import { Secret } from '../core/secret.ts';
import type { NoticeSettings } from '../core/site.ts';
import type { Http } from '../ports.ts';
import { noticeKinds } from './notices/index.ts';
import type { NoticeKind } from './notices/kind.ts';
import { redactor } from './redact.ts';

/** Tells others of a run, beside it: none of them can delay it or make it fail. */
export interface Notifier {
  /** Takes each event, in order. Never throws, never waits. */
  tell(event: Event): void;
  /** Resolves once each notice was taken, refused, or had its time. Never rejects. */
  settled(): Promise<void>;
}

export interface NotifierOptions {
  readonly notices: readonly NoticeSettings[];
  readonly http: Http;
  /** Told of each notice that was not taken. */
  readonly warn: (text: string) => void;
}

/** Each receiver gets its notices one after the other, and none waits for another's. */
export function notifier({ notices, http, warn }: NotifierOptions): Notifier {
  const noticeOf = noticesOfRun();
  const queues = notices.map((settings) => ({ settings, last: Promise.resolve() }));
  return {
    tell(event) {
      const notice = noticeOf(event);
      if (notice === null) return;
      for (const queue of queues)
        queue.last = queue.last
          .then(() => send(notice, queue.settings, http))
          .catch((error: unknown) => warn(warningOf(error, queue.settings)));
    },
    async settled() {
      await Promise.all(queues.map(({ last }) => last));
    },
  };
}

async function send(
  notice: Notice,
  { kind, options, on, timeoutMs }: NoticeSettings,
  http: Http,
): Promise<void> {
  const kinds: Readonly<Record<string, NoticeKind>> = noticeKinds;
  const found = kinds[kind];
  assert(found, `the config was parsed, so notices to ${kind} are registered`);
  if (!(on ?? found.moments).includes(notice.moment)) return;
  await found.send(notice, options, { http, timeoutMs });
}

/** Names the receiver by its kind alone: addresses are secrets. */
function warningOf(error: unknown, { kind, options }: NoticeSettings): string {
  const reason = isDeployError(error, 'HTTP_UNANSWERED') ? String(error.details.reason) : messageOf(error);
  const oneLine = reason.replace(/\s+/g, ' ').replace(/\.$/, '');
  return `The notice to ${kind} was not taken: ${redactor(secretsIn(options))(oneLine)}.`;
}

export const secretsIn = (options: Readonly<Record<string, unknown>>): readonly string[] =>
  Object.values(options).flatMap((value) => (value instanceof Secret ? [value.reveal()] : []));
