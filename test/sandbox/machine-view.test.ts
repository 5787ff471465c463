import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { type MachineView, realCommand, realPort, seenOutput } from '../../src/sandbox/machine-view.ts';

const view: MachineView = {
  path: { seen: '/srv/shop', real: '/tmp/sandbox/nodes/web1/srv/shop' },
  port: { seen: 8080, real: 20_123 },
};

describe('what a node calls its own', () => {
  test('is where it really is in a command', () => {
    expect(realCommand('cd /srv/shop && ls /srv/shop/releases /srv', view)).toBe(
      'cd /tmp/sandbox/nodes/web1/srv/shop && ls /tmp/sandbox/nodes/web1/srv/shop/releases /srv',
    );
  });

  test('is the port behind it, other ports are themselves', () => {
    expect(realPort(8080, view)).toBe(20_123);
    expect(realPort(22, view)).toBe(22);
  });

  test('has its own name in the output, wherever that was cut into pieces', async () => {
    const written = `current ${view.path.real}/releases/1\nno end at ${view.path.real}`;
    for (let cut = 0; cut <= written.length; cut++) {
      const seen = seenOutput(view);
      seen.write(written.slice(0, cut));
      seen.end(written.slice(cut));
      expect(await text(seen)).toBe('current /srv/shop/releases/1\nno end at /srv/shop');
    }
  });

  test('does not change the bytes of other output', async () => {
    const bytes = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256));
    const seen = seenOutput(view);
    seen.end(bytes);
    expect(Buffer.concat(await seen.toArray())).toEqual(bytes);
  });
});

test('without a view everything is as it is', async () => {
  expect(realCommand('cd /srv/shop')).toBe('cd /srv/shop');
  expect(realPort(8080)).toBe(8080);
  const seen = seenOutput();
  seen.end('/srv/shop');
  expect(await text(seen)).toBe('/srv/shop');
});
