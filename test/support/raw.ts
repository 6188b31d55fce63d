import { connect, type Socket } from 'node:net';

/** A connection that sends the bytes that it is told, and keeps what comes back. */
export class RawClient {
  received = '';
  readonly closed: Promise<string>;
  readonly socket: Socket;

  constructor(url: string, { allowHalfOpen = false } = {}) {
    this.socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (chunk) => (this.received += String(chunk)));
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => this.socket.on('close', () => resolve(this.received)));
  }

  send(bytes: string): this {
    this.socket.write(Buffer.from(bytes, 'latin1'));
    return this;
  }
}

/** What the server says to these bytes until it closes the connection. */
export function exchange(url: string, bytes: string): Promise<string> {
  return new RawClient(url).send(bytes).closed;
}

export interface RawAnswer {
  status: number;
  code?: string;
  body: string;
}

/** The answers on one connection, in the order in which they came. */
export function answersIn(received: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = received;
  while (rest.startsWith('HTTP/1.1 ')) {
    const [head = ''] = rest.split('\r\n\r\n', 1);
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    const body = rest.slice(head.length + 4, head.length + 4 + length);
    const code = body.startsWith('{"error"') ? JSON.parse(body).error.code : undefined;
    answers.push({ status: Number(head.slice(9, 12)), code, body });
    rest = rest.slice(head.length + 4 + length);
  }
  if (rest !== '') throw new Error(`Bytes that are no answer: ${JSON.stringify(rest.slice(0, 200))}`);
  return answers;
}
