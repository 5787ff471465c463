import { failure } from '../../core/errors.ts';
import type { Notice } from '../../core/notice.ts';
import { type Means, type NoticeKind, noticeKind } from './kind.ts';

interface PostedKind<Options> extends Omit<NoticeKind<Options>, 'send'> {
  /** What is posted, in order; each must be answered with a status from 200 to 299. */
  posts(notice: Notice, options: Options): readonly Post[];
  /** Why an answer with a good status is none; null: it is good. */
  refusal?(body: string): string | null;
}

interface Post {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** A receiver that takes JSON over HTTP. Its `send` rejects with `HTTP_UNANSWERED`. */
export const postedKind = <Options>({ posts, refusal, ...kind }: PostedKind<Options>): NoticeKind =>
  noticeKind<Options>({
    ...kind,
    async send(notice, options, means) {
      for (const post of posts(notice, options)) {
        const answer = await sendPost(post, means);
        const reason = isGood(answer.status)
          ? (refusal?.(answer.body) ?? null)
          : `it answered with status ${answer.status}`;
        if (reason !== null) throw failure('HTTP_UNANSWERED', { url: post.url, reason });
      }
    },
  });

const sendPost = ({ url, headers, body }: Post, { http, timeoutMs }: Means) =>
  http.request({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    via: null,
    timeoutMs,
  });

const isGood = (status: number): boolean => status >= 200 && status <= 299;
