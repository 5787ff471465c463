// Drives the balancer of sluice's sandbox: one request as JSON on standard input, one answer on standard output.
// For another balancer, `capabilities`, `stateIn`, `countsIn` and `api` are to be written anew.
import { json } from 'node:stream/consumers';

const { BALANCER_URL: url, BALANCER_TOKEN: token } = process.env;

const capabilities = {
  drain: 'hard',
  sessions: 'exact',
  settleMs: 0,
  successor: { rotation: 'kept', requests: 'counted' },
  weights: 'server',
  flip: 'kept',
  counters: true,
};

const verbs = {
  capabilities: () => capabilities,
  observe: async () => stateIn(await api('GET', '/servers')),
  count: async () => countsIn(await api('GET', '/servers')),
  change: ({ changes }) => patch(changes, ({ to }) => ({ rotation: to })),
  async shift({ changes }) {
    const { servers } = await api('GET', '/servers');
    return patch(changes, ({ server, to }) => ({ weight: weightAt(to, servers, server) }));
  },
  flip: async ({ to }) => stateIn(await api('PATCH', '/pool', { to })),
};

// The answer shows the state after the change: sluice looks whether it is what it wanted.
const patch = async (changes, told) =>
  stateIn(await api('PATCH', '/servers', Object.fromEntries(changes.map((one) => [one.server, told(one)]))));

function weightAt(percent, servers, name) {
  const { configuredWeight } = servers.find((server) => server.name === name);
  const weight = Math.floor((configuredWeight * percent) / 100);
  if (percent - percentOf(weight, configuredWeight) < 1) return weight;
  throw refusal(`of the weight ${configuredWeight} of ${name} there is no ${percent} %`);
}

const percentOf = (weight, configured) => (configured === 0 ? 0 : (100 * weight) / configured);

// One process, so one member. A server without weight gets nothing, whatever it was told.
const stateIn = ({ incarnation, pool, servers }) =>
  memberOf({ incarnation, pool }, servers, ({ rotation, health, inFlight, weight, configuredWeight }) => ({
    rotation: rotation === 'in' && weight === 0 ? 'draining' : rotation,
    health,
    sessions: inFlight,
    weight: percentOf(weight, configuredWeight),
  }));

const countsIn = ({ incarnation, pool, servers }) =>
  memberOf({ incarnation, pool }, servers, ({ answered, failures, refused, responseMs }) => ({
    answers: { requests: answered, errors: failures, refused, responseMs },
  }));

const memberOf = (process, servers, show) => ({
  members: [
    {
      name: url,
      ...process,
      servers: servers.map((server) => ({ node: server.name, server: server.name, ...show(server) })),
    },
  ],
});

async function api(method, path, body) {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw refusal(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

const refusal = (message) => Object.assign(new Error(message), { code: 'refused' });

async function answer() {
  const request = await json(process.stdin);
  if (request.version !== 1 || !Object.hasOwn(verbs, request.verb))
    throw refusal(`version ${request.version} of ${request.verb} is not known`);
  return verbs[request.verb](request);
}

// Whatever is no refusal may be better the next time: then sluice asks again for a while.
const failed = ({ code, message }) => ({
  error: { code: code === 'refused' ? code : 'unreachable', message },
});
process.stdout.write(JSON.stringify(await answer().catch(failed)));
