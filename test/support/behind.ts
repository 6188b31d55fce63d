import type { DataSource, QueryRunner } from 'typeorm';

const WAIT_MS = 1_500;

/**
 * Lets requests run into the locks of a transaction that is not yet committed, and commits it when they wait (or, where
 * no lock holds them up, after a while). What they answer shows whether they looked after they had waited.
 */
export async function behind<T>(
  db: DataSource,
  block: (queryRunner: QueryRunner) => Promise<unknown>,
  requests: () => Promise<T>[],
): Promise<T[]> {
  const queryRunner = db.createQueryRunner();
  await queryRunner.startTransaction();
  try {
    await block(queryRunner);
    const started = requests().map((request) => Promise.resolve(request));
    await untilWaiting(db, started.length);
    await queryRunner.commitTransaction();
    return await Promise.all(started);
  } finally {
    if (queryRunner.isTransactionActive) await queryRunner.rollbackTransaction();
    await queryRunner.release();
  }
}

/** Until so many wait for locks, or a while has passed. */
export async function untilWaiting(db: DataSource, count: number): Promise<void> {
  const until = Date.now() + WAIT_MS;
  while (Date.now() < until) {
    const [{ waiting }] = await db.query(
      `SELECT count(*) AS waiting FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    if (waiting >= count) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
