import { setTimeout as sleep } from 'node:timers/promises';
import {
  QueryRunnerAlreadyReleasedError,
  QueryRunnerProviderAlreadyReleasedError,
  type DataSource,
  type QueryRunner,
} from 'typeorm';
import {
  CommitUnknownError,
  isDatabaseUnavailable,
  isRetryable,
  isStalePlan,
  LostLinkError,
  sqlState,
} from './database-error';
import { rowsOf, send, type Rows, type Statement } from './statements';

const MAX_TRIES = 3;
/** The second is what an entity manager says of its runner. */
const RELEASED = [QueryRunnerAlreadyReleasedError, QueryRunnerProviderAlreadyReleasedError];

/**
 * The one way to open a transaction (READ COMMITTED). Commits what `work` did, or rolls back and rethrows.
 *
 * A serialization failure or a deadlock runs `work` again in a new transaction, at most three times in all, so
 * `work` must have no effect outside its query runner. A method that takes a query runner joins its transaction. Work
 * that knows its last statements may end with `commitWith`.
 *
 * @throws CommitUnknownError when the connection was lost during COMMIT
 * @throws LostLinkError when it was lost between two statements
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
    if (queryRunner.isTransactionActive) await commit(queryRunner);
    return result;
  } catch (error) {
    await rollBack(queryRunner);
    throw explain(error, queryRunner);
  } finally {
    await queryRunner.release();
  }
}

/**
 * Ends a transaction of `inTransaction` with these statements: they and the COMMIT share one round trip. When one of
 * them fails, nothing of the transaction is done.
 *
 * @throws CommitUnknownError when the connection was lost
 */
export async function commitWith<const Statements extends readonly (Statement | undefined)[]>(
  queryRunner: QueryRunner,
  ...statements: Statements
): Promise<Rows<Statements>> {
  const sent = await send(queryRunner, statements);
  const [committed, ...answers] = await Promise.allSettled([commit(queryRunner), ...sent]);
  try {
    const rows = rowsOf<Statements>(answers);
    if (committed.status === 'rejected') throw committed.reason;
    return rows;
  } catch (error) {
    throw isDatabaseUnavailable(error) && !(error instanceof CommitUnknownError)
      ? new CommitUnknownError(error)
      : error;
  }
}

async function commit(queryRunner: QueryRunner): Promise<void> {
  try {
    await queryRunner.commitTransaction();
  } catch (error) {
    // PostgreSQL refuses a COMMIT for integrity (23), concurrency (40) or as a stale statement, and has then rolled back.
    // Anything else, a lost link above all, leaves the outcome open.
    if (/^(23|40)/.test(sqlState(error) ?? '') || isStalePlan(error)) throw error;
    throw new CommitUnknownError(explain(error, queryRunner));
  }
}

/**
 * TypeORM releases a runner whose link is lost, and says at its next statement only that it is released. As long as the
 * transaction runs nobody else releases it; a runner that is used after its transaction is a mistake and stays one.
 */
function explain(error: unknown, { isReleased }: QueryRunner): unknown {
  return isReleased && RELEASED.some((kind) => error instanceof kind) ? new LostLinkError(error) : error;
}

/** The first error is the one worth reporting. */
async function rollBack(queryRunner: QueryRunner): Promise<void> {
  if (!queryRunner.isTransactionActive || queryRunner.isReleased) return;
  try {
    await queryRunner.rollbackTransaction();
  } catch {
    // it may be alive and still in the failed transaction, which the next user of the pool must not find
    if (queryRunner.isReleased) return;
    const connection = (await queryRunner.connect()) as { end(): Promise<void> };
    connection.end().catch(() => undefined);
  }
}
