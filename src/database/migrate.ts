import { DataSource, MigrationExecutor } from 'typeorm';
import { migrations } from '../../migrations';
import { inTransaction } from '../common/transaction';
import { migrationDataSourceOptions, MIGRATIONS_TABLE } from './data-source-options';
import { queryOnce } from './query-once';

/** Any number that nobody else in this database uses as an advisory lock. */
const MIGRATION_LOCK = 4_826_310_957;

/**
 * A migration may take long, whatever the role may be limited to; one whose process or link is gone holds up the others no
 * longer than a minute.
 */
const TIME_LIMITS = `
  SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),
         set_config('idle_in_transaction_session_timeout', '60s', true)`;

/**
 * Brings the schema up to date. Several instances may call it at once: one migrates, the others wait for it
 * and find nothing to do. The lock is a transaction's, so that it works through transaction poolers too.
 *
 * A schema that is up to date takes no lock: a start must not wait for another one that is stuck. The lock and the
 * migrations share one connection, so that PostgreSQL frees both when nobody is behind it any more.
 *
 * @returns the names of the migrations that were run
 */
export async function migrate(databaseUrl: string): Promise<string[]> {
  if (await isUpToDate(databaseUrl)) return [];
  const dataSource = await new DataSource(migrationDataSourceOptions(databaseUrl)).initialize();
  try {
    return await inTransaction(dataSource, async (queryRunner) => {
      await queryRunner.query(TIME_LIMITS);
      await queryRunner.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
      const executor = new MigrationExecutor(dataSource, queryRunner);
      // ours is open
      executor.transaction = 'none';
      const done = await executor.executePendingMigrations();
      return done.map((migration) => migration.name);
    });
  } finally {
    await dataSource.destroy();
  }
}

async function isUpToDate(databaseUrl: string): Promise<boolean> {
  const [table] = await queryOnce<{ exists: boolean }>(
    databaseUrl,
    `SELECT to_regclass('${MIGRATIONS_TABLE}') IS NOT NULL AS exists`,
  );
  if (!table?.exists) return false;
  return pendingMigrations(await queryOnce<DoneMigration>(databaseUrl, DONE_MIGRATIONS)).length === 0;
}

export interface DoneMigration {
  name: string;
}

/** A query for every `DoneMigration`, also those of a newer version. */
export const DONE_MIGRATIONS = `SELECT name FROM ${MIGRATIONS_TABLE}`;

/** Those of this version that are not among the ones done. */
export function pendingMigrations(done: DoneMigration[]): string[] {
  const names = new Set(done.map(({ name }) => name));
  return migrations.map(({ name }) => name).filter((name) => !names.has(name));
}
