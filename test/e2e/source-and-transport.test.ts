import { chown, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Lab, startLab } from '../lab/lab.ts';
import { appUser, sshPort } from '../lab/nodes.ts';
import { createRepository } from '../lab/repository.ts';
import { onNode } from '../lab/ssh.ts';

let lab: Lab;
beforeAll(async () => {
  // The first node is the bastion as well.
  lab = await startLab({ nodes: 61, sshd: ['MaxStartups 10'] });
});
afterAll(() => lab?.stop());

test('S63: the whole fleet gets the commit that the branch had at the start, however it moves', async () => {
  const repository = await createRepository(join(lab.folder, 's63-repository'), [{ tag: 'v1' }]);
  const move = `git -C ${repository.folder} -c user.name=x -c user.email=x@example.org commit -q --allow-empty -m more`;
  const site = await lab.site({
    name: 's63',
    nodes: 4,
    kind: 'files',
    repository,
    settings: {
      source: { git: repository.folder, build: [move] },
      hooks: {
        'before:prepare': [{ run: move, on: 'operator' }],
        'before:activate': [{ run: move, on: 'operator' }],
      },
    },
  });
  const resolved = await repository.revision('main');
  await site.deployed('main');
  expect(await repository.revision('main~6')).toBe(resolved);
  for (const node of site.nodes)
    expect(await site.read(node, 'releases', await site.release(), 'REVISION')).toBe(`${resolved}\n`);
});

test('S66: 60 nodes behind a bastion that takes 10 at a time are all reached', async () => {
  const [bastion, ...hosts] = lab.nodes;
  const site = await lab.site({ name: 's66', nodes: 61, kind: 'files' });
  await site.configure({
    nodes: hosts.map(({ name, address }) => ({ name, address })),
    strategy: 'all-at-once',
    ssh: { user: 'deploy', port: sshPort, jump: [`deploy@${bastion!.address}:${sshPort}`] },
  });
  const bastionLog = (): Promise<string> => readFile(join(lab.folder, 'web1/sshd.log'), 'utf8');
  const logins = (log: string): number => log.match(/Accepted publickey/g)?.length ?? 0;
  const loginsBefore = logins(await bastionLog());
  const run = await site.deploy('good-1');
  expect(run.exit, run.output).toBe(0);
  expect(run.output).not.toMatch(/ECONNRESET|retry/i);
  const live = await site.live();
  expect(live.web1).toBeNull();
  expect(new Set(hosts.map(({ name }) => live[name])).size).toBe(1);
  expect(live.web61).toMatch(/^\d{14}$/);
  // They were reached through the bastion, which never had to turn a connection away.
  const log = await bastionLog();
  expect(logins(log)).toBeGreaterThan(loginsBefore);
  expect(log).not.toMatch(/MaxStartups|drop connection/);
});

test('S69: a changed host key stops a deploy before anything is done, whatever the policy', async () => {
  const site = await lab.site({ name: 's69-changed', nodes: 3, kind: 'files' });
  const [web1, web2] = [site.node('web1'), site.node('web2')];
  const known = await readFile(join(lab.home, '.ssh/known_hosts'), 'utf8');
  const file = join(site.folder, 'known_hosts');
  const keyOfWeb1 = web1.hostKey.split(' ').slice(1).join(' ');
  await writeFile(file, known.replace(web2.hostKey, `[${web2.address}]:${sshPort} ${keyOfWeb1}`));

  for (const hostKeys of ['strict', 'accept-new']) {
    await site.configure({ ssh: { user: 'deploy', port: sshPort, knownHosts: [file], hostKeys } });
    const refused = await site.deploy('good-1');
    expect(refused.exit).toBe(2);
    expect(refused.output).toMatch(/host key of web2.* has changed/);
    expect(refused.output).not.toMatch(/host key of web[13]/);
  }
  for (const node of site.nodes) expect(await site.releases(node)).toEqual([]);
  expect(await site.locked()).toEqual([]);
});

test('S69: an unknown host key is refused by strict, the default, and stored by accept-new', async () => {
  const site = await lab.site({ name: 's69-unknown', nodes: 2, kind: 'files' });
  const file = join(site.folder, 'known_hosts');
  await writeFile(file, `${site.node('web1').hostKey}\n`);
  const ssh = { user: 'deploy', port: sshPort, knownHosts: [file] };

  await site.configure({ ssh });
  const refused = await site.deploy('good-1');
  expect(refused.exit).toBe(2);
  expect(refused.output).toMatch(/host key of web2.* is not known: SHA256:/);
  expect(await readFile(file, 'utf8')).toBe(`${site.node('web1').hostKey}\n`);
  for (const node of site.nodes) expect(await site.releases(node)).toEqual([]);

  await site.configure({ ssh: { ...ssh, hostKeys: 'accept-new' } });
  await site.deployed('good-1');
  const [, key] = site.node('web2').hostKey.split(/ (?:ssh-ed25519) /);
  expect(await readFile(file, 'utf8')).toContain(key!.split(' ')[0]);
  await site.configure({ ssh });
  await site.deployed('good-2');
});

test('S69: a git server whose host key is not known is refused as well', async () => {
  const web1 = lab.nodes[0]!;
  await onNode(
    lab,
    web1,
    'git init -q --initial-branch=main /srv/repository.git && cd /srv/repository.git && echo hello > index.html && git add . && git -c user.name=x -c user.email=x@example.org commit -q -m first',
  );
  const git = `ssh://deploy@${web1.address}:${sshPort}/srv/repository.git`;
  const site = await lab.site({ name: 's69-git', nodes: 2, kind: 'files', settings: { source: { git } } });
  // ssh looks for its files in the home that the user database names; git's own settings point it to the lab's.
  const trusting = (knownHosts: string): Promise<void> =>
    writeFile(
      join(lab.home, '.gitconfig'),
      `[core]\n  sshCommand = ssh -F none -i ${lab.home}/.ssh/id_ed25519 -o UserKnownHostsFile=${knownHosts}\n`,
    );

  await trusting('/dev/null');
  const refused = await site.deploy('main');
  expect(refused.exit).toBe(2);
  expect(refused.output).toMatch(/Host key verification failed/);
  for (const node of site.nodes) expect(await site.releases(node)).toEqual([]);

  await trusting(`${lab.home}/.ssh/known_hosts`);
  await site.deployed('main');
});

test.for(['ssh2', 'openssh'])(
  'a site that belongs to another user is released through sudo, over %s',
  async (transport) => {
    const site = await lab.site({ name: `become-${transport}`, nodes: 2, kind: 'files', isSetUp: false });
    for (const node of site.nodes) {
      await mkdir(site.path(node));
      await chown(site.path(node), appUser.uid, appUser.uid);
    }
    const ssh = {
      user: 'deploy',
      port: sshPort,
      transport,
      keys: [join(lab.home, '.ssh/id_ed25519')],
      knownHosts: [join(lab.home, '.ssh/known_hosts')],
      config: false,
    };
    await site.configure({ linkedDirs: [], linkedFiles: [], ssh });
    const refused = await site.deploy('good-1');
    expect(refused.exit).toBe(2);
    expect(refused.output).toMatch(/not writable/);

    await site.configure({ linkedDirs: ['log'], linkedFiles: [], ssh, become: appUser.name });
    const release = await site.deployed('good-1');
    for (const node of site.nodes)
      for (const path of ['shared/log', 'revisions.log', `releases/${release}/version`])
        expect((await stat(site.path(node, path))).uid).toBe(appUser.uid);
    await site.deployed('good-2');
    expect(await site.rollback()).toMatchObject({ exit: 0 });
    expect(await site.release()).toBe(release);
  },
);
