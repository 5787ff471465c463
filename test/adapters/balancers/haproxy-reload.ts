import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Backend, ofNode, sessions, startBackend, turn } from '../../contracts/balancer.ts';
import { type RunningHaproxy, startHaproxy } from '../../lab/haproxy.ts';
import { patience } from '../../lab/patience.ts';
import { freePort } from '../../lab/port.ts';
import { driver } from './haproxy-lab.ts';

/** What a HAProxy with a master and a file of states does when it is reloaded. */
export function reloadContract(name: string, program: string): void {
  describe(name, () => {
    let folder: string;
    let file: (of: 'api.sock' | 'master.sock' | 'state') => string;
    let haproxy: RunningHaproxy;
    let web: readonly Backend[];
    let frontendPort: number;
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'haproxy-'));
      mkdirSync(join(folder, 'lib'));
      file = (of) => join(folder, of === 'state' ? 'lib' : '', of);
      web = [await startBackend('web1'), await startBackend('web2')];
      frontendPort = await freePort();
      haproxy = await startHaproxy(settings());
    });
    afterEach(async () => {
      await haproxy.stop();
      await Promise.all(web.map((backend) => backend.close()));
      rmSync(folder, { recursive: true });
    });

    const settings = () => ({
      dir: folder,
      frontendPort,
      socket: file('api.sock'),
      master: file('master.sock'),
      program,
      global: [`server-state-file ${file('state')}`],
      defaults: ['load-server-state-from-file global'],
      backends: [
        {
          name: 'web',
          lines: ['default-server weight 100'],
          servers: web.map(({ name, port }) => ({ name, port })),
        },
      ],
    });
    const asked = (more: Readonly<Record<string, unknown>> = {}) =>
      driver({ socket: file('api.sock'), backend: 'web', ...more });
    const whole = () => asked({ master: file('master.sock'), stateFile: file('state') });
    const inFlight = async (balancer = whole()) => sessions((await balancer.observe()).servers);
    const stateOf = async (node: string) => ofNode(await whole().observe(), node)[0]!;
    const rowsKept = () =>
      readFileSync(file('state'), 'utf8')
        .trimEnd()
        .split('\n')
        .slice(2)
        .map((row) => row.split(' ')[3]);

    test('what old workers still answer is counted where it is served, through two reloads, and is 0 once it ended', async () => {
      const slow = [fetch(`${haproxy.url}/hold`)];
      await vi.waitFor(() => expect(web[0]!.held()).toBe(1), patience);
      await haproxy.reload();
      slow.push(fetch(`${haproxy.url}/hold`));
      await vi.waitFor(() => expect(web[0]!.held() + web[1]!.held()).toBe(2), patience);
      await haproxy.reload();
      const { servers } = await whole().observe();
      expect(servers.map((server) => server.sessions)).toEqual(web.map((backend) => backend.held()));
      expect(await inFlight(asked())).toBe(0);
      for (const backend of web) backend.release();
      for (const answer of await Promise.all(slow))
        expect(await answer.text()).toMatch(/^held by web[12], whole$/);
      await vi.waitFor(async () => expect(await inFlight()).toBe(0), patience);
    });

    test('a master that reloads and an old worker that ends, while they are asked, are no error', async () => {
      for (let i = 0; i < 3; i++) {
        const slow = fetch(`${haproxy.url}/hold`);
        await vi.waitFor(() => expect(web[0]!.held() + web[1]!.held()).toBe(1), patience);
        let isOver = false;
        const reasons = new Set<string | null>();
        const looking = (async () => {
          while (!isOver) reasons.add((await whole().observe()).members[0]!.unreachable);
        })();
        await haproxy.reload();
        for (const backend of web) backend.release();
        await (await slow).text();
        await vi.waitFor(async () => expect(await inFlight()).toBe(0), patience);
        isOver = true;
        await looking;
        expect([...reasons].filter((reason) => reason?.includes('master'))).toEqual([]);
        expect(reasons).toContain(null);
      }
    });

    test('a master that cannot be asked makes its member unreachable: nobody knows what is in flight', async () => {
      const { members } = await asked({ master: join(folder, 'nobody.sock') }).observe();
      expect(members[0]!.unreachable).toMatch(/^its master at .*nobody\.sock could not be asked: .*ENOENT/);
    });

    test('a socket that is not that of a master is unreachable too', async () => {
      const { members } = await asked({ master: file('api.sock') }).observe();
      expect(members[0]!.unreachable).toContain('"show proc" does not list workers');
    });

    test('rotation and weights outlive reloads, until they are as they were', async () => {
      await whole().change([turn('web1', 'draining')]);
      await whole().shift([{ node: 'web2', server: null, to: 25 }]);
      await haproxy.reload();
      await haproxy.reload();
      expect(await stateOf('web1')).toMatchObject({ rotation: 'draining', weight: 100 });
      expect(await stateOf('web2')).toMatchObject({ rotation: 'in', weight: 25 });
      await whole().change([turn('web1', 'in')]);
      await whole().shift([{ node: 'web2', server: null, to: 100 }]);
      await haproxy.reload();
      expect(await stateOf('web1')).toMatchObject({ rotation: 'in' });
      expect(await stateOf('web2')).toMatchObject({ rotation: 'in', weight: 100 });
      expect(haproxy.log().join('\n')).not.toMatch(/corrupted|[Ii]nvalid/);
    });

    test('only a server that was told something stands in the file: all others follow the configuration', async () => {
      await whole().change([turn('web1', 'out')]);
      expect(rowsKept()).toEqual(['web1']);
      const moved = await startBackend('moved');
      await haproxy.stop();
      web = [web[0]!, { ...moved, name: 'web2' }];
      haproxy = await startHaproxy(settings());
      expect(await stateOf('web1')).toMatchObject({ rotation: 'out' });
      expect(await (await fetch(haproxy.url)).text()).toBe('moved');
      await whole().change([turn('web1', 'in')]);
      expect(rowsKept()).toEqual([]);
    });

    test('a file that cannot be written is an error that names it', async () => {
      rmSync(join(folder, 'lib'), { recursive: true });
      await expect(whole().change([turn('web1', 'out')])).rejects.toMatchObject({
        code: 'BALANCER_REFUSED',
        details: {
          request: `write ${file('state')}`,
          answer: expect.stringMatching(/state.*(nonexistent|No such file)/),
        },
      });
    });
  });
}
