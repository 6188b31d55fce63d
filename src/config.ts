import { resolve } from 'node:path';
import { ensureDataDir, localSecret } from './common/data-dir';
import { StartupError } from './common/startup-error';
import { readEnvironment, type Settings } from './environment';

const DAY_S = 24 * 60 * 60;
const PRODUCTION_DRAIN_S = 5;

/** Routes that one network address may call only so often. Contract §5. */
export type RateLimitName = 'signup' | 'login' | 'refresh' | 'logout';

const MINUTE_S = 60;
const RATE_LIMITS: Record<RateLimitName, { requests: number; perS: number }[]> = {
  signup: [
    { requests: 5, perS: MINUTE_S },
    { requests: 50, perS: DAY_S },
  ],
  login: [{ requests: 10, perS: MINUTE_S }],
  refresh: [{ requests: 30, perS: MINUTE_S }],
  logout: [{ requests: 30, perS: MINUTE_S }],
};

export type LogLevel = Settings['LOG_LEVEL'];

/** What it takes to reach the database: all that a migration needs. */
export interface DatabaseConfig {
  /** Absolute path of the folder that holds the embedded database and its local secrets. */
  readonly dataDir: string;
  /** Undefined: the embedded PostgreSQL in `dataDir`. */
  readonly databaseUrl: string | undefined;
  readonly databaseWaitS: number;
}

export interface Config extends DatabaseConfig {
  readonly production: boolean;
  /** The lines of the log that are written: those of this level and above. */
  readonly logLevel: LogLevel;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** What carries HTTP to the routes. Nobody can tell by an answer. */
  readonly httpAdapter: 'express' | 'fastify';
  /** A standby that may answer reads that are expensive; undefined: there is none. */
  readonly databaseReplicaUrl: string | undefined;
  readonly databasePoolSize: number;
  /** Whether each connection prepares its statements once. Not behind a pooler that cannot keep them apart. */
  readonly preparedStatements: boolean;
  /** The first one signs. What another one has signed is as good, until it expires. */
  readonly sessionSecrets: readonly [string, ...string[]];
  readonly sessionTtlS: number;
  readonly refreshTtlS: number;
  /** Where the keys of the identity providers are fetched from. */
  readonly jwksUrls: { readonly apple: string; readonly google: string };
  /** Wrong codes or passwords that one user, or one network address, may try a minute. */
  readonly guessesPerUser: number;
  readonly guessesPerAddress: number;
  /** Who may sign up as a developer: everybody, the first one only, or nobody. */
  readonly signup: 'open' | 'first' | 'closed';
  readonly rateLimits: typeof RATE_LIMITS;
  /** How many proxies in front are trusted, or which addresses; undefined for none. */
  readonly trustProxy: number | string | undefined;
  /** `*`, or the origins that browsers may call the client plane from. */
  readonly corsOrigins: '*' | string[];
  /** An empty embedded database outside production gets a demo project. */
  readonly seedDemo: boolean;
  readonly sweepIntervalMs: number;
  /** How long a SIGTERM leaves balancers to notice that no more requests should come. */
  readonly shutdownDrainMs: number;
  /** How often one of the instances checks all invariants; 0 for never. */
  readonly integrityIntervalMs: number;
  /** How often this instance removes what is past its retention; 0 for never. */
  readonly housekeepingIntervalMs: number;
  /** How long what decides nothing any more is kept; 0 for ever. */
  readonly retentionS: {
    readonly sessions: number;
    readonly idempotencyKeys: number;
    readonly integrityRuns: number;
  };
  /** What a monitoring system shows to read `/metrics`; undefined: there is no such page. */
  readonly metricsToken: string | undefined;
}

/** Injection token of the `Config`. */
export const CONFIG = Symbol('CONFIG');

/**
 * Reads the settings from the environment.
 *
 * @throws StartupError naming the variable that is missing or wrong
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const values = readEnvironment(env);
  const production = values.NODE_ENV === 'production';
  const local = values.DATABASE_URL === undefined && !production;
  const database = databaseConfig(values);
  return {
    ...database,
    production,
    logLevel: values.LOG_LEVEL,
    host: values.HOST,
    port: values.PORT,
    httpAdapter: values.HTTP_ADAPTER,
    databaseReplicaUrl: values.DATABASE_REPLICA_URL,
    databasePoolSize: values.DATABASE_POOL_SIZE,
    preparedStatements: values.DATABASE_PREPARED_STATEMENTS,
    sessionSecrets: sessionSecrets(values, local),
    sessionTtlS: values.SESSION_TTL_DAYS * DAY_S,
    refreshTtlS: values.REFRESH_TTL_DAYS * DAY_S,
    jwksUrls: { apple: values.APPLE_JWKS_URL, google: values.GOOGLE_JWKS_URL },
    guessesPerUser: values.GUESSES_PER_USER,
    guessesPerAddress: values.GUESSES_PER_ADDRESS,
    signup: values.SIGNUP,
    rateLimits: RATE_LIMITS,
    trustProxy: /^\d+$/.test(values.TRUST_PROXY ?? '') ? Number(values.TRUST_PROXY) : values.TRUST_PROXY,
    corsOrigins: values.CORS_ORIGINS,
    seedDemo: local,
    sweepIntervalMs: 1000,
    integrityIntervalMs: 1000 * values.INTEGRITY_INTERVAL_S,
    housekeepingIntervalMs: 1000 * values.HOUSEKEEPING_INTERVAL_S,
    retentionS: {
      sessions: values.SESSION_RETENTION_DAYS * DAY_S,
      idempotencyKeys: values.IDEMPOTENCY_RETENTION_DAYS * DAY_S,
      integrityRuns: values.INTEGRITY_RETENTION_DAYS * DAY_S,
    },
    metricsToken: values.METRICS_TOKEN,
    shutdownDrainMs: 1000 * (values.SHUTDOWN_DRAIN_S ?? (production ? PRODUCTION_DRAIN_S : 0)),
  };
}

/** As `loadConfig`, for a command that serves nobody and so needs no secret. @throws StartupError */
export function loadDatabaseConfig(env: NodeJS.ProcessEnv = process.env): DatabaseConfig {
  return databaseConfig(readEnvironment(env));
}

function databaseConfig(values: Settings): DatabaseConfig {
  return {
    dataDir: resolve(values.DATA_DIR),
    databaseUrl: values.DATABASE_URL,
    databaseWaitS: values.DATABASE_WAIT_S,
  };
}

function sessionSecrets(values: Settings, local: boolean): Config['sessionSecrets'] {
  const current = values.SESSION_SECRET ?? localSessionSecret(resolve(values.DATA_DIR), local);
  const previous = values.SESSION_SECRET_PREVIOUS;
  if (previous === undefined) return [current];
  if (previous === current) {
    throw new StartupError(
      'SESSION_SECRET_PREVIOUS is the same as SESSION_SECRET. Set it to the other secret that is in use, or leave it out.',
    );
  }
  return [current, previous];
}

/** On a developer's machine a secret is made once and kept beside the data; elsewhere it must be given. */
function localSessionSecret(dataDir: string, local: boolean): string {
  if (!local) {
    throw new StartupError(
      'SESSION_SECRET is missing: it is required with DATABASE_URL or NODE_ENV=production. ' +
        'Set it to at least 32 random characters, for example the output of: openssl rand -base64 48',
    );
  }
  ensureDataDir(dataDir);
  return localSecret(dataDir, 'session-secret');
}
