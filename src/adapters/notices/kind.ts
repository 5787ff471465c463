import type { Fields, Kind } from '../../core/field.ts';
import type { Moment } from '../../core/moment.ts';
import type { Notice } from '../../core/notice.ts';
import type { Http } from '../../ports.ts';

/** Somewhere that is told of runs, as the registry holds it: its options are read by the fields, like every setting. */
export interface NoticeKind<Options = Record<string, unknown>> extends Pick<Kind, 'conflicts'> {
  readonly summary: string;
  readonly options: Fields<Options>;
  /** What it is told of unless the config says. */
  readonly moments: readonly Moment[];
  /** Resolves once the notice was taken. Rejects with why it was not, which may show what is secret among the options. */
  send(notice: Notice, options: Options, means: Means): Promise<void>;
}

export interface Means {
  readonly http: Http;
  /** How long each answer may take. */
  readonly timeoutMs: number;
}

export const noticeKind = <Options>(kind: NoticeKind<Options>): NoticeKind => kind as unknown as NoticeKind;
