import type { Socket } from 'node:net';
import { Client, type ClientConfig, type Connection, type QueryResult } from 'pg';
import { isStalePlan } from '../common/database-error';
import { Flight } from './flight';
import { tracePacket } from './flight.tracing';
import { PreparedStatements } from './prepared-statements';

const TRANSACTION_ROLLBACK = '40000';
const BEGIN = 'START TRANSACTION';
const COMMIT = 'COMMIT';
const ROLLBACK = 'ROLLBACK';

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
 * A connection that fails without harm to others, and that waits for no answer nobody needs: what is asked in one turn
 * shares a round trip (`Flight`), START TRANSACTION with what comes after it, which does not run should that fail.
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
  declare readonly connection: Connection & { stream: Socket; parsedStatements: Record<string, string> };
  /** pg's: no answer is due. */
  declare private readonly readyForQuery: boolean;
  /** pg's: how values are read. */
  declare private readonly _types: unknown;
  /** What was asked in this turn, and leaves when it is over. */
  private flight: Flight | undefined;
  /** A START TRANSACTION that leaves with what is asked next. */
  private isToBegin = false;
  /** Only what is in one transaction shares a flight. */
  private isInTransaction = false;
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
    this.query = this.queryInFlight.bind(this) as typeof this.query;
  }

  /** Asks for what changes nothing, in one round trip. After one that fails, those behind it fail with the same error. */
  readTogether(reads: readonly { text: string; values: unknown[] }[]): Promise<QueryResult>[] {
    this.depart();
    const answers = reads.map(({ text, values }) => this.board(text, values));
    this.depart();
    return answers;
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

  private queryInFlight(config: unknown, values?: unknown, callback?: unknown): unknown {
    if (config === BEGIN) {
      this.isToBegin = true;
      this.isInTransaction = true;
      return Promise.resolve({ command: 'START', rows: [] });
    }
    if (config === COMMIT) return this.boardLast(COMMIT).then(assertCommitted);
    if (config === ROLLBACK) return this.boardLast(ROLLBACK);
    if (typeof config === 'string' && Array.isArray(values) && callback === undefined)
      return this.isInTransaction ? this.board(config, values) : this.askAlone(config, values);
    if (this.isToBegin) return this.boardBegin().then(() => this.queryInFlight(config, values, callback));
    this.depart();
    return this.ask(config, values, callback);
  }

  private board(text: string, values: unknown[] = []): Promise<QueryResult> {
    if (this.isToBegin) this.boardBegin().catch(() => undefined);
    if (this.flight === undefined) {
      this.flight = new Flight(this._types);
      process.nextTick(() => this.depart());
    }
    return this.flight.add(text, values, this.statements?.of(text, values));
  }

  private boardLast(text: string): Promise<QueryResult> {
    const answer = this.board(text);
    this.isInTransaction = false;
    return answer;
  }

  private boardBegin(): Promise<QueryResult> {
    this.isToBegin = false;
    return this.board(BEGIN);
  }

  private depart(): void {
    const { flight } = this;
    this.flight = undefined;
    if (flight === undefined) return;
    tracePacket(flight);
    this.ask(flight.query);
  }

  /** A transaction of its own, which ends with its Sync: it shares none, and a refusal has undone it. */
  private askAlone(text: string, values: unknown[]): Promise<QueryResult> {
    const ask = () => {
      this.depart();
      const answer = this.board(text, values);
      this.depart();
      return answer;
    };
    return ask().catch((error: unknown) => {
      if (!isStalePlan(error)) throw error;
      return ask();
    });
  }
}

/** PostgreSQL ends a transaction in which a statement failed with ROLLBACK, and calls that no error. We do, by its name. */
function assertCommitted(result: QueryResult): QueryResult {
  if (result.command === COMMIT) return result;
  const error = new Error(`COMMIT was answered with ${result.command}`);
  throw Object.assign(error, { severity: 'ERROR', code: TRANSACTION_ROLLBACK });
}
