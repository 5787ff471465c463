import { createHmac } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  fingerprint,
  judgeHostKey,
  knownKeyTypes,
  parseKnownHosts,
  readKnownHosts,
  storeHostKey,
} from '../../../src/adapters/transports/known-hosts.ts';
import { generateKeyPair } from '../../../src/sandbox/ssh-server.ts';

const keyPair = () => {
  const line = generateKeyPair().publicKey.split(' ').slice(0, 2).join(' ');
  return { line, bytes: Buffer.from(line.split(' ')[1]!, 'base64') };
};
const ours = keyPair();
const theirs = keyPair();
const web1 = { hostName: 'web1.example.org', port: 22 };

const judge = (text: string, host = web1, key = ours) =>
  judgeHostKey(parseKnownHosts(text, 'known_hosts'), host, key.bytes);

const hashed = (name: string): string => {
  const salt = Buffer.from('twenty bytes of salt');
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
};

describe('a host key is matched by a line', () => {
  test.each([
    ['of the plain name', 'web1.example.org', 22],
    ['of the name in other letters', 'WEB1.Example.ORG', 22],
    ['of a list', 'web0,web1.example.org,192.0.2.1', 22],
    ['of a pattern', 'web?.example.*', 22],
    ['of a pattern that excludes another', '*.example.org,!web2.example.org', 22],
    ['of a hashed name', hashed('web1.example.org'), 22],
    ['of the name and the port', '[web1.example.org]:2222', 2222],
    ['of a hashed name and port', hashed('[web1.example.org]:2222'), 2222],
    ['of the machine on its usual port', 'web1.example.org', 2222],
  ])('%s', (_, names, port) => {
    expect(judge(`${names} ${ours.line} a comment`, { ...web1, port })).toEqual({ kind: 'matched' });
  });
});

describe('a host key stays unknown with a line', () => {
  test.each([
    ['of another name', 'web2.example.org', 22],
    ['of a longer name', 'web1.example.org.evil.org', 22],
    ['of a name in which the dot is another letter', 'web1xexample.org', 22],
    ['that excludes it', '*.example.org,!web1.example.org', 22],
    ['of another port', '[web1.example.org]:2222', 22],
    ['of another hashed name', hashed('web2.example.org'), 22],
    ['of a certificate authority', '@cert-authority *', 22],
    ['that is a comment', '# web1.example.org', 22],
  ])('%s', (_, names, port) => {
    expect(judge(`${names} ${ours.line}`, { ...web1, port })).toEqual({ kind: 'unknown' });
  });
});

test('a host that is on record with another key only has changed, and the line is named', () => {
  expect(judge(`\n# comment\nweb1.example.org ${theirs.line}\n`)).toEqual({
    kind: 'changed',
    place: 'known_hosts:3',
  });
});

test('a key of a type that is not on record does not pass for a new one', () => {
  expect(judge('web1.example.org ssh-rsa AAAA')).toMatchObject({ kind: 'changed' });
});

test('one of several lines is enough', () => {
  expect(judge(`web1.example.org ${theirs.line}\nweb1.example.org ${ours.line}`)).toEqual({
    kind: 'matched',
  });
});

test('a key on record for the usual port is no evidence against another on a port of its own', () => {
  expect(judge(`web1.example.org ${theirs.line}`, { ...web1, port: 2222 })).toEqual({ kind: 'unknown' });
});

test('a revoked key is refused, whatever else says of it', () => {
  const text = `web1.example.org ${ours.line}\n@revoked * ${ours.line}`;
  expect(judge(text)).toEqual({ kind: 'revoked', place: 'known_hosts:2' });
});

test('a key that is revoked is no evidence against another', () => {
  expect(judge(`@revoked * ${theirs.line}`)).toEqual({ kind: 'unknown' });
  expect(judge(`web1.example.org ${ours.line}\n@revoked * ${theirs.line}`)).toEqual({ kind: 'matched' });
});

test('the key types on record are told, but not those of revoked keys', () => {
  const known = parseKnownHosts(
    `web1.example.org ssh-rsa AAAA\n@revoked * ${ours.line}\nweb2 ecdsa-sha2-nistp256 AAAA`,
    'k',
  );
  expect(knownKeyTypes(known, web1)).toEqual(['ssh-rsa']);
  expect(knownKeyTypes(known, { ...web1, port: 2222 })).toEqual(['ssh-rsa']);
});

test('a key that is stored is known from then on, after a last line without an end too', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'known-'));
  const file = join(folder, 'known_hosts');
  await writeFile(file, `other ${theirs.line}`);
  await storeHostKey(file, { ...web1, port: 2222 }, ours.bytes);
  expect(await readFile(file, 'utf8')).toBe(`other ${theirs.line}\n[web1.example.org]:2222 ${ours.line}\n`);
  const known = await readKnownHosts([join(folder, 'absent'), file]);
  expect(judgeHostKey(known, { ...web1, port: 2222 }, ours.bytes)).toEqual({ kind: 'matched' });
  await rm(folder, { recursive: true });
});

test('a fingerprint reads as ssh-keygen writes it', () => {
  const key = Buffer.from('AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl', 'base64');
  expect(fingerprint(key)).toBe('SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU');
});
