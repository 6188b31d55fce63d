/**
 * The messages of the PostgreSQL protocol, version 3, out of a stream that is cut into chunks anywhere.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export interface Message {
  /** One letter; empty for what a client says first, which has none. */
  type: string;
  body: Buffer;
  /** All of it, as it came. */
  bytes: Buffer;
}

const LENGTH_BYTES = 4;
const PROTOCOL_3 = 196_608;

export class MessageReader {
  private rest: Buffer = Buffer.alloc(0);
  private greeted: boolean;

  /** @param from clients begin with a message without a type */
  constructor(from: 'client' | 'server') {
    this.greeted = from === 'server';
  }

  /** The messages that are complete with this chunk. @throws Error for anything but plain protocol 3 */
  push(chunk: Buffer): Message[] {
    this.rest = Buffer.concat([this.rest, chunk]);
    const messages: Message[] = [];
    for (let message = this.next(); message; message = this.next()) messages.push(message);
    return messages;
  }

  private next(): Message | undefined {
    const typeBytes = this.greeted ? 1 : 0;
    const headBytes = typeBytes + LENGTH_BYTES;
    if (this.rest.length < headBytes) return undefined;
    const end = typeBytes + this.rest.readUInt32BE(typeBytes);
    if (this.rest.length < end) return undefined;
    const bytes = this.rest.subarray(0, end);
    const message = {
      type: bytes.toString('latin1', 0, typeBytes),
      body: bytes.subarray(headBytes),
      bytes,
    };
    if (!this.greeted && message.body.readUInt32BE(0) !== PROTOCOL_3) {
      throw new Error('Only clients that begin with protocol 3, without TLS, can be listened to.');
    }
    this.greeted = true;
    this.rest = this.rest.subarray(end);
    return message;
  }
}

/** The first strings of a message's body; each ends with a zero byte. */
export function strings(body: Buffer, count: number): string[] {
  const found: string[] = [];
  for (let start = 0; found.length < count;) {
    const end = body.indexOf(0, start);
    found.push(body.toString('utf8', start, end === -1 ? body.length : end));
    start = end === -1 ? body.length : end + 1;
  }
  return found;
}
