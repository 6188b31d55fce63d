import { connect, createServer } from 'node:net';
import { require as requireTypeScript } from 'tsx/cjs/api';

const { MessageReader } = requireTypeScript('../test/chaos/wire.ts', import.meta.url);

/** What a client sends before it waits: a statement, or the end of what it sent at once. */
const ASKS = ['Q', 'S'];
const READY = 'Z';

/**
 * Stands between a server and its PostgreSQL, and counts round trips: how often the server begins to wait for an answer.
 * What it sends without waiting between is one trip.
 *
 * @returns `url` to connect to, `trips()` so far, and `close()`
 */
export async function startRelay(databaseUrl) {
  const target = new URL(databaseUrl);
  const sockets = new Set();
  let trips = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    const [asked, answered] = [new MessageReader('client'), new MessageReader('server')];
    let open = 0;
    client.on('data', (chunk) => {
      const asks = asked.push(chunk).filter(({ type }) => ASKS.includes(type)).length;
      if (open === 0 && asks > 0) trips += 1;
      open += asks;
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      const done = answered.push(chunk).filter(({ type }) => type === READY).length;
      // the first one only says that the connection is there
      open = Math.max(0, open - done);
      client.write(chunk);
    });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = Object.assign(new URL(databaseUrl), {
    hostname: '127.0.0.1',
    port: String(server.address().port),
  });
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { url: url.href, trips: () => trips, close };
}
