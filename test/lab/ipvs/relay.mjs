// Passes connections on, from one address to another. An address is host:port, or the path of a socket.
import { connect, createServer } from 'node:net';

const target = (address) => {
  if (address.startsWith('/')) return { path: address };
  const [host, port] = address.split(':');
  return { host, port: Number(port) };
};

const [from, to] = process.argv.slice(2);
createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
  const server = connect({ ...target(to), allowHalfOpen: true, noDelay: true });
  client.pipe(server).pipe(client);
  client.on('error', () => server.destroy());
  server.on('error', () => client.destroy());
}).listen(target(from));
