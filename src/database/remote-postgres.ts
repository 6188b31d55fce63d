import { setTimeout as sleep } from 'node:timers/promises';
import { isDatabaseUnavailable, sqlState } from '../common/database-error';
import { StartupError } from '../common/startup-error';
import { queryOnce } from './query-once';

const MIN_SERVER_VERSION = 150_000;
const RETRY_INTERVAL_MS = 1_000;

/**
 * Waits until the server answers and `open` is done with it, a line per failed try. A server that is down, or whose link
 * is lost on the way, is waited for; an address that can never work ends at once.
 *
 * @throws StartupError saying what to correct, or after `waitS` seconds; the reason of `signal` when that is aborted
 */
export async function waitForDatabase<T>(
  url: string,
  open: () => Promise<T>,
  { waitS, log, signal }: { waitS: number; log: (line: string) => void; signal?: AbortSignal },
): Promise<T> {
  assertPostgresUrl(url);
  const deadline = Date.now() + waitS * 1000;
  for (let tries = 1; ; tries += 1) {
    try {
      await probe(url);
      return await open();
    } catch (error) {
      if (error instanceof StartupError || !isDatabaseUnavailable(error)) throw error;
      if (Date.now() + RETRY_INTERVAL_MS > deadline) {
        throw new StartupError(
          `The database at ${address(url)} did not answer within ${waitS} s (${reason(error)}). ` +
            'Start it, correct DATABASE_URL, or raise DATABASE_WAIT_S.',
          { cause: error },
        );
      }
      log(`Waiting for the database at ${address(url)}: try ${tries}, ${reason(error)}`);
      await sleep(RETRY_INTERVAL_MS);
      signal?.throwIfAborted();
    }
  }
}

async function probe(url: string): Promise<void> {
  const [server] = await queryOnce<{ version: string }>(
    url,
    `SELECT current_setting('server_version_num') AS version`,
  ).catch((error: unknown) => {
    throw isDatabaseUnavailable(error) ? error : explain(error, url);
  });
  const version = Number(server?.version);
  if (version < MIN_SERVER_VERSION) {
    throw new StartupError(
      `The server at ${address(url)} is PostgreSQL ${Math.floor(version / 10_000)}. Use version 15 or newer.`,
    );
  }
}

function assertPostgresUrl(url: string): void {
  try {
    const { protocol, username, password, host, pathname, searchParams } = new URL(url);
    const hasAddress = (host !== '' || searchParams.has('host')) && pathname.length > 1;
    if (/^postgres(ql)?:$/.test(protocol) && hasAddress && [username, password].map(decodeURIComponent))
      return;
  } catch {
    // falls through to the one explanation
  }
  throw new StartupError(
    'DATABASE_URL is malformed. Write it as postgres://user:password@host:5432/database, with special characters percent-encoded.',
  );
}

function explain(error: unknown, url: string): StartupError {
  const { username, pathname } = new URL(url);
  const state = sqlState(error);
  if (state === '28P01' || state === '28000') {
    return new StartupError(
      `The server at ${address(url)} refused user "${username}" (${reason(error)}). Correct the user or password in DATABASE_URL.`,
    );
  }
  if (state === '3D000') {
    return new StartupError(
      `The server at ${address(url)} has no database "${pathname.slice(1)}". Create it (createdb), or correct DATABASE_URL.`,
    );
  }
  return new StartupError(
    `The database at ${address(url)} cannot be used: ${reason(error)}. Correct DATABASE_URL.`,
    {
      cause: error,
    },
  );
}

/** Host and port only: the URL itself holds a password. */
function address(url: string): string {
  return new URL(url).host || 'the local socket';
}

function reason(error: unknown): string {
  if (error instanceof AggregateError) return reason(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}
