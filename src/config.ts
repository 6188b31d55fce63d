import { resolve } from 'node:path';
import { ensureDataDir, localSecret } from './common/data-dir';
import { StartupError } from './common/startup-error';
import { readEnvironment, type Settings } from './environment';

const DAY_S = 24 * 60 * 60;
const PRODUCTION_DRAIN_S = 5;

const MINUTE_S = 60;

/** Every limit, as metrics and the headers of answers name it: docs/operations.md. */
export const LIMITS = [
  ...(['address', 'user', 'key', 'signup', 'guess-user', 'guess-address'] as const),
  ...(['developer-signup', 'developer-signup-day', 'developer-login'] as const),
  ...(['developer-refresh', 'developer-logout'] as const),
] as const;

export type LimitName = (typeof LIMITS)[number];

/** How often something may be done in so many seconds; 0 for as often as one likes. */
export type RateLimitsConfig = Readonly<
  Record<LimitName, { readonly requests: number; readonly perS: number }>
>;

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
  /** Who may sign up as a developer: everybody, the first one only, or nobody. */
  readonly signup: 'open' | 'first' | 'closed';
  readonly rateLimits: RateLimitsConfig;
  /** Whether each instance counts for itself, or all of them together. */
  readonly rateLimitStore: 'local' | 'database';
  /** How often an instance tells the others what it counted; 0 for never. */
  readonly rateLimitIntervalMs: number;
  /** Connections of clients that one instance takes at once; 0 for as many as come. */
  readonly maxConnections: number;
  /** How many proxies in front are trusted, or which addresses; undefined for none. */
  readonly trustProxy: number | string | undefined;
  /** Whether the environment names a collector for traces. OpenTelemetry itself reads all that it says of it. */
  readonly tracing: boolean;
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
    signup: values.SIGNUP,
    rateLimits: rateLimits(values),
    rateLimitStore: values.RATE_LIMIT_STORE,
    rateLimitIntervalMs: 1000,
    maxConnections: values.MAX_CONNECTIONS,
    trustProxy: /^\d+$/.test(values.TRUST_PROXY ?? '') ? Number(values.TRUST_PROXY) : values.TRUST_PROXY,
    corsOrigins: values.CORS_ORIGINS,
    tracing: (values.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? values.OTEL_EXPORTER_OTLP_ENDPOINT) !== undefined,
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

/** Those of developers without a setting are the contract's. Contract §5. */
function rateLimits(values: Settings): RateLimitsConfig {
  const aMinute = (requests: number) => ({ requests, perS: MINUTE_S });
  return {
    address: aMinute(values.REQUESTS_PER_ADDRESS),
    user: aMinute(values.REQUESTS_PER_USER),
    key: aMinute(values.REQUESTS_PER_KEY),
    signup: aMinute(values.SIGNUPS_PER_ADDRESS),
    'guess-user': aMinute(values.GUESSES_PER_USER),
    'guess-address': aMinute(values.GUESSES_PER_ADDRESS),
    'developer-signup': aMinute(5),
    'developer-signup-day': { requests: 50, perS: DAY_S },
    'developer-login': aMinute(values.DEVELOPER_LOGINS_PER_ADDRESS),
    'developer-refresh': aMinute(30),
    'developer-logout': aMinute(30),
  };
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
