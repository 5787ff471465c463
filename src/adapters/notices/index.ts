import { mattermost, slack, teams } from './chat.ts';
import { email } from './email.ts';
import type { NoticeKind } from './kind.ts';
import { grafana, newRelic, sentry } from './marks.ts';
import { webhook } from './webhook.ts';

/** Everything that can be told of runs, by the name that `to` has in a config. */
export const noticeKinds = {
  slack,
  mattermost,
  teams,
  email,
  webhook,
  grafana,
  'new-relic': newRelic,
  sentry,
} as const satisfies Readonly<Record<string, NoticeKind>>;
