import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource, MigrationExecutor, type Migration, type MigrationInterface } from 'typeorm';
import { migrations as ours } from '../../migrations';
import { isLockTimeout, isRetryable, isStatementTimeout } from '../common/database-error';
import { StartupError } from '../common/startup-error';
import { inTransaction } from '../common/transaction';
import { migrationDataSourceOptions, MIGRATIONS_TABLE } from './data-source-options';
import { inTurn } from './migration-turn';
import { queryOnce } from './query-once';

/** Any number that nobody else in this database uses as an advisory lock. */
const STEP_LOCK = 4_826_310_959;

/**
 * For a transaction, since a pooler may have dropped what the connection asked for. Whoever asks for a table that a migration
 * waits for waits behind it: so it waits for a second, half of what a request does, and then tries again.
 */
const TIME_LIMITS = `
  SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '1s', true),
         set_config('idle_in_transaction_session_timeout', '60s', true)`;

const PATIENCE_MS = 10 * 60_000;
/** Between two tries, for the requests that had to wait. */
const PAUSE_MS = 2_000;

type MigrationClass = new () => MigrationInterface;

interface MigrateOptions {
  /** For tests: others than this version's. */
  migrations?: MigrationClass[];
  /** For how long a migration is tried that does not get its locks, in ms; ten minutes when not given. */
  patienceMs?: number;
}

/**
 * Brings the schema up to date, also under servers that go on serving. Several instances may call it at once: one migrates,
 * the others wait for it and find nothing to do. A schema that is up to date takes no lock: a start must not wait for
 * another one that is stuck.
 *
 * Each migration has a transaction of its own, so that what was done stays when a later one fails. One that says
 * `transaction = false` has none, and is run again when it was cut off.
 *
 * @returns the names of the migrations that were run
 * @throws StartupError when one does not get its locks, or a pooler does not give it the time it needs
 */
export async function migrate(
  databaseUrl: string,
  { migrations = ours, patienceMs = PATIENCE_MS }: MigrateOptions = {},
): Promise<string[]> {
  if (await isUpToDate(databaseUrl, migrations)) return [];
  const options = { ...migrationDataSourceOptions(databaseUrl), migrations };
  const dataSource = await new DataSource(options).initialize();
  try {
    return await inTurn(dataSource, async () => {
      const pending = await new MigrationExecutor(dataSource).getPendingMigrations();
      for (const migration of pending) await runPatiently(dataSource, migration, patienceMs);
      return pending.map(({ name }) => name);
    });
  } finally {
    await dataSource.destroy();
  }
}

async function runPatiently(dataSource: DataSource, migration: Migration, patienceMs: number): Promise<void> {
  for (const deadline = Date.now() + patienceMs; ; await sleep(PAUSE_MS)) {
    try {
      return await run(dataSource, migration);
    } catch (error) {
      if (isStatementTimeout(error)) throw tooLittleTime(migration, error);
      if (!isLockTimeout(error) && !isRetryable(error)) throw error;
      if (Date.now() + PAUSE_MS > deadline) throw notItsLocks(migration, { patienceMs, cause: error });
    }
  }
}

async function run(dataSource: DataSource, { name, instance }: Migration): Promise<void> {
  const isOutside = instance?.transaction === false;
  if (isOutside) await outside(dataSource, instance);
  await inTransaction(dataSource, async (queryRunner) => {
    await queryRunner.query(TIME_LIMITS);
    // a turn that was lost with its link does not let two record the same
    await queryRunner.query('SELECT pg_advisory_xact_lock($1)', [STEP_LOCK]);
    const executor = new MigrationExecutor(dataSource, queryRunner);
    const migration = (await executor.getPendingMigrations()).find((pending) => pending.name === name);
    if (migration)
      await (isOutside ? executor.insertMigration(migration) : executor.executeMigration(migration));
  });
}

async function outside(dataSource: DataSource, migration: MigrationInterface): Promise<void> {
  const queryRunner = dataSource.createQueryRunner();
  try {
    await migration.up(queryRunner);
  } finally {
    await queryRunner.release();
  }
}

function notItsLocks({ name }: Migration, { patienceMs, cause }: { patienceMs: number; cause: unknown }) {
  return new StartupError(
    `The migration ${name} did not get its locks within ${patienceMs / 1000} s: a transaction keeps a table that it changes. ` +
      'Nothing of it was done. End that transaction (the longest are first in: SELECT * FROM pg_stat_activity ORDER BY xact_start), then start again.',
    { cause },
  );
}

function tooLittleTime({ name }: Migration, cause: unknown) {
  return new StartupError(
    `The migration ${name} takes longer than statement_timeout lets it, which a pooler keeps it from lifting. ` +
      'Run npm run migrate with a DATABASE_URL that leads past the pooler, then start again.',
    { cause },
  );
}

async function isUpToDate(databaseUrl: string, migrations: MigrationClass[]): Promise<boolean> {
  return pendingMigrations(await doneMigrations(databaseUrl), migrations).length === 0;
}

/** Whether a newer version has migrated the database: an instance that is replaced serves on beside it. */
export async function isNewerSchema(databaseUrl: string): Promise<boolean> {
  return isNewer(await doneMigrations(databaseUrl));
}

async function doneMigrations(databaseUrl: string): Promise<DoneMigration[]> {
  const [table] = await queryOnce<{ exists: boolean }>(
    databaseUrl,
    `SELECT to_regclass('${MIGRATIONS_TABLE}') IS NOT NULL AS exists`,
  );
  return table?.exists ? queryOnce<DoneMigration>(databaseUrl, DONE_MIGRATIONS) : [];
}

export interface DoneMigration {
  name: string;
}

/** A query for every `DoneMigration`, also those of a newer version. */
export const DONE_MIGRATIONS = `SELECT name FROM ${MIGRATIONS_TABLE}`;

/** Those of this version that are not among the ones done. */
export function pendingMigrations(done: DoneMigration[], migrations: MigrationClass[] = ours): string[] {
  const names = new Set(done.map(({ name }) => name));
  return migrations.map(({ name }) => name).filter((name) => !names.has(name));
}

/** Whether there are some that this version does not know. */
export function isNewer(done: DoneMigration[]): boolean {
  const known = new Set(ours.map(({ name }) => name));
  return done.some(({ name }) => !known.has(name));
}
