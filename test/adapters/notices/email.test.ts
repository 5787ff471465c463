import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { problemsWith } from '../../config/parsing.ts';
import { failedRun, goodRun } from '../../reporters/example-run.ts';
import { told } from '../told.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'email-'));
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const files = ['-keyout', `${folder}/key`, '-out', `${folder}/cert`];
  const names = 'subjectAltName=IP:127.0.0.1';
  execFileSync('openssl', ['req', '-x509', ...kind, '-subj', '/CN=test', '-addext', names, ...files], {
    stdio: 'ignore',
  });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly login: string | undefined;
  readonly isEncrypted: boolean;
  readonly text: string;
}

/** A mail server on loopback; `sesame` is the only password. */
async function mailServer(options: SMTPServerOptions = {}) {
  const taken: Mail[] = [];
  const server = new SMTPServer({
    key: readFileSync(`${folder}/key`),
    cert: readFileSync(`${folder}/cert`),
    authOptional: true,
    onAuth: ({ username, password }, _session, answer) =>
      password === 'sesame'
        ? answer(null, { user: username })
        : answer(new Error(`${password} is no password`)),
    onRcptTo: ({ address }, _session, answer) =>
      answer(address.startsWith('nobody@') ? new Error('no such mailbox') : null),
    async onData(stream, { envelope, user, secure }, answer) {
      let text = '';
      for await (const part of stream) text += part;
      taken.push({
        from: envelope.mailFrom ? envelope.mailFrom.address : '',
        to: envelope.rcptTo.map(({ address }) => address),
        login: user,
        isEncrypted: secure,
        text,
      });
      answer();
    },
    ...options,
  });
  // Clients that trust nobody end their connections in the middle of a handshake.
  server.on('error', () => {});
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  onTestFinished(() => new Promise<void>((resolve) => server.close(resolve)));
  return { taken, port: (listening.address() as AddressInfo).port };
}

const notice = (port: number) => ({
  to: 'email',
  recipients: ['ops@example.org', 'dev@example.org'],
  from: 'sluice@example.org',
  host: '127.0.0.1',
  port,
  ca: `${folder}/cert`,
});

const login = { user: 'sluice', password: { env: 'SMTP_PASSWORD' } };
const env = { SMTP_PASSWORD: 'sesame' };

const subjectOf = ({ text }: Mail): string =>
  text
    .replace(/\r\n[ \t]/g, ' ')
    .split('\r\n')
    .find((line) => line.startsWith('Subject: '))!;

test('a mail goes to every recipient, over TLS, after a login, with the evidence in plain text', async () => {
  const server = await mailServer();
  expect(
    await told([{ ...notice(server.port), ...login, on: ['rollback'] }], { events: failedRun, env }),
  ).toEqual([]);
  expect(server.taken).toHaveLength(1);
  const mail = server.taken[0]!;
  expect(mail).toMatchObject({
    from: 'sluice@example.org',
    to: ['ops@example.org', 'dev@example.org'],
    login: 'sluice',
    isEncrypted: true,
  });
  expect(subjectOf(mail)).toBe(
    'Subject: shop/production: deploy of 3f2a9c1 as 20260114093000: rolled back, by ada@laptop',
  );
  expect(mail.text).toContain('Content-Type: text/plain');
  expect(mail.text).toContain('Auto-Submitted: auto-generated');
  expect(mail.text.replaceAll('=\r\n', '')).toContain(
    'was expected to answer 200, after 5 attempts it answered 503.\r\nhint: its log says why.',
  );
  expect(mail.text).not.toContain('sesame');
});

test('a run is told of when it begins, and when it succeeds, holds or goes back', async () => {
  const server = await mailServer({ secure: true });
  const tls = { ...notice(server.port), encryption: 'tls' };
  const heldRun = goodRun.map((event) =>
    event.type === 'run-ended' ? { ...event, report: { ...event.report, outcome: 'held' as const } } : event,
  );
  for (const events of [goodRun, heldRun, failedRun]) expect(await told([tls], { events })).toEqual([]);
  expect(server.taken.map((mail) => / (begins|done|held|rolled back)\b/.exec(subjectOf(mail))?.[1])).toEqual([
    'begins',
    'done',
    'begins',
    'held',
    'begins',
    'rolled back',
  ]);
});

test('a certificate that nobody vouches for ends it, before anything was said', async () => {
  const starttls = await mailServer();
  const tls = await mailServer({ secure: true });
  const { ca: _, ...untrusting } = { ...notice(starttls.port), ...login, on: ['success'] };
  const warnings = await told([untrusting, { ...untrusting, port: tls.port, encryption: 'tls' }], { env });
  // Newer versions of Node.js add what could be done.
  const untrusted = expect.stringMatching(/^The notice to email was not taken: self-signed certificate\b/);
  expect(warnings).toEqual([untrusted, untrusted]);
  expect([...starttls.taken, ...tls.taken]).toEqual([]);
});

test('a server that has no STARTTLS gets neither the password nor the mail, unless the config asks for none', async () => {
  const asked: string[] = [];
  const server = await mailServer({
    hideSTARTTLS: true,
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth: ({ username }, _session, answer) => {
      asked.push(String(username));
      answer(null, { user: username });
    },
  });
  const on = ['success'];
  expect(await told([{ ...notice(server.port), ...login, on }], { env })).toEqual([
    expect.stringMatching(/^The notice to email was not taken: .*STARTTLS/),
  ]);
  expect([asked, server.taken]).toEqual([[], []]);
  expect(await told([{ ...notice(server.port), encryption: 'none', on }])).toEqual([]);
  expect(server.taken).toMatchObject([{ isEncrypted: false }]);
});

test('a refusal, a refused recipient, silence and a server that is not there are warnings without the password', async () => {
  const server = await mailServer();
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  onTestFinished(() => void silent.close());
  const at = { ...notice(server.port), ...login, on: ['success'] };
  const warnings = await told(
    [
      { ...at, password: { env: 'WRONG' } },
      { ...at, recipients: ['ops@example.org', 'nobody@example.org'] },
      { ...at, port: (silent.address() as AddressInfo).port, timeout: '200ms' },
      { ...at, port: 9 },
      { ...at, ca: '/nowhere' },
    ],
    { env: { ...env, WRONG: 'swordfish' } },
  );
  expect(warnings).toHaveLength(5);
  const text = warnings.join('\n');
  expect(text).toContain('[secret] is no password');
  expect(text).toContain('not taken: the mail server refused nobody@example.org.');
  expect(text).toContain('not taken: the mail server did not take it within 200 ms.');
  expect(text).toContain('ECONNREFUSED');
  expect(text).toContain("no such file or directory, open '/nowhere'");
  expect(text).not.toMatch(/swordfish|sesame/);
});

test('a password in the config, one without a user, and one that anyone could read are refused', () => {
  const at = { ...notice(587), user: 'sluice' };
  const secrets = { env: { HOME: '/home/ann', ...env } };
  expect(problemsWith({ notices: [{ ...at, password: 'sesame' }] })).toEqual([
    "notices[0].password: expected { env: 'NAME' } or { file: '/path' }, got a text",
  ]);
  expect(problemsWith({ notices: [at] })).toEqual([
    'notices[0].password: expected the password of user, got nothing',
  ]);
  const { password } = login;
  expect(problemsWith({ notices: [{ ...notice(587), password }] }, secrets)).toEqual([
    'notices[0].user: expected who logs in with password, got nothing',
  ]);
  expect(problemsWith({ notices: [{ ...at, password, encryption: 'none' }] }, secrets)).toEqual([
    "notices[0].encryption: expected 'starttls' or 'tls', for anyone could read the password",
  ]);
  expect(problemsWith({ notices: [{ ...notice(25), recipients: ['a@b, c@d'] }] })).toEqual([
    'notices[0].recipients[0]: expected an e-mail address, got "a@b, c@d"',
  ]);
});
