import { readFile } from 'node:fs/promises';
import { list } from '../../core/errors.ts';
import {
  type Conflict,
  defaultsTo,
  describe,
  keptSecret,
  listOf,
  oneOf,
  optional,
  port,
  text,
  textLike,
} from '../../core/field.ts';
import { isImageRelease } from '../../core/fleet.ts';
import { moments } from '../../core/moment.ts';
import type { Notice } from '../../core/notice.ts';
import type { Secret } from '../../core/secret.ts';
import { bounded } from '../transports/bounded.ts';
import { type NoticeKind, noticeKind } from './kind.ts';

interface EmailOptions {
  readonly recipients: readonly string[];
  readonly from: string;
  readonly host: string;
  readonly port: number | null;
  readonly encryption: keyof typeof encryptions;
  readonly ca: string | null;
  readonly user: string | null;
  readonly password: Secret | null;
}

/** How a connection becomes a secret one, as nodemailer says it, and the port that is usual for it (RFC 8314, 3.3; RFC 6409, 3.1). */
const encryptions = {
  starttls: { port: 587, secure: false, requireTLS: true },
  tls: { port: 465, secure: true, requireTLS: false },
  none: { port: 25, secure: false, ignoreTLS: true },
} as const;

/** An address on its own: a name beside it could hold a second one. */
const mailbox = textLike('an e-mail address', /^[^\s\p{Cc}<>,;:"()[\]\\@]+@[^\s\p{Cc}<>,;:"()[\]\\@]+$/u);

export const email: NoticeKind = noticeKind<EmailOptions>({
  summary: 'Sends an e-mail in plain text, by SMTP.',
  options: {
    recipients: describe('The addresses that it goes to.', listOf(mailbox, 1)),
    from: describe('The address that it comes from.', mailbox),
    host: describe('The mail server.', textLike('a host name or an IP address', /^[A-Za-z0-9_:][\w.:-]*$/)),
    port: describe('Its port.', optional(port, '587; 465 with tls, 25 with none')),
    encryption: describe(
      "'starttls' turns to TLS before anything is said, 'tls' begins with it; neither goes on with a certificate that is not the server's. 'none' is for a server on this machine.",
      defaultsTo(oneOf(['starttls', 'tls', 'none']), 'starttls'),
    ),
    ca: describe(
      'A file here of certificates of authorities, in PEM, of which one must vouch for the server.',
      optional(textLike('the absolute path of a file', /^\/[^\p{Cc}]+$/u), 'those that Node.js trusts'),
    ),
    user: describe('Who logs in.', optional(text, 'nobody logs in')),
    password: describe('The password of `user`; a secret, by its place alone.', optional(keptSecret)),
  },
  conflicts: (options) => conflictsIn(options as unknown as EmailOptions),
  moments,
  async send(notice, options, { timeoutMs }) {
    const over = new AbortController();
    try {
      await bounded(sendMail(notice, options, over.signal), { timeoutMs, signal: undefined }, () => {
        return new Error(`the mail server did not take it within ${timeoutMs} ms`);
      });
    } finally {
      over.abort();
    }
  },
});

function conflictsIn({ user, password, encryption }: EmailOptions): readonly Conflict[] {
  if (user !== null && password === null)
    return [{ setting: 'password', problem: 'expected the password of user, got nothing' }];
  if (user === null && password !== null)
    return [{ setting: 'user', problem: 'expected who logs in with password, got nothing' }];
  if (password !== null && encryption === 'none')
    return [
      { setting: 'encryption', problem: "expected 'starttls' or 'tls', for anyone could read the password" },
    ];
  return [];
}

async function sendMail(notice: Notice, options: EmailOptions, signal: AbortSignal): Promise<void> {
  const { createTransport } = await import('nodemailer');
  const { host, ca, user, password, recipients, from } = options;
  const transport = createTransport({
    ...encryptions[options.encryption],
    host,
    ...(options.port === null ? {} : { port: options.port }),
    ...(user !== null && password !== null ? { auth: { user, pass: password.reveal() } } : {}),
    ...(ca === null ? {} : { tls: { ca: await readFile(ca) } }),
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const { rejected } = await transport.sendMail({
    from,
    to: [...recipients],
    subject: notice.text,
    text: textOf(notice),
    // Nobody's absence is to answer it (RFC 3834, 5.1).
    headers: { 'Auto-Submitted': 'auto-generated' },
    signal,
  });
  if (rejected.length > 0) throw new Error(`the mail server refused ${list(rejected.map(addressOf))}`);
}

const addressOf = (one: string | { readonly address: string }): string =>
  typeof one === 'string' ? one : one.address;

const textOf = ({ text: what, evidence, nodes, release, run }: Notice): string =>
  [
    what,
    ...(evidence.length === 0 ? [] : ['', ...evidence]),
    '',
    ...(isImageRelease(release)
      ? [`image: ${release.id}`, `of: ${nodes.join(', ')}`]
      : [
          `release: ${release.id} of ${release.revision || 'an unknown revision'}`,
          `nodes: ${nodes.join(', ')}`,
        ]),
    `run: ${run}`,
    '',
  ].join('\n');
