import type { Fields } from '../../core/field.ts';
import type { Moment } from '../../core/moment.ts';
import type { Notice } from '../../core/notice.ts';

/** Somewhere that is told of runs, as the registry holds it: its options are read by the fields, like every setting. */
export interface NoticeKind<Options = Record<string, unknown>> {
  readonly summary: string;
  readonly options: Fields<Options>;
  /** What it is told of unless the config says. */
  readonly moments: readonly Moment[];
  /** What is posted, in order; each must be answered with a status from 200 to 299. */
  posts(notice: Notice, options: Options): readonly Post[];
  /** Why an answer with a good status is none; null: it is good. */
  refusal?(body: string): string | null;
}

export interface Post {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export const noticeKind = <Options>(kind: NoticeKind<Options>): NoticeKind => kind as unknown as NoticeKind;
