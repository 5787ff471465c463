// Passes connections on: from each address to the one after it, two by two. An address is host:port, or the path of a socket.
import { connect, createServer } from 'node:net';

const target = (address) => {
  if (address.startsWith('/')) return { path: address };
  const [host, port] = address.split(':');
  return { host, port: Number(port) };
};

const addresses = process.argv.slice(2);
for (let i = 0; i < addresses.length; i += 2) {
  createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const server = connect({ ...target(addresses[i + 1]), allowHalfOpen: true, noDelay: true });
    client.pipe(server).pipe(client);
    client.on('error', () => server.destroy());
    server.on('error', () => client.destroy());
  }).listen(target(addresses[i]));
}
