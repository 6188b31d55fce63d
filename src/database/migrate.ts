import { DataSource } from 'typeorm';
import { inTransaction } from '../common/transaction';
import { migrationDataSourceOptions } from './data-source-options';

/** Any number that nobody else in this database uses as an advisory lock. */
const MIGRATION_LOCK = 4_826_310_957;

/**
 * Brings the schema up to date. Several instances may call it at once: one migrates, the others wait for it
 * and find nothing to do. The lock is a transaction's, so that it works through transaction poolers too.
 *
 * @returns the names of the migrations that were run
 */
export async function migrate(databaseUrl: string): Promise<string[]> {
  const dataSource = await new DataSource(migrationDataSourceOptions(databaseUrl)).initialize();
  try {
    return await inTransaction(dataSource, async (queryRunner) => {
      await queryRunner.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
      const done = await dataSource.runMigrations({ transaction: 'all' });
      return done.map((migration) => migration.name);
    });
  } finally {
    await dataSource.destroy();
  }
}
