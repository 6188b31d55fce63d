import { createHash } from 'node:crypto';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * What to do with a chunk on its way to the server: `forward and cut` loses the answer, `cut and forward later` also
 * lets the server finish only after the client knows, `swallow` leaves both waiting. A number is of the bytes that still
 * arrive before the cut.
 */
export type Verdict = 'forward' | 'cut' | 'forward and cut' | 'cut and forward later' | 'swallow' | number;

/** `forward and end` is what PostgreSQL does to a connection that it ends just after an answer. */
export type ServerVerdict = 'forward' | 'cut' | 'swallow' | 'forward and end';

const LATER_MS = 300;
const LENGTH_BYTES = 4;

/** A link to a server that a test can cut at a chosen message. */
export class TcpProxy {
  onClientData: (chunk: Buffer) => Verdict = () => 'forward';
  onServerData: (chunk: Buffer) => ServerVerdict = () => 'forward';
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async to(serverUrl: string): Promise<TcpProxy> {
    const target = new URL(serverUrl);
    const holder: { proxy?: TcpProxy } = {};
    const server = createServer((client) => holder.proxy?.link(client, Number(target.port), target.hostname));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = new URL(serverUrl);
    url.hostname = '127.0.0.1';
    url.port = String((server.address() as AddressInfo).port);
    holder.proxy = new TcpProxy(server, url.href);
    return holder.proxy;
  }

  /** Cuts every link and refuses new ones. */
  async down(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** Accepts links again after `down`. */
  async up(): Promise<void> {
    await new Promise<void>((resolve) =>
      this.server.listen(Number(new URL(this.url).port), '127.0.0.1', resolve),
    );
  }

  private link(client: Socket, port: number, host: string): void {
    const upstream = connect(port, host);
    for (const socket of [client, upstream]) {
      this.sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => this.sockets.delete(socket));
    }
    client.on('data', (chunk) => {
      const verdict = this.onClientData(chunk);
      if (verdict === 'swallow') return;
      if (verdict === 'cut') upstream.destroy();
      else if (typeof verdict === 'number') upstream.end(chunk.subarray(0, verdict));
      else if (verdict === 'cut and forward later') setTimeout(() => upstream.end(chunk), LATER_MS);
      else upstream.write(chunk);
      if (verdict !== 'forward') client.destroy();
      if (verdict === 'cut and forward later') client.removeAllListeners('close');
    });
    upstream.on('data', (chunk) => {
      const verdict = this.onServerData(chunk);
      if (verdict === 'cut') client.destroy();
      else if (verdict === 'forward and end') client.end(Buffer.concat([chunk, farewell()]));
      else if (verdict === 'forward') client.write(chunk);
    });
    client.on('close', () => upstream.end());
    upstream.on('close', () => client.destroy());
  }
}

/** The error with which PostgreSQL ends a connection, as after `pg_terminate_backend`. */
function farewell(): Buffer {
  const fields = ['SFATAL', 'VFATAL', 'C57P01', 'Mterminating connection due to administrator command'];
  const body = Buffer.from(`${fields.join('\0')}\0\0`);
  const head = Buffer.alloc(1 + LENGTH_BYTES);
  head.write('E');
  head.writeUInt32BE(body.length + LENGTH_BYTES, 1);
  return Buffer.concat([head, body]);
}

/** Where a message last says this statement, in full or by the name that it is prepared under; -1 for nowhere. */
export function positionOf(statement: string, chunk: Buffer): number {
  const name = `_${createHash('sha256').update(statement).digest('hex').slice(0, 24)}`;
  return Math.max(chunk.lastIndexOf(statement), chunk.lastIndexOf(name));
}
