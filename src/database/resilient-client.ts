import type { Socket } from 'node:net';
import { Client, type ClientConfig } from 'pg';

const TRANSACTION_ROLLBACK = '40000';
const STALE_PLAN = '0A000';
/** Statements that are prepared. Some are written anew for each length of a list: there must be an end to it. */
const MAX_PREPARED = 500;
/** One with more values is of a long list, and will hardly come again. */
const MAX_VALUES = 64;

export interface ResilientClientConfig extends ClientConfig {
  /** Prepare each statement once per connection, under a name. Some poolers cannot keep them apart. */
  preparedStatements?: boolean;
}

type Query = (...args: unknown[]) => unknown;

/**
 * A connection that fails without harm to others, and that waits for no answer nobody needs.
 *
 * When the server ends one, it says so to whoever uses it and once more as an `error` event. While the pool hands it
 * from one user to the next nobody listens for that event, and one that is not heard ends the process (seen with
 * `pg_terminate_backend` under load). When the link falls silent, pg gives up on the query and keeps the connection,
 * and the next user waits for nothing in turn: it is cut instead, so that the pool opens another.
 */
export class ResilientClient extends Client {
  /** The latest START TRANSACTION, which is under way together with what follows it. */
  private begun: Promise<unknown> = Promise.resolve();

  constructor(private readonly settings: ResilientClientConfig = {}) {
    super(settings);
    this.on('error', () => undefined);
    const send = this.query.bind(this) as Query;
    const guarded: Query = (...args) => {
      this.gather();
      const result = send(...this.prepared(args));
      if (!(result instanceof Promise)) return result;
      result.catch((error: unknown) => this.cutIfUseless(error));
      if (args[0] === 'START TRANSACTION') return this.begin(result);
      return args[0] === 'COMMIT' ? this.commit(result) : result;
    };
    this.query = guarded as typeof this.query;
  }

  /** What is asked in one turn goes out in one packet, and wakes the server once. */
  private gather(): void {
    const { stream } = (this as unknown as { connection: { stream: Socket } }).connection;
    stream.cork();
    process.nextTick(() => stream.uncork());
  }

  /** Whoever begins goes on at once, which saves a round trip: if this fails, so does the COMMIT. */
  private begin(started: Promise<unknown>): Promise<object> {
    this.begun = started;
    return Promise.resolve({ command: 'START', rows: [] });
  }

  private async commit(ended: Promise<unknown>): Promise<unknown> {
    const [, result] = await Promise.all([this.begun, ended]);
    return assertCommitted(result as { command: string });
  }

  private prepared([text, values, ...others]: unknown[]): unknown[] {
    const isNameable = Array.isArray(values) && values.length <= MAX_VALUES && typeof text === 'string';
    const name = this.settings.preparedStatements && isNameable ? nameOf(text) : undefined;
    return name === undefined ? [text, values, ...others] : [{ name, text, values }, ...others];
  }

  private cutIfUseless(error: unknown): void {
    const { message, code } = error as { message?: unknown; code?: unknown };
    // a migration changed what a prepared statement returns, which this connection will say for ever
    const isStale = code === STALE_PLAN && String(message).startsWith('cached plan');
    // with a query under way this cuts the socket, and the pool will not take the connection back
    if (isStale || message === 'Query read timeout') this.end().catch(() => undefined);
  }
}

/** PostgreSQL ends a transaction in which a statement failed with ROLLBACK, and calls that no error. We do, by its name. */
function assertCommitted(result: { command: string }): unknown {
  if (result.command === 'COMMIT') return result;
  const error = new Error(`COMMIT was answered with ${result.command}`);
  throw Object.assign(error, { severity: 'ERROR', code: TRANSACTION_ROLLBACK });
}

/** The same text has the same name on every connection. */
const names = new Map<string, string>();

function nameOf(text: string): string | undefined {
  if (!names.has(text) && names.size < MAX_PREPARED) names.set(text, `amba_${names.size}`);
  return names.get(text);
}
