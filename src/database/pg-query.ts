import { Query, type Connection as PgConnection, type QueryResult } from 'pg';
import type { Columns, PreparedStatement } from './prepared-statements';

/** pg's connection, as far as a query talks to it. */
export type Connection = Omit<PgConnection, 'sync' | 'describe'> & {
  sync: () => void;
  describe: (portal: unknown) => void;
  parsedStatements: Record<string, string>;
  submittedNamedStatements: Record<string, string>;
};

/** pg's query, as far as pg itself talks to it. */
export interface PgQuery {
  name: string | undefined;
  readonly text: string;
  queryMode: string;
  _result: Columns & { _types: unknown };
  _accumulateRows: boolean;
  prepare(connection: Connection): void;
  handleRowDescription(message: unknown): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: Connection): void;
  handleReadyForQuery(connection: Connection): void;
  handleError(error: unknown, connection: Connection): void;
}

export type Settled = (error: Error | null, result: QueryResult) => void;

export const noop = () => undefined;

export const PgQuery = Query as unknown as new (text: string, values: unknown[], settled: Settled) => PgQuery;

/** A query whose rows are described the first time only: describing them costs both sides more than to read a few. */
export class DescribedOnce extends PgQuery {
  constructor(
    values: unknown[],
    private readonly statement: PreparedStatement,
    settled: Settled,
  ) {
    super(statement.text, values, settled);
    this.name = statement.name;
  }

  override prepare(connection: Connection): void {
    const { columns, isInDoubt, name } = this.statement;
    if (isInDoubt) {
      this.statement.isInDoubt = false;
      // no error where there is none; PgBouncer refuses a name that it thinks is there
      connection.close({ type: 'S', name }, false);
    }
    if (columns === undefined) return super.prepare(connection);
    const { describe } = connection;
    connection.describe = noop;
    Object.assign(this._result, columns);
    // as the description would
    this._accumulateRows = true;
    try {
      super.prepare(connection);
    } finally {
      connection.describe = describe;
    }
  }

  override handleCommandComplete(message: unknown, connection: Connection): void {
    if (this.statement.columns === undefined) {
      const { fields, _parsers, _prebuiltEmptyResultObject } = this._result;
      this.statement.columns = { fields, _parsers, _prebuiltEmptyResultObject };
    }
    super.handleCommandComplete(message, connection);
  }

  override handleError(error: unknown, connection: Connection): void {
    if (connection.parsedStatements[this.statement.name] === undefined) this.statement.isInDoubt = true;
    super.handleError(error, connection);
  }
}
