import { sqlState } from '../common/database-error';
import { StartupError } from '../common/startup-error';
import { queryOnce } from './query-once';

/**
 * What holds on every connection of the server: a statement is bounded in every direction, and sees what is
 * committed, whatever the server's default may be: the locks are written for READ COMMITTED.
 */
const SESSION_SETTINGS = {
  /** No statement of ours needs longer; a stuck one frees its locks and its connection. */
  statement_timeout: '3s',
  /** A claim waits this long for its turn on a hot code before it gives up. */
  lock_timeout: '2s',
  /** A process that stops in mid-transaction holds its locks no longer than this. */
  idle_in_transaction_session_timeout: '4s',
  default_transaction_isolation: 'read committed',
};

/** How a connection asks for them when it starts. */
export const SESSION_OPTIONS = Object.entries(SESSION_SETTINGS)
  .map(([name, value]) => `-c ${name}=${value.replace(' ', '\\ ')}`)
  .join(' ');

const PROTOCOL_VIOLATION = '08P01';

/**
 * Looks whether a connection gets the settings that it asks for. A pooler that lends connections from one client to the next refuses
 * them, or drops them without a word; then the role has to have them.
 *
 * @throws StartupError that says what to set where
 */
export async function assertSessionSettings(databaseUrl: string): Promise<void> {
  const found = await settingsOf(databaseUrl);
  const missing = Object.entries(SESSION_SETTINGS).filter(([name, value]) => found[name] !== value);
  if (missing.length === 0) return;
  const sets = missing.map(
    ([name, value]) => `ALTER ROLE CURRENT_USER IN DATABASE ${found.database} SET ${name} = '${value}';`,
  );
  throw new StartupError(
    `Connections to the database do not have the settings that they ask for; a pooler may drop them. ` +
      `Run, as the user of DATABASE_URL: ${sets.join(' ')} ` +
      'Then let the pooler connect anew (PgBouncer: RECONNECT), and start again.',
  );
}

/** By name, and the name of the `database`. */
async function settingsOf(databaseUrl: string): Promise<Record<string, string>> {
  const current = Object.keys(SESSION_SETTINGS).map((name) => `current_setting('${name}', true) AS ${name}`);
  try {
    const [settings] = await queryOnce<Record<string, string>>(
      databaseUrl,
      `SELECT quote_ident(current_database()) AS database, ${current.join(', ')}`,
      { options: SESSION_OPTIONS },
    );
    return settings ?? {};
  } catch (error) {
    if (sqlState(error) !== PROTOCOL_VIOLATION) throw error;
    throw new StartupError(
      `A pooler refuses what a connection to the database asks for (${(error as Error).message}). ` +
        `Let it ignore that, in pgbouncer.ini: ignore_startup_parameters = options. Then start again; it says what to set instead.`,
      { cause: error },
    );
  }
}
