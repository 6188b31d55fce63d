import type { DatabaseConfig } from '../config';
import { EmbeddedPostgres, type Role } from './embedded-postgres';
import { migrate } from './migrate';
import { waitForDatabase } from './remote-postgres';

/** A database that answers and whose schema is current. */
export interface Database {
  readonly url: string;
  /** The migrations that were run on the way. */
  readonly migrated: string[];
  /** Stops what `openDatabase` started; a server that others still use is left running. */
  close(): Promise<void>;
}

interface OpenOptions {
  role: Role;
  log: (line: string) => void;
}

/**
 * Opens the database that the configuration names (`DATABASE_URL`, else the embedded one) and migrates it.
 *
 * @throws StartupError with one line that says what to do
 */
export async function openDatabase(config: DatabaseConfig, { role, log }: OpenOptions): Promise<Database> {
  if (config.databaseUrl !== undefined) {
    await waitForDatabase(config.databaseUrl, config.databaseWaitS, log);
    const migrated = await migrate(config.databaseUrl);
    return { url: config.databaseUrl, migrated, close: () => Promise.resolve() };
  }
  const embedded = await EmbeddedPostgres.open(config.dataDir, role);
  try {
    const migrated = await migrate(embedded.url);
    return { url: embedded.url, migrated, close: () => embedded.close() };
  } catch (error) {
    await embedded.close();
    throw error;
  }
}
