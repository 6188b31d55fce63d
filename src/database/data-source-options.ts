import { Client, types, type ClientConfig } from 'pg';
import type { DataSourceOptions, EntitySchema } from 'typeorm';
import { migrations } from '../../migrations';

/** No statement of ours needs longer; a stuck one frees its locks and its connection. */
const STATEMENT_TIMEOUT_MS = 3_000;
/** A claim waits this long for its turn on a hot code before it gives up. */
const LOCK_TIMEOUT_MS = 2_000;
/** A process that stops in mid-transaction holds its locks no longer than this. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 4_000;
/** The client's own limit, for a link that has gone silent: longer than the server's, which frees locks sooner. */
const QUERY_TIMEOUT_MS = 5_000;
const CONNECTION_TIMEOUT_MS = 3_000;
/** A peer that vanished is noticed on an idle connection too, not after the system's two hours. */
const KEEP_ALIVE_DELAY_MS = 10_000;

/** A migration may take long; one whose process or link is gone holds up the others no longer than this. */
const IDLE_MIGRATION_TIMEOUT_MS = 60_000;
const MIGRATION_QUERY_TIMEOUT_MS = 60 * 60_000;

export const MIGRATIONS_TABLE = 'migrations';

const INT8_OID = 20;
const TRANSACTION_ROLLBACK = '40000';

interface DatabaseSettings {
  url: string;
  poolSize: number;
}

type Entities = (string | (new () => object) | EntitySchema)[];

/** How the server talks to PostgreSQL: bounded in every direction, exact integers, READ COMMITTED. */
export function dataSourceOptions(settings: DatabaseSettings, entities: Entities = []): DataSourceOptions {
  return {
    type: 'postgres',
    url: settings.url,
    entities,
    migrations,
    migrationsTableName: MIGRATIONS_TABLE,
    synchronize: false,
    installExtensions: false,
    logging: false,
    poolSize: settings.poolSize,
    connectTimeoutMS: CONNECTION_TIMEOUT_MS,
    applicationName: 'amba-referrals',
    extra: {
      statement_timeout: STATEMENT_TIMEOUT_MS,
      lock_timeout: LOCK_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      // whatever the server's default may be: the locks are written for READ COMMITTED
      options: '-c default_transaction_isolation=read\\ committed',
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
      types: { getTypeParser },
      Client: ResilientClient,
    },
  };
}

/** Migrations take as long as they take, up to an hour a statement, and wait for their turn. */
export function migrationDataSourceOptions(url: string): DataSourceOptions {
  return {
    type: 'postgres',
    url,
    migrations,
    migrationsTableName: MIGRATIONS_TABLE,
    installExtensions: false,
    logging: false,
    poolSize: 1,
    connectTimeoutMS: CONNECTION_TIMEOUT_MS,
    applicationName: 'amba-referrals migrate',
    extra: {
      idle_in_transaction_session_timeout: IDLE_MIGRATION_TIMEOUT_MS,
      query_timeout: MIGRATION_QUERY_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
      Client: ResilientClient,
    },
  };
}

/**
 * A connection that fails without harm to others.
 *
 * When the server ends one, it says so to whoever uses it and once more as an `error` event. While the pool hands it
 * from one user to the next nobody listens for that event, and one that is not heard ends the process (seen with
 * `pg_terminate_backend` under load). When the link falls silent, pg gives up on the query and keeps the connection,
 * and the next user waits for nothing in turn: it is cut instead, so that the pool opens another.
 */
class ResilientClient extends Client {
  constructor(config?: string | ClientConfig) {
    super(config);
    this.on('error', () => undefined);
    const query = this.query.bind(this) as (...args: unknown[]) => unknown;
    const guarded = (...args: unknown[]): unknown => {
      const result = query(...args);
      if (!(result instanceof Promise)) return result;
      result.catch((error: unknown) => this.cutIfSilent(error));
      return args[0] === 'COMMIT' ? result.then(assertCommitted) : result;
    };
    this.query = guarded as typeof this.query;
  }

  private cutIfSilent(error: unknown): void {
    if (!(error instanceof Error) || error.message !== 'Query read timeout') return;
    // with a query under way this cuts the socket, and the pool will not take the connection back
    this.end().catch(() => undefined);
  }
}

/** PostgreSQL ends a transaction in which a statement failed with ROLLBACK, and calls that no error. We do, by its name. */
function assertCommitted(result: { command: string }): unknown {
  if (result.command === 'COMMIT') return result;
  const error = new Error(`COMMIT was answered with ${result.command}`);
  throw Object.assign(error, { severity: 'ERROR', code: TRANSACTION_ROLLBACK });
}

/** bigint columns arrive as exact numbers; the schema's CHECKs keep them within 2^53 - 1. */
function getTypeParser(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  return oid === INT8_OID ? exactInteger : (types.getTypeParser(oid, format) as (value: string) => unknown);
}

function exactInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} is not an exact JSON integer`);
  return value;
}
