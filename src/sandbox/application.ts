import { restartProgram } from './supervisor.ts';

/**
 * The files of one version of the sandbox's web application, by their path in its repository. It needs nothing but
 * Node.js, reads its code and settings at start (so a new release needs a restart), and answers
 * `/` with its release and version, `/health` with `release <id> revision <sha>`, and `/slow?ms=3000` in ten pieces
 * over that time. Each answer has its length and ends with `end`, so that a truncated one shows.
 */
export const applicationFiles = (settings: ApplicationSettings): Readonly<Record<string, string>> => ({
  'server.mjs': serverProgram,
  'bin/restart.mjs': restartProgram,
  'settings.json': `${JSON.stringify(settings, null, 2)}\n`,
});

export interface ApplicationSettings {
  readonly version: number;
  /** How long it takes from its start until it listens. */
  readonly bootMs: number;
  /** Without one the application starts, but its `/health` answers 500. */
  readonly greeting?: string;
}

/** What every whole answer of the application ends with. */
export const answerEnd = 'end\n';

const serverProgram = `// A small web application. HOST and PORT say where it listens.
import { readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const read = (file) => readFileSync(join(folder, file), 'utf8').trim();
const release = basename(folder);
const revision = read('REVISION');
const { version, bootMs, greeting } = JSON.parse(read('settings.json'));

const pages = {
  '/': (_, response) => answer(response, 200, \`\${greeting ?? 'Hello'} from release \${release} version \${version}\`),
  '/health': (_, response) =>
    greeting === undefined
      ? answer(response, 500, 'settings.json has no greeting')
      : answer(response, 200, \`release \${release} revision \${revision}\`),
  '/slow': slow,
};

function answer(response, status, text) {
  const body = \`\${text}\\nend\\n\`;
  response.writeHead(status, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(body) }).end(body);
}

async function slow({ searchParams }, response) {
  const pieceMs = Math.min(Number(searchParams.get('ms') ?? 1000), 60_000) / 10;
  const pieces = [...Array(9).keys()].map((n) => \`piece \${n} of release \${release}\\n\`).concat('end\\n');
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(pieces.join('')) });
  for (const piece of pieces) {
    await sleep(pieceMs);
    response.write(piece);
  }
  response.end();
}

const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
  const url = new URL(request.url, 'http://application');
  const page = pages[url.pathname];
  if (page) page(url, response);
  else answer(response, 404, 'no such page');
});

// Requests in flight are answered; the process ends with the last of them.
process.on('SIGTERM', () => {
  if (!server.listening) process.exit(0);
  server.close();
  setInterval(() => server.closeIdleConnections(), 20).unref();
});
process.on('exit', () => rmSync(join(folder, 'tmp/application.pid'), { force: true }));

await sleep(bootMs);
server.listen(Number(process.env.PORT), process.env.HOST, () => {
  console.log(\`release \${release} listens\`);
  if (process.connected) process.send('listening');
});
`;
