import { nodeProgram } from './nodes.ts';

/** What sets one version of the lab's application apart from another. */
export interface Version {
  /** Its tag in the repository. */
  readonly tag: string;
  /** From its start until it listens. */
  readonly bootMs?: number;
  /** What `/health` answers; default 200. */
  readonly health?: number;
  /** So many answers of `/` are right for each one that is a 500; default: all are. */
  readonly errsAfter?: number;
  /** Exit status of its `build.sh` and of its `bin/restart`; default 0. */
  readonly build?: number;
  readonly restart?: number;
}

/**
 * The files of a version: a web application that needs nothing but Node.js, reads its code and its release at start
 * (so a release needs a restart), and on SIGTERM answers what is in flight. `/health` answers
 * `release <id> revision <sha>`; `/slow?ms=3000` answers in ten pieces over that time; `/upload` says how
 * many bytes it received; WebSockets echo; every answer has its length
 * and ends with `end`. It expects `log`, `tmp` and `.env` to be linked: HOST, PORT, and in FAILS the version whose
 * `/health` does not work on that node.
 */
export const applicationFiles = (version: Version): Readonly<Record<string, string>> => ({
  'server.mjs': serverProgram,
  'bin/restart': restartScript(version.restart ?? 0),
  'build.sh': `echo "building ${version.tag}"\necho ${version.tag} > built\nexit ${version.build ?? 0}\n`,
  version: `${version.tag}\n`,
  'settings.json': `${JSON.stringify({ version: version.tag, bootMs: version.bootMs ?? 0, health: version.health ?? 200, errsAfter: version.errsAfter ?? null })}\n`,
});

/** What every whole answer ends with. */
export const answerEnd = 'end\n';

const serverProgram = `import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const { version, bootMs, health, errsAfter } = JSON.parse(readFileSync(join(folder, 'settings.json'), 'utf8'));
const revision = readFileSync(join(folder, 'REVISION'), 'utf8').trim();
const release = basename(folder);
const healthNow = process.env.FAILS === version ? 500 : health;

let asked = 0;
const errs = () => errsAfter !== null && asked++ % (errsAfter + 1) === errsAfter;

const pages = {
  '/': (url, response) => answer(response, errs() ? 500 : 200, 'version ' + version + ' ' + '.'.repeat(400)),
  '/health': (url, response) =>
    answer(response, healthNow, healthNow === 200 ? 'release ' + release + ' revision ' + revision : 'no database here'),
  '/slow': slow,
  '/upload': upload,
};

function answer(response, status, text) {
  const body = text + '\\nend\\n';
  response.writeHead(status, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(body) }).end(body);
}

async function slow(url, response) {
  const pieces = [...Array(9).keys()].map((n) => 'piece ' + n + '\\n').concat('end\\n');
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(pieces.join('')) });
  for (const piece of pieces) {
    await sleep(Number(url.searchParams.get('ms') ?? 1000) / 10);
    response.write(piece);
  }
  response.end();
}

function upload(_url, response, request) {
  let bytes = 0;
  request.on('data', (chunk) => (bytes += chunk.length));
  request.on('error', () => {});
  request.on('end', () => answer(response, 200, 'received ' + bytes));
}

const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
  const url = new URL(request.url, 'http://application');
  (pages[url.pathname] ?? (() => answer(response, 404, 'no such page')))(url, response, request);
});
server.on('upgrade', (request, socket) => {
  const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + webSocketSalt).digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nupgrade: websocket\\r\\nconnection: Upgrade\\r\\n' +
    'sec-websocket-accept: ' + accept + '\\r\\n\\r\\n');
  socket.on('data', (frame) => socket.write(echoOf(frame)));
  socket.on('error', () => {});
  socket.on('end', () => socket.end());
});
// Short messages alone, one in a piece.
const webSocketSalt = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const echoOf = (frame) => {
  const mask = frame.subarray(2, 6);
  return Buffer.from([frame[0], frame[1] & 0x7f, ...frame.subarray(6).map((byte, i) => byte ^ mask[i % 4])]);
};
process.on('SIGTERM', () => {
  server.close(() => process.exit());
  setInterval(() => server.closeIdleConnections(), 20).unref();
  if (!server.listening) process.exit();
});
await sleep(bootMs);
server.listen(Number(process.env.PORT), process.env.HOST);
`;

/** Ends the application that runs for this site and starts this release; does not wait until it answers. */
const restartScript = (exit: number): string => `#!/bin/sh
set -eu
cd "$(dirname "$0")/.."
if pid=$(cat tmp/pid 2>/dev/null) && kill "$pid" 2>/dev/null; then
  waited=0
  while kill -0 "$pid" 2>/dev/null; do
    [ $waited -lt 40 ] || kill -9 "$pid" 2>/dev/null || :
    waited=$((waited + 1))
    sleep 0.05
  done
fi
set -a
. ./.env
set +a
[ ${exit} -eq 0 ] || { echo "the restart of this version fails" >&2; exit ${exit}; }
setsid ${nodeProgram} server.mjs >> log/app.log 2>&1 < /dev/null &
echo $! > tmp/pid
`;
