import type { QueryRunner } from 'typeorm';
import type { ResilientClient } from './resilient-client';

/** How much longer the client waits than the server, which ends a statement in good order and keeps the connection. */
const CLIENT_GRACE_MS = 2_000;

export type Statement = <Row>(sql: string, parameters: unknown[]) => Promise<Row[]>;

/**
 * Lets the statements of the caller's transaction take longer than others may; of this transaction only, whose
 * connection goes back to the pool as it was.
 *
 * Two limits stand in the way: the server's, which `SET LOCAL` raises, and the client's, which would cut the
 * connection. TypeORM knows nothing of that one, so the statements go to the transaction's own connection.
 *
 * @returns runs one statement; one at a time
 */
export async function allowLongStatements(queryRunner: QueryRunner, timeoutMs: number): Promise<Statement> {
  await queryRunner.query(`SET LOCAL statement_timeout = ${timeoutMs}`);
  const connection = (await queryRunner.connect()) as ResilientClient;
  return async <Row>(text: string, values: unknown[]) => {
    connection.allowSilence(timeoutMs + CLIENT_GRACE_MS);
    try {
      return (await connection.query({ text, values })).rows as Row[];
    } finally {
      connection.allowSilence();
    }
  };
}
