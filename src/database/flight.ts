import type { QueryResult } from 'pg';
import { DescribedOnce, noop, PgQuery, type Connection, type Settled } from './pg-query';
import type { PreparedStatement } from './prepared-statements';

/** Whoever waits for such a lock may wait long, and so may the next: see `silenceTimeoutMs`. */
const LOCKS = /\bFOR (?:NO KEY )?(?:UPDATE|SHARE)(?: OF \w+)?$/;
const LOCKS_LENGTH = 40;

/**
 * Statements of one transaction that leave in one packet and come back in one. PostgreSQL runs them one after the other, each with what was
 * committed by then, and none that comes after one that failed: there is one Sync, at the end. So a COMMIT at the end
 * commits all or nothing, and whatever a BEGIN at the start should have preceded does not run without it. Only what locks
 * rows is answered at once, so that a link on which they wait one after the other is not silent for long.
 *
 * To pg it is one query (a Submittable); each statement in it is one of pg's own.
 */
export class Flight {
  /** For pg, which sets it. */
  callback: ((error?: unknown) => void) | undefined;
  /** What each of its statements comes to. */
  readonly answers: Promise<QueryResult>[] = [];
  private readonly statements: PgQuery[] = [];
  /** The statement whose answer comes next. */
  private current = 0;
  private isSealed = false;

  constructor(private readonly types: unknown) {}

  /**
   * @param prepared what to prepare it as, if at all
   * @returns its answer. After a failure those that did not run fail with the same error.
   */
  add(text: string, values: unknown[], prepared?: PreparedStatement): Promise<QueryResult> {
    const answer = new Promise<QueryResult>((resolve, reject) => {
      const settled: Settled = (error, result) => {
        if (error === null) return resolve(result);
        this.isSealed = true;
        reject(error);
      };
      const statement = prepared
        ? new DescribedOnce(values, prepared, settled)
        : new PgQuery(text, values, settled);
      // in no other way do several share a Sync
      statement.queryMode = 'extended';
      statement._result._types = this.types;
      this.statements.push(statement);
    });
    this.answers.push(answer);
    return answer;
  }

  get texts(): string[] {
    return this.statements.map(({ text }) => text);
  }

  /** What to hand to pg: of one statement alone nothing is left to arrange. */
  get query(): Flight | PgQuery {
    const [first = this, ...others] = this.statements;
    return others.length === 0 ? first : this;
  }

  /** pg keeps under these what it has prepared. */
  get name(): string | undefined {
    return this.statements[this.current]?.name;
  }

  get text(): string | undefined {
    return this.statements[this.current]?.text;
  }

  submit(connection: Connection): null {
    const { sync } = connection;
    // each statement would add one of its own
    connection.sync = noop;
    connection.stream.cork();
    try {
      for (const statement of this.statements) {
        // one whose values cannot be written has failed by now, and nothing goes after it
        if (this.isSealed) break;
        statement.prepare(connection);
        if (LOCKS.test(statement.text.slice(-LOCKS_LENGTH))) connection.flush();
      }
    } finally {
      connection.sync = sync;
      connection.sync();
      connection.stream.uncork();
    }
    return null;
  }

  handleRowDescription(message: unknown): void {
    this.statements[this.current]?.handleRowDescription(message);
  }

  handleDataRow(message: unknown): void {
    this.statements[this.current]?.handleDataRow(message);
  }

  handleCommandComplete(message: unknown, connection: Connection): void {
    this.statements[this.current]?.handleCommandComplete(message, connection);
    this.finishCurrent(connection);
  }

  handleEmptyQuery(connection: Connection): void {
    this.finishCurrent(connection);
  }

  handleError(error: unknown, connection: Connection): void {
    this.failRest(error, connection);
    this.callback?.(error);
  }

  handleReadyForQuery(connection: Connection): void {
    if (this.current < this.statements.length)
      this.failRest(new Error('A statement before it failed'), connection);
    this.callback?.();
  }

  private finishCurrent(connection: Connection): void {
    this.statements[this.current]?.handleReadyForQuery(connection);
    this.current += 1;
  }

  private failRest(error: unknown, connection: Connection): void {
    for (const statement of this.statements.slice(this.current)) {
      // pg thinks that it is being prepared, and would not prepare it again
      if (statement.name !== undefined) delete connection.submittedNamedStatements[statement.name];
      statement.handleError(error, connection);
    }
    this.current = this.statements.length;
  }
}
