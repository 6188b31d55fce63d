import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer,
  STATUS_CODES,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { Server as NetServer, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { ApiError, errorBody } from './common/api-error';
import type { ErrorCode } from './common/error-catalogue';
import { answerError, answerJson } from './common/plain-answer';
import { asRequest, noteOfRequest, type IdentifiedRequest } from './common/request-context';
import { StartupError } from './common/startup-error';
import type { RequestLog } from './http.log';
import { traceRequest } from './http.tracing';
import { bareSecurityHeaders } from './security-headers';

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
/** Node looks for slow clients this often; its default of 30 s would let them live that much longer. */
const CONNECTIONS_CHECKING_INTERVAL_MS = 1_000;
/** A client that takes nothing of its answer for this long is cut off; what waits for it takes memory. */
const DEAF_TIMEOUT_MS = 30_000;
/** Requests of one connection that may wait for their answers. Clients send one at a time. */
const MAX_WAITING = 10;
/** Requests of one connection that may arrive after its last answer was promised; each takes memory until then. */
const MAX_IGNORED = 1_000;
/** How long a shutdown waits for requests under way. */
const SHUTDOWN_TIMEOUT_MS = 10_000;
/** How long a connection that says nothing is left open, once no new ones are taken: its request may be on the way. */
const QUIET_MS = 500;
/** How long a shutdown goes on taking connections that queue, when more and more come. */
const QUEUE_TIMEOUT_MS = 1_000;
/** As the router reads them. */
const LIVE = /^\/health\/live\/?$/i;
const READY = /^\/health\/ready\/?$/i;

interface Connection {
  /** Requests without an answer. */
  readonly waiting: Set<ServerResponse>;
  /** An answer says that it is the last one. What comes after it is not done: nobody would hear of it. */
  isEnding: boolean;
}

interface ListenOptions {
  host: string;
  /** 0 lets the system choose. */
  port: number;
  /** One more is closed as soon as it comes; 0 or nothing for as many as come. */
  maxConnections?: number;
}

/**
 * The listening socket, from before there is a database until the last answer has left.
 *
 * Before it is opened to the application it answers for itself: alive, not ready. While it closes it says so at
 * `/health/ready` and in every answer (`Connection: close`), so that balancers and clients go elsewhere.
 */
export class FrontDoor {
  /** For the application to be put behind; it gets the requests from `open` on. */
  readonly server: Server = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: CONNECTIONS_CHECKING_INTERVAL_MS,
    // refused by the application, with the envelope
    requireHostHeader: false,
  });
  private application?: RequestListener;
  private closing = false;
  private accepted = 0;
  private readonly connections = new Map<Socket, Connection>();

  /** @param log hears of every request, and of what could not be read as one */
  constructor(private readonly log?: RequestLog) {
    this.server.on('connection', (socket) => {
      this.accepted += 1;
      const waiting = new Set<ServerResponse>();
      this.connections.set(socket, { waiting, isEnding: false });
      socket.on('close', () => {
        this.connections.delete(socket);
        waiting.forEach(endUnheard);
      });
    });
    this.server.setTimeout(DEAF_TIMEOUT_MS, (socket) => this.cutIfUseless(socket));
    this.server.on('request', (incoming, response) =>
      asRequest(incoming, response, (request, facts) => {
        this.log?.watch(request, response, facts);
        traceRequest(request, response, () => this.receive(request, response));
      }),
    );
    // node would answer these three on its own, without the envelope
    this.server.on('checkExpectation', ({ socket }) => this.answerUnreadable(undefined, socket));
    this.server.on('connect', (_, socket) => this.answerUnreadable(undefined, socket as Socket));
    this.server.on('clientError', (error, socket) => this.answerUnreadable(error, socket as Socket));
  }

  /** @returns the URL. @throws StartupError when the port is taken or the address is not of this machine */
  async listen({ host, port, maxConnections = 0 }: ListenOptions): Promise<string> {
    if (maxConnections > 0) this.server.maxConnections = maxConnections;
    try {
      await once(this.server.listen(port, host), 'listening');
    } catch (error) {
      throw cannotListen(error as NodeJS.ErrnoException, host, port);
    }
    const { port: actual } = this.server.address() as AddressInfo;
    const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
    return `http://${name}:${actual}`;
  }

  open(application: RequestListener): void {
    this.application = application;
  }

  /**
   * Goes on serving for `drainMs`, for balancers to notice, then takes no new connection. Resolves when every request
   * that was begun has its answer; one that takes longer than 10 s is cut.
   */
  async close(drainMs: number): Promise<void> {
    if (!this.server.listening) return;
    this.closing = true;
    await sleep(drainMs);
    await this.acceptQueue();
    const cut = setTimeout(() => this.server.closeAllConnections(), SHUTDOWN_TIMEOUT_MS);
    const closed = once(this.server, 'close');
    // not as HTTP servers close: they end kept connections at once, whose next request may be on the way
    NetServer.prototype.close.call(this.server);
    const sweep = setInterval(() => this.closeSilentConnections(), QUIET_MS);
    await closed;
    clearInterval(sweep);
    clearTimeout(cut);
  }

  /** The system resets the connections that still queue when we close; node takes one at each turn of its loop. */
  private async acceptQueue(): Promise<void> {
    const deadline = Date.now() + QUEUE_TIMEOUT_MS;
    let before: number;
    do {
      before = this.accepted;
      await nextTurn();
    } while (before !== this.accepted && Date.now() < deadline);
  }

  private closeSilentConnections(): void {
    this.server.closeIdleConnections();
    // to node a connection that never said anything is not idle
    for (const socket of this.connections.keys()) if (socket.bytesRead === 0) socket.destroy();
  }

  /** Nothing moved for a while: neither an answer that we are still working on, nor a kept connection in its time. */
  private cutIfUseless(socket: Socket): void {
    if (this.connections.get(socket)?.waiting.size === 0 || socket.writableLength > 0) socket.destroy();
  }

  private receive(request: IdentifiedRequest, response: ServerResponse): void {
    const { socket } = request;
    const connection = this.connections.get(socket);
    if (connection === undefined) return;
    const { waiting } = connection;
    waiting.add(response);
    response.on('close', () => waiting.delete(response));
    if (connection.isEnding) {
      if (waiting.size > MAX_IGNORED) socket.destroy();
      return;
    }
    // node runs all requests that arrive together
    const isTooMany = waiting.size > MAX_WAITING;
    if (isTooMany || this.closing) {
      connection.isEnding = true;
      response.setHeader('Connection', 'close');
    }
    if (isTooMany) refuse(request, response, TOO_MANY_WAITING);
    else this.serve(request, response);
  }

  private serve(request: IdentifiedRequest, response: ServerResponse): void {
    const path = request.url?.split('?', 1)[0] ?? '';
    if (this.application && !(this.closing && READY.test(path))) this.application(request, response);
    else if (LIVE.test(path))
      answerJson(response.setHeaders(bareSecurityHeaders()), 200, { data: { status: 'ok' } });
    else refuse(request, response, new ApiError('SERVICE_UNAVAILABLE'));
  }

  /** What never became a request still gets the envelope. */
  private answerUnreadable(cause: NodeJS.ErrnoException | undefined, socket: Socket): void {
    if (cause?.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const error = unreadable(cause);
    const request_id = randomUUID();
    this.log?.unreadable({
      request_id,
      status: error.status,
      code: error.code,
      address: socket.remoteAddress,
    });
    writeError(socket, error, request_id);
  }
}

/** Node tells it to the answer whose turn it is, and to none that waits behind it. */
function endUnheard(response: ServerResponse): void {
  if (response.socket === null) response.emit('close');
}

function cannotListen(error: NodeJS.ErrnoException, host: string, port: number): StartupError {
  const message =
    error.code === 'EADDRINUSE'
      ? `Port ${port} is taken. Stop what listens there, or start with another one: PORT=3001 npm start`
      : `Cannot listen on ${host}:${port} (${error.code}). Set HOST and PORT to an address of this machine.`;
  return new StartupError(message, { cause: error });
}

const TOO_MANY_WAITING = new ApiError('RATE_LIMITED', {
  message: `More than ${MAX_WAITING} requests wait on this connection. Send the next one after an answer.`,
});

function refuse({ id }: IdentifiedRequest, response: ServerResponse, error: ApiError): void {
  noteOfRequest({ code: error.code });
  response.setHeaders(bareSecurityHeaders()).setHeader('Retry-After', '1');
  answerError(response, error, id);
}

const CODE_BY_NODE_ERROR: Record<string, ErrorCode> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT',
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
};

function unreadable(cause: NodeJS.ErrnoException | undefined): ApiError {
  return new ApiError(CODE_BY_NODE_ERROR[cause?.code ?? ''] ?? 'INVALID_INPUT');
}

/** The envelope, where there is no response to write it to. */
function writeError(socket: Duplex, error: ApiError, requestId: string): void {
  const body = JSON.stringify(errorBody(error, requestId));
  socket.end(
    [
      `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      `X-Request-Id: ${requestId}`,
      ...Array.from(bareSecurityHeaders(), ([name, value]) => `${name}: ${value}`),
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
    // half-open otherwise: a client that ignores our end would keep its place
    () => socket.destroy(),
  );
}
