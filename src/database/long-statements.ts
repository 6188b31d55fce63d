import type { Client, QueryConfig } from 'pg';
import type { QueryRunner } from 'typeorm';

/** How much longer the client waits than the server, which ends a statement in good order and keeps the connection. */
const CLIENT_GRACE_MS = 2_000;

export type Statement = <Row>(sql: string, parameters: unknown[]) => Promise<Row[]>;

/**
 * Lets the statements of the caller's transaction take longer than others may; of this transaction only, whose
 * connection goes back to the pool as it was.
 *
 * Two limits stand in the way: the server's, which `SET LOCAL` raises, and the client's, which would cut the
 * connection. That one is fixed for the pool's connections, but pg takes another with each statement; TypeORM cannot
 * hand it over, so the statements go to the transaction's own connection.
 *
 * @returns runs one statement
 */
export async function allowLongStatements(queryRunner: QueryRunner, timeoutMs: number): Promise<Statement> {
  await queryRunner.query(`SET LOCAL statement_timeout = ${timeoutMs}`);
  const connection = (await queryRunner.connect()) as Client;
  return async <Row>(text: string, values: unknown[]) => {
    const statement: QueryConfig & { query_timeout: number } = {
      ...{ text, values },
      query_timeout: timeoutMs + CLIENT_GRACE_MS,
    };
    return (await connection.query(statement)).rows as Row[];
  };
}
