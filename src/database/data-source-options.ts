import { types } from 'pg';
import type { DataSourceOptions, EntitySchema } from 'typeorm';
import { migrations } from '../../migrations';
import { ResilientClient } from './resilient-client';
import { SESSION_OPTIONS } from './session-settings';

/** The client's own limit, for a link that has gone silent: longer than the server's, which frees locks sooner. */
const SILENCE_TIMEOUT_MS = 5_000;
const CONNECTION_TIMEOUT_MS = 3_000;
/** A peer that vanished is noticed on an idle connection too, not after the system's two hours. */
const KEEP_ALIVE_DELAY_MS = 10_000;

const MIGRATION_SILENCE_TIMEOUT_MS = 60 * 60_000;

export const MIGRATIONS_TABLE = 'migrations';

const INT8_OID = 20;

interface DatabaseSettings {
  url: string;
  poolSize: number;
  /** See `ResilientClient`; true when not given. */
  preparedStatements?: boolean;
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
      options: SESSION_OPTIONS,
      silenceTimeoutMs: SILENCE_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
      types: { getTypeParser },
      Client: ResilientClient,
      preparedStatements: settings.preparedStatements ?? true,
    },
  };
}

/** Migrations take as long as they take, up to an hour a statement. One connection has the turn, one does the work. */
export function migrationDataSourceOptions(url: string): DataSourceOptions {
  return {
    type: 'postgres',
    url,
    migrations,
    migrationsTableName: MIGRATIONS_TABLE,
    installExtensions: false,
    logging: false,
    poolSize: 2,
    connectTimeoutMS: CONNECTION_TIMEOUT_MS,
    applicationName: 'amba-referrals migrate',
    extra: {
      // what runs outside of a transaction cannot lift the limits of its role for itself
      options: '-c statement_timeout=0 -c lock_timeout=0',
      silenceTimeoutMs: MIGRATION_SILENCE_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
      Client: ResilientClient,
    },
  };
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
