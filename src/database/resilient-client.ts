import type { Socket } from 'node:net';
import { Client, type ClientConfig, type Connection } from 'pg';
import { isStalePlan } from '../common/database-error';
import { PreparedStatements } from './prepared-statements';

const TRANSACTION_ROLLBACK = '40000';
const BEGIN = 'START TRANSACTION';
const COMMIT = 'COMMIT';

export interface ResilientClientConfig extends ClientConfig {
  /** Prepare each statement once per connection, under a name. Some poolers cannot keep them apart. */
  preparedStatements?: boolean;
  /**
   * How long the server may be silent while an answer is due, in ms; for ever if not given. pg's own `query_timeout` counts
   * for each statement from when it was sent, so that a few lock waits of one flight look to it like a dead link.
   */
  silenceTimeoutMs?: number;
}

type Ask = (config: unknown, values?: unknown, callback?: unknown) => unknown;

/**
 * A connection that fails without harm to others, and that waits for no answer nobody needs.
 *
 * When the server ends one, it says so to whoever uses it and once more as an `error` event. While the pool hands it
 * from one user to the next nobody listens for that event, and one that is not heard ends the process (seen with
 * `pg_terminate_backend` under load).
 *
 * When the link falls silent while an answer is due, it is cut: all that wait hear `Query read timeout`, and the pool opens
 * another. A prepared statement that a migration made stale is prepared again, and sent again where nothing can depend on
 * it; in a transaction, which it undid, `inTransaction` does so with all of it.
 */
export class ResilientClient extends Client {
  /**
   * The next START TRANSACTION is not waited for by what is asked in the same turn. Should it fail, that has run outside
   * of a transaction, and must do no harm there; nothing that comes later is sent.
   */
  beginsWithNext = false;
  declare readonly connection: Connection & { stream: Socket; parsedStatements: Record<string, string> };
  /** pg's: no answer is due. */
  declare private readonly readyForQuery: boolean;
  /** A START TRANSACTION that was not waited for, until it has succeeded. */
  private begun: Promise<unknown> | undefined;
  private isBeginning = false;
  private readonly statements: PreparedStatements | undefined;
  private readonly ask = super.query.bind(this) as Ask;

  constructor(private readonly settings: ResilientClientConfig = {}) {
    super(settings);
    this.on('error', () => undefined);
    this.once('connect', () => this.watch());
    if (settings.preparedStatements) {
      const statements = new PreparedStatements(this.connection);
      this.connection.on('errorMessage', (error) => isStalePlan(error) && statements.expire());
      this.statements = statements;
    }
    this.query = this.queryInOrder.bind(this) as typeof this.query;
  }

  /** Lets the server be silent for so long, in ms, from now on; without a number for as long as configured. */
  allowSilence(ms = this.settings.silenceTimeoutMs ?? 0): void {
    this.connection.stream.setTimeout(ms);
  }

  /** The socket's own timer, which node moves on whenever something is written or read. */
  private watch(): void {
    const { stream } = this.connection;
    stream.on('timeout', () => {
      if (this.readyForQuery) return;
      const heard = stream.bytesRead;
      // after a pause of this process timers come first, and the answer may lie there unread
      setImmediate(() => {
        if (!this.readyForQuery && stream.bytesRead === heard)
          stream.destroy(new Error('Query read timeout'));
      });
    });
    this.allowSilence();
  }

  private queryInOrder(config: unknown, values?: unknown, callback?: unknown): unknown {
    if (config === BEGIN) return this.begin(this.send(config, values, callback));
    return this.begun === undefined || this.isBeginning
      ? this.send(config, values, callback)
      : this.begun.then(() => this.send(config, values, callback));
  }

  private begin(started: unknown): unknown {
    this.begun = undefined;
    if (!this.beginsWithNext) return started;
    this.beginsWithNext = false;
    this.begun = started as Promise<unknown>;
    this.begun.then(
      () => (this.begun = undefined),
      () => undefined,
    );
    this.isBeginning = true;
    process.nextTick(() => (this.isBeginning = false));
    return Promise.resolve({ command: 'START', rows: [] });
  }

  private send(config: unknown, values?: unknown, callback?: unknown): unknown {
    this.gather();
    if (this.statements && typeof config === 'string' && Array.isArray(values))
      return this.sendPrepared(config, values, callback);
    const answer = this.ask(config, values, callback);
    return config === COMMIT && answer instanceof Promise ? answer.then(assertCommitted) : answer;
  }

  /** What is asked in one turn goes out in one packet, and wakes the server once. */
  private gather(): void {
    const { stream } = this.connection;
    if (stream.writableCorked > 0) return;
    stream.cork();
    process.nextTick(() => stream.uncork());
  }

  private sendPrepared(text: string, values: unknown[], callback: unknown): unknown {
    const isAlone = this.readyForQuery && this.getTransactionStatus() === 'I';
    const answer = this.ask(this.prepared(text, values), callback);
    if (!isAlone || !(answer instanceof Promise)) return answer;
    // a transaction of its own, which a refusal has undone
    return answer.catch((error: unknown) => {
      if (!isStalePlan(error)) throw error;
      return this.ask(this.prepared(text, values));
    });
  }

  private prepared(text: string, values: unknown[]): object {
    return { name: this.statements?.nameOf(text, values), text, values };
  }
}

/** PostgreSQL ends a transaction in which a statement failed with ROLLBACK, and calls that no error. We do, by its name. */
function assertCommitted(result: unknown): unknown {
  const { command } = result as { command: string };
  if (command === COMMIT) return result;
  const error = new Error(`COMMIT was answered with ${command}`);
  throw Object.assign(error, { severity: 'ERROR', code: TRANSACTION_ROLLBACK });
}
