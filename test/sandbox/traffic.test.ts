import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { startTraffic, type TrafficOptions, type TrafficReport } from '../../src/sandbox/traffic.ts';
import { startTrafficProcess } from '../../src/sandbox/traffic-process.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

describe('what counts as a failure', () => {
  test('a whole answer in time is none', async () => {
    const report = await trafficAgainst((response) => whole(response));
    expect(report).toMatchObject({ failed: 0, failures: [], truncated: 0, late: 0 });
    expect(report.requests).toBeGreaterThan(0);
    expect(report.statuses).toEqual({ 200: report.requests });
  });

  test('an answer that ends before its length is truncated', async () => {
    const report = await trafficAgainst((response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('only this');
      setTimeout(() => response.destroy(), 5);
    });
    expectAllFailed(report, { kind: 'truncated', reason: 'cut off after 9 of 100 bytes' });
    expect(report.truncated).toBe(report.requests);
  });

  test('an answer in chunks without the last chunk is truncated', async () => {
    const report = await trafficAgainst((response) => {
      response.writeHead(200, { 'transfer-encoding': 'chunked' });
      response.write('end\n');
      setTimeout(() => response.destroy(), 5);
    });
    expectAllFailed(report, { kind: 'truncated', reason: 'cut off after 4 of unknown bytes' });
  });

  test('a whole answer without the end that every body has is truncated', async () => {
    const report = await trafficAgainst((response) => {
      response.writeHead(200, { 'content-length': 4 }).end('en?\n');
    });
    expectAllFailed(report, { kind: 'truncated', reason: '4 bytes without the end that every body has' });
  });

  test('an answer whose end nobody can see is wrong', async () => {
    const report = await trafficAgainst((response) => {
      response.socket?.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nend\n');
    });
    expectAllFailed(report, { kind: 'wrong' });
  });

  test('another status than 200 is wrong', async () => {
    const report = await trafficAgainst((response) => {
      response.writeHead(503, { 'content-length': 4 }).end('end\n');
    });
    expectAllFailed(report, { kind: 'wrong', reason: 'status 503' });
    expect(report.statuses).toEqual({ 503: report.requests });
  });

  test('an answer after its time is late', async () => {
    const report = await trafficAgainst((response) => setTimeout(() => whole(response), 120), 60);
    expectAllFailed(report, { kind: 'late', reason: 'no whole answer within 60 ms' });
    expect(report.late).toBe(report.requests);
  });

  test('an answer that begins in time but is whole too late is late', async () => {
    const report = await trafficAgainst((response) => {
      response.writeHead(200, { 'content-length': 4 });
      response.write('en');
      setTimeout(() => response.end('d\n'), 120);
    }, 60);
    expectAllFailed(report, { kind: 'late' });
  });

  test('a connection that is closed without an answer is refused, and nothing is asked twice', async () => {
    let asked = 0;
    const report = await trafficAgainst((response) => {
      asked++;
      response.destroy();
    });
    expectAllFailed(report, { kind: 'refused' });
    expect(report.requests).toBe(asked);
  });

  test('one bad answer among good ones is one failure, with its path', async () => {
    let asked = 0;
    const url = await serve((response) => (++asked === 20 ? response.destroy() : whole(response)));
    const traffic = startTraffic(options(url));
    await traffic.reach(40);
    const report = await traffic.stop();
    expect(report.failed).toBe(1);
    expect(report.requests).toBe(asked);
    expect(report.failures).toHaveLength(1);
    expect(['/a', '/b']).toContain(report.failures[0]?.path);
  });
});

test('clients that keep no connection open another one for each question', async () => {
  const sockets = new Set<unknown>();
  const url = await serve((response) => {
    sockets.add(response.socket);
    whole(response);
  });
  const slow = { path: '/slow', workers: 1, lateMs: 4000 };
  const report = await trafficOf({ ...options(url), keepAlive: 'never', slow });
  expect(report.requests).toBeGreaterThan(2);
  expect(sockets.size).toBe(report.requests);
});

test('rapid clients keep a connection for as many questions as they are told', async () => {
  const questions = new Map<unknown, number>();
  const url = await serve((response) => {
    questions.set(response.socket, (questions.get(response.socket) ?? 0) + 1);
    whole(response);
  });
  const rapid = { path: '/', workers: 1, perConnection: 5 };
  const traffic = startTraffic({ ...options(url), workers: 0, rapid });
  await traffic.reach(12);
  expect(await traffic.stop()).toMatchObject({ failed: 0 });
  expect([...questions.values()].slice(0, -1)).toEqual(Array(questions.size - 1).fill(5));
  expect(questions.size).toBeGreaterThan(1);
});

test('rapid clients that are told a pace ask no faster, until a number is to be reached', async () => {
  const url = await serve((response) => whole(response));
  const pace = { path: '/', workers: 2, perSecond: 100 };
  const traffic = startTraffic({ ...options(url), workers: 0, rapid: pace });
  await sleep(1000);
  const { failed, requests, tookMs } = await traffic.stop();
  expect(failed).toBe(0);
  expect(requests).toBeGreaterThan(2);
  // Each begins with a burst.
  expect(requests).toBeLessThanOrEqual(tookMs / 10 + 10);

  const hurried = startTraffic({ ...options(url), workers: 0, rapid: { ...pace, perSecond: 1 } });
  await hurried.reach(100);
  expect((await hurried.stop()).tookMs).toBeLessThan(50_000);
});

test('rapid clients with a pace rest as long as they were kept waiting', async () => {
  const url = await serve((response) => setTimeout(() => whole(response), 50));
  const rapid = { path: '/', workers: 1, perSecond: 20 };
  const traffic = startTraffic({ ...options(url), workers: 0, rapid });
  await sleep(1000);
  const { requests, tookMs } = await traffic.stop();
  expect(requests).toBeLessThanOrEqual(tookMs / 100 + 1);
});

test('slow requests are in flight at all times, and are asked with their own time limit', async () => {
  let answered = 0;
  const answerSlowly = (response: ServerResponse) => {
    answered++;
    whole(response);
  };
  const url = await serve((response, path) =>
    path === '/slow' ? setTimeout(answerSlowly, 1200, response) : whole(response),
  );
  const slow = { path: '/slow', workers: 3, lateMs: 10_000 };
  const traffic = startTraffic({ ...options(url), lateMs: 1000, slow });
  await expect.poll(() => answered).toBeGreaterThanOrEqual(6);
  const report = await traffic.stop();
  expect(report.failures.filter(({ path }) => path === '/slow')).toEqual([]);
  expect(report.slowRequests).toBeGreaterThanOrEqual(6);
  expect(report.slowInFlightMin).toBeGreaterThan(0);
  expect(report.p99Ms).toBeLessThan(1000);
});

test('three clients of four keep their connection, the fourth opens one for each request', async () => {
  const seen = new Map<string, number>();
  const url = await serve((response) => {
    const client = `${response.socket?.remotePort}`;
    seen.set(client, (seen.get(client) ?? 0) + 1);
    whole(response);
  });
  const traffic = startTraffic({ ...options(url), workers: 4, pauseMs: 1 });
  await traffic.reach(60);
  const report = await traffic.stop();
  const kept = [...seen.values()].filter((requests) => requests > 1);
  expect(report.failed).toBe(0);
  expect(kept).toHaveLength(3);
  expect(seen.size).toBeGreaterThan(10);
});

test('traffic in a process of its own gives the same report', async () => {
  const url = await serve((response, path) =>
    path === '/a' ? whole(response) : response.writeHead(404).end(),
  );
  const traffic = await startTrafficProcess(options(url));
  await traffic.reach(20);
  const report = await traffic.stop();
  expect(report.requests).toBeGreaterThan(10);
  expect(report.failed).toBe(report.statuses[404]);
  expect(report.requests).toBe((report.statuses[200] ?? 0) + report.failed);
});

const whole = (response: ServerResponse): unknown =>
  response.writeHead(200, { 'content-length': 4 }).end('end\n');

const options = (url: string): TrafficOptions => ({
  url,
  workers: 2,
  paths: ['/a', '/b'],
  lateMs: 5000,
  bodyEnd: 'end\n',
});

async function serve(respond: (response: ServerResponse, path: string) => unknown): Promise<string> {
  const server = createServer((request, response) => respond(response, request.url ?? ''));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('uploads are sent in pieces over their time, and their answer must have counted every byte', async () => {
  const took: number[] = [];
  let answeredMs = performance.now();
  const url = await serve((response) => {
    let bytes = 0;
    response.req.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    response.req.on('end', () => {
      const nowMs = performance.now();
      took.push(nowMs - answeredMs);
      answeredMs = nowMs;
      const body = `received ${bytes}\nend\n`;
      response.writeHead(200, { 'content-length': body.length }).end(body);
    });
  });
  const uploads = { path: '/upload', workers: 1, bytes: 5000, overMs: 100 };
  const report = await trafficOf({ ...options(url), workers: 0, uploads });
  expect(report).toMatchObject({ failed: 0, uploads: report.requests });
  expect(report.uploads).toBeGreaterThan(0);
  expect(Math.min(...took)).toBeGreaterThan(80);
});

test('rapid clients are counted as others are, and reach waits for as many as were asked for', async () => {
  const url = await serve((response) => whole(response));
  const traffic = startTraffic({ ...options(url), workers: 0, rapid: { path: '/', workers: 2 } });
  await traffic.reach(200);
  const report = await traffic.stop();
  expect(report).toMatchObject({ failed: 0, statuses: { 200: report.requests } });
  expect(report.requests).toBeGreaterThanOrEqual(200);
});

async function trafficOf(given: TrafficOptions): Promise<TrafficReport> {
  const traffic = startTraffic(given);
  await sleep(200);
  return traffic.stop();
}

const trafficAgainst = async (
  respond: (response: ServerResponse) => unknown,
  lateMs = 5000,
): Promise<TrafficReport> => trafficOf({ ...options(await serve(respond)), lateMs });

function expectAllFailed(report: TrafficReport, failure: { kind: string; reason?: string }): void {
  expect(report.requests).toBeGreaterThan(0);
  expect(report.failed).toBe(report.requests);
  expect(report.failures[0]).toMatchObject(failure);
}
