import type { DatabaseConfig } from '../config';
import { EmbeddedPostgres, type Role } from './embedded-postgres';
import { assertGuards } from './guards';
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
  /** Ends the wait for a database that does not answer, with its reason. */
  signal?: AbortSignal;
}

/**
 * Opens the database that the configuration names (`DATABASE_URL`, else the embedded one), migrates it and checks
 * that its guards are armed.
 *
 * @throws StartupError with one line that says what to do
 */
export async function openDatabase(config: DatabaseConfig, options: OpenOptions): Promise<Database> {
  const { url, close } = await connect(config, options);
  try {
    const migrated = await migrate(url);
    await assertGuards(url);
    return { url, migrated, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function connect(
  config: DatabaseConfig,
  { role, log, signal }: OpenOptions,
): Promise<Pick<Database, 'url' | 'close'>> {
  if (config.databaseUrl === undefined) {
    const embedded = await EmbeddedPostgres.open(config.dataDir, role);
    return { url: embedded.url, close: () => embedded.close() };
  }
  await waitForDatabase(config.databaseUrl, { waitS: config.databaseWaitS, log, signal });
  return { url: config.databaseUrl, close: () => Promise.resolve() };
}
