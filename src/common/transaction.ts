import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, QueryRunner } from 'typeorm';
import { CommitUnknownError, isRetryable, sqlState } from './database-error';

const MAX_TRIES = 3;

/**
 * The one way to open a transaction (READ COMMITTED). Commits what `work` did, or rolls back and rethrows.
 *
 * A serialization failure or a deadlock runs `work` again in a new transaction, at most three times in all, so
 * `work` must have no effect outside its query runner. A method that takes a query runner joins its transaction.
 *
 * @throws CommitUnknownError when the connection was lost during COMMIT
 */
export async function inTransaction<T>(
  dataSource: DataSource,
  work: (queryRunner: QueryRunner) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await runOnce(dataSource, work);
    } catch (error) {
      if (tries === MAX_TRIES || !isRetryable(error)) throw error;
      await sleep(5 + Math.random() * 20 * tries);
    }
  }
}

async function runOnce<T>(
  dataSource: DataSource,
  work: (queryRunner: QueryRunner) => Promise<T>,
): Promise<T> {
  const queryRunner = dataSource.createQueryRunner();
  try {
    await queryRunner.startTransaction();
    const result = await work(queryRunner);
    await commit(queryRunner);
    return result;
  } catch (error) {
    await rollBack(queryRunner);
    throw error;
  } finally {
    await queryRunner.release();
  }
}

async function commit(queryRunner: QueryRunner): Promise<void> {
  try {
    await queryRunner.commitTransaction();
  } catch (error) {
    // PostgreSQL refuses a COMMIT for integrity (23) or concurrency (40) and has then rolled back. Anything else,
    // a lost link above all, leaves the outcome open.
    if (/^(23|40)/.test(sqlState(error) ?? '')) throw error;
    throw new CommitUnknownError(error);
  }
}

/** The first error is the one worth reporting: a rollback that fails too only means that the link is gone. */
async function rollBack(queryRunner: QueryRunner): Promise<void> {
  if (!queryRunner.isTransactionActive || queryRunner.isReleased) return;
  try {
    await queryRunner.rollbackTransaction();
  } catch {
    return;
  }
}
