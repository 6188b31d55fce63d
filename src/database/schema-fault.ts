import type { DataSource } from 'typeorm';
import { MISSING_GUARDS } from './guards';
import { DONE_MIGRATIONS, isNewer, pendingMigrations, type DoneMigration } from './migrate';

/**
 * What a server that runs misses in its database: migrations, or guards that are gone, not armed or others. A start looks at
 * both; a restore or a repair may have undone them since.
 *
 * A newer schema is none of its faults: during a rolling upgrade the old instances serve on. Its guards are not looked at then,
 * since a newer version may have changed them.
 *
 * @returns a line that names them; undefined when all is well
 */
export async function schemaFault(dataSource: DataSource): Promise<string | undefined> {
  const done = await dataSource.query<DoneMigration[]>(DONE_MIGRATIONS);
  const pending = pendingMigrations(done);
  if (pending.length > 0) return `Migrations that have not run: ${pending.join(', ')}`;
  if (isNewer(done)) return undefined;
  const missing = await dataSource.query<{ name: string }[]>(MISSING_GUARDS);
  if (missing.length > 0) return `Guards that are missing: ${missing.map(({ name }) => name).join(', ')}`;
  return undefined;
}
