import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Conversation, type Point } from './conversation';
import { MessageReader } from './wire';

/** How long the server goes on believing in a client that gave up a black-holed link. */
const BLACK_HOLE_LINGER_MS = 6_000;
/** The message that asks for the answers that there are. */
const FLUSH = Buffer.from([0x48, 0, 0, 0, 4]);

/**
 * Asked before a message that stands at a point is passed on. It may do something to the link or to its lane; whatever
 * the lane still lets through is passed on after it.
 */
export type Watch = (points: Point[], link: Link, lane: Lane) => void;

/** One direction of a link. */
export class Lane {
  private state: 'open' | 'mute' | 'held' | 'swallowing' = 'open';
  private waiting: Buffer[] = [];

  constructor(private readonly to: Socket) {}

  send(bytes: Buffer): void {
    if (this.state === 'open' && !this.to.destroyed) this.to.write(bytes);
    if (this.state === 'mute' || this.state === 'held') this.waiting.push(bytes);
  }

  /** Holds everything back for a while. */
  mute(ms: number): void {
    if (this.state !== 'open') return;
    this.state = 'mute';
    setTimeout(() => {
      if (this.state === 'mute') this.open();
    }, ms);
  }

  /** Holds everything back until the lane is let go or swallows it. */
  hold(): void {
    if (this.state !== 'swallowing') this.state = 'held';
  }

  letGo(): void {
    if (this.state === 'held') this.open();
  }

  /** Lets nothing through any more. */
  swallow(): void {
    this.state = 'swallowing';
    this.waiting = [];
  }

  private open(): void {
    this.state = 'open';
    for (const bytes of this.waiting.splice(0)) this.send(bytes);
  }
}

/** One connection between an app and PostgreSQL. */
export class Link {
  readonly toServer: Lane;
  readonly toClient: Lane;
  private readonly conversation = new Conversation();
  private isBlackHole = false;
  private tellWritten: (isWritten: boolean) => void = () => undefined;

  constructor(
    private readonly client: Socket,
    private readonly server: Socket,
    private readonly watch: Watch,
    closed: (link: Link) => void,
  ) {
    this.toServer = new Lane(server);
    this.toClient = new Lane(client);
    this.listen(client, new MessageReader('client'), this.toServer);
    this.listen(server, new MessageReader('server'), this.toClient);
    client.on('close', () => {
      closed(this);
      this.tellWritten(false);
      setTimeout(() => server.destroy(), this.isBlackHole ? BLACK_HOLE_LINGER_MS : 0);
    });
    server.on('close', () => {
      this.tellWritten(false);
      if (!this.isBlackHole) client.destroy();
    });
  }

  /** The process of PostgreSQL at the other end, once it has said who it is and until it is gone. */
  get backendPid(): number | undefined {
    return this.server.destroyed ? undefined : this.conversation.backendPid;
  }

  /** The app waits for an answer. */
  get isBusy(): boolean {
    return this.conversation.isBusy;
  }

  /** Statements that PostgreSQL has cancelled on it. */
  get cancelled(): number {
    return this.conversation.cancelled;
  }

  /** For whoever stands at `grant inside`, once it is known: whether the write before that was done. */
  written(): Promise<boolean> {
    return new Promise((resolve) => {
      this.tellWritten = resolve;
      this.lookAtWrite();
      // what is held may hold the Sync up to which the server keeps its answers to itself
      this.server.write(FLUSH);
    });
  }

  private lookAtWrite(): void {
    const { written } = this.conversation;
    if (written !== undefined) this.tellWritten(written === 'done');
  }

  /** Both sides find the connection reset. */
  cut(): void {
    this.toServer.swallow();
    this.toClient.swallow();
    this.client.resetAndDestroy();
    this.server.resetAndDestroy();
  }

  /** Nothing comes through and nobody is told. */
  blackHole(): void {
    this.isBlackHole = true;
    this.toServer.swallow();
    this.toClient.swallow();
  }

  close(): void {
    this.client.destroy();
    this.server.destroy();
  }

  private listen(from: Socket, reader: MessageReader, lane: Lane): void {
    const understand = lane === this.toServer ? 'ask' : 'answer';
    from.setNoDelay(true);
    from.on('error', () => undefined);
    from.on('data', (chunk) => {
      for (const message of reader.push(chunk)) {
        const points = this.conversation[understand](message);
        if (points.length > 0) this.watch(points, this, lane);
        lane.send(message.bytes);
        if (lane === this.toClient) this.lookAtWrite();
      }
    });
  }
}

/** The way of one app to PostgreSQL. It stays where it is when the app or PostgreSQL start anew. */
export class Proxy {
  readonly links = new Set<Link>();

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async to(databaseUrl: string, watch: Watch): Promise<Proxy> {
    const url = new URL(databaseUrl);
    const port = Number(url.port);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url.port = String((server.address() as AddressInfo).port);
    const proxy = new Proxy(server, url.href);
    server.on('connection', (client) => {
      const upstream = connect(port, '127.0.0.1');
      proxy.links.add(new Link(client, upstream, watch, (link) => proxy.links.delete(link)));
    });
    return proxy;
  }

  close(): void {
    this.server.close();
    for (const link of this.links) link.close();
  }
}
