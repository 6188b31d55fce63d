import type { DatabaseConfig } from '../config';
import { EmbeddedPostgres, type Role } from './embedded-postgres';
import { assertGuards } from './guards';
import { isNewerSchema, migrate } from './migrate';
import { waitForDatabase } from './remote-postgres';
import { assertSessionSettings } from './session-settings';

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
  /** For what looks into a database whose guards may be gone. */
  unguarded?: boolean;
  /** Ends the wait for a database that does not answer, with its reason. */
  signal?: AbortSignal;
}

/**
 * Opens the database that the configuration names (`DATABASE_URL`, else the embedded one), checks that connections are as
 * they ask to be, migrates it and checks that its guards are armed (unless `unguarded`). In a newer schema guards may be
 * others, and are not looked at: an instance that is restarted during a rolling upgrade serves on.
 *
 * @throws StartupError with one line that says what to do
 */
export async function openDatabase(config: DatabaseConfig, options: OpenOptions): Promise<Database> {
  return config.databaseUrl === undefined
    ? openEmbedded(config, options)
    : openRemote(config.databaseUrl, config, options);
}

async function openEmbedded(
  { dataDir }: DatabaseConfig,
  { role, unguarded }: OpenOptions,
): Promise<Database> {
  const embedded = await EmbeddedPostgres.open(dataDir, role);
  try {
    const migrated = await bringUpToDate(embedded.url, unguarded);
    return { url: embedded.url, migrated, close: () => embedded.close() };
  } catch (error) {
    await embedded.close();
    throw error;
  }
}

async function openRemote(
  url: string,
  { databaseWaitS: waitS }: DatabaseConfig,
  { log, signal, unguarded }: OpenOptions,
): Promise<Database> {
  const migrated = await waitForDatabase(url, () => bringUpToDate(url, unguarded), { waitS, log, signal });
  return { url, migrated, close: () => Promise.resolve() };
}

/** @returns the migrations that were run */
async function bringUpToDate(url: string, unguarded = false): Promise<string[]> {
  await assertSessionSettings(url);
  const migrated = await migrate(url);
  if (!unguarded && !(await isNewerSchema(url))) await assertGuards(url);
  return migrated;
}
