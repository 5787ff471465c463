import { describe, secretUrl } from '../../core/field.ts';
import { moments } from '../../core/moment.ts';
import type { Notice } from '../../core/notice.ts';
import type { Secret } from '../../core/secret.ts';
import type { NoticeKind } from './kind.ts';
import { postedKind } from './post.ts';

/** Channels of people, through incoming webhooks: each has its own way to say that a text is no markup. */
const chat = (product: string, bodyOf: (lines: readonly string[]) => unknown): NoticeKind =>
  postedKind<{ readonly url: Secret }>({
    summary: `Tells a channel of ${product}, through an incoming webhook.`,
    options: { url: describe('The URL of the incoming webhook; a secret.', secretUrl) },
    moments,
    posts: (notice, { url }) => [{ url: url.reveal(), body: bodyOf(linesOf(notice)) }],
  });

const linesOf = ({ text, evidence }: Notice): readonly string[] =>
  [text, ...evidence].flatMap((part) => part.split('\n'));

/** Source: Slack, "Formatting text for app surfaces": these three are markup, and begin mentions. */
export const slack = chat('Slack', (lines) => ({
  text: lines.join('\n').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;'),
}));

/** In code no mention of Mattermost, such as @channel, takes effect. */
export const mattermost = chat('Mattermost', (lines) => ({
  text: ['```', ...lines.map((line) => line.replaceAll('```', "'''")), '```'].join('\n'),
}));

/** Source: Microsoft, "Adaptive Cards", RichTextBlock: a TextRun is never Markdown. */
export const teams = chat('Microsoft Teams', (lines) => ({
  type: 'message',
  attachments: [
    {
      contentType: 'application/vnd.microsoft.card.adaptive',
      content: {
        $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
        type: 'AdaptiveCard',
        version: '1.4',
        body: lines.map((text, index) => ({
          type: 'RichTextBlock',
          inlines: [{ type: 'TextRun', text, weight: index === 0 ? 'Bolder' : 'Default' }],
        })),
      },
    },
  ],
}));
