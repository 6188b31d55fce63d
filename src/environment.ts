import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { SECRET_MIN_LENGTH } from './common/data-dir';
import { StartupError } from './common/startup-error';

const DAY_S = 24 * 60 * 60;

const wholeNumber = (min: number, max: number) => {
  const message = `must be a whole number from ${min} to ${max}`;
  return z.coerce.number(message).int(message).min(min, message).max(max, message);
};
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
/** What is counted in PostgreSQL is an integer. */
const MOST_A_MINUTE = 1_000_000;
const perMinute = () => wholeNumber(0, MOST_A_MINUTE);
const httpUrl = () => z.url({ protocol: /^https?$/, error: 'must be an http or https URL' });
/** As browsers send it: in small letters, without a path. Apps in a shell of their own have schemes of their own. */
const ORIGIN = /^[a-z][a-z\d+.-]*:\/\/[^\s/?#A-Z]+$/;
const origins = () =>
  z
    .string()
    .transform((text) => (text === '*' ? text : text.split(',').map((origin) => origin.trim())))
    .refine(
      (list) => list === '*' || list.every((origin) => ORIGIN.test(origin)),
      'must be * or origins like https://app.example.com, separated by commas',
    );
const secret = () => z.string().min(SECRET_MIN_LENGTH, `must have at least ${SECRET_MIN_LENGTH} characters`);

/** Every setting there is, as it is written. The README's table explains them, and `.env.example` lists them. */
export const Environment = z.object({
  NODE_ENV: z.string().default('development'),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
  HOST: z.string().default('127.0.0.1'),
  PORT: wholeNumber(0, 65_535).default(3000),
  DATA_DIR: z.string().default('.data'),
  DATABASE_URL: z.string().optional(),
  DATABASE_REPLICA_URL: z.url({ protocol: /^postgres(ql)?$/, error: 'must be a postgres:// URL' }).optional(),
  DATABASE_WAIT_S: wholeNumber(0, 86_400).default(60),
  DATABASE_POOL_SIZE: wholeNumber(1, 1000).default(10),
  DATABASE_PREPARED_STATEMENTS: z
    .stringbool({ truthy: ['true'], falsy: ['false'], error: 'must be true or false' })
    .default(true),
  SESSION_SECRET: secret().optional(),
  SESSION_SECRET_PREVIOUS: secret().optional(),
  SESSION_TTL_DAYS: wholeNumber(1, 365).default(30),
  REFRESH_TTL_DAYS: wholeNumber(1, 3650).default(90),
  GOOGLE_JWKS_URL: httpUrl().default('https://www.googleapis.com/oauth2/v3/certs'),
  APPLE_JWKS_URL: httpUrl().default('https://appleid.apple.com/auth/keys'),
  REQUESTS_PER_ADDRESS: perMinute().default(6000),
  REQUESTS_PER_USER: perMinute().default(600),
  REQUESTS_PER_KEY: perMinute().default(60_000),
  SIGNUPS_PER_ADDRESS: perMinute().default(100),
  GUESSES_PER_USER: wholeNumber(1, MOST_A_MINUTE).default(10),
  GUESSES_PER_ADDRESS: wholeNumber(1, MOST_A_MINUTE).default(100),
  DEVELOPER_LOGINS_PER_ADDRESS: wholeNumber(1, MOST_A_MINUTE).default(10),
  RATE_LIMIT_STORE: z.enum(['local', 'database'], 'must be local or database').default('local'),
  MAX_CONNECTIONS: wholeNumber(0, 1_000_000).default(10_000),
  SIGNUP: z.enum(['open', 'first', 'closed'], 'must be open, first or closed').default('first'),
  HTTP_ADAPTER: z.enum(['express', 'fastify'], 'must be express or fastify').default('express'),
  TRUST_PROXY: z.string().optional(),
  SHUTDOWN_DRAIN_S: wholeNumber(0, 300).optional(),
  INTEGRITY_INTERVAL_S: wholeNumber(0, 30 * DAY_S).default(60 * 60),
  HOUSEKEEPING_INTERVAL_S: wholeNumber(0, DAY_S).default(600),
  SESSION_RETENTION_DAYS: wholeNumber(0, 36_500).default(30),
  IDEMPOTENCY_RETENTION_DAYS: wholeNumber(0, 36_500).default(30),
  INTEGRITY_RETENTION_DAYS: wholeNumber(0, 36_500).default(90),
  METRICS_TOKEN: z
    .string()
    .regex(/^[\w.~+/=-]{32,}$/, 'must have at least 32 characters out of letters, digits and -._~+/=')
    .optional(),
  CORS_ORIGINS: origins().default('*'),
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl().optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: httpUrl().optional(),
});

export type Settings = z.infer<typeof Environment>;

/** What may also be given as the path of a file: `NAME_FILE` instead of `NAME`. */
export const SECRETS = [
  'DATABASE_URL',
  'DATABASE_REPLICA_URL',
  'SESSION_SECRET',
  'SESSION_SECRET_PREVIOUS',
  'METRICS_TOKEN',
] as const satisfies (keyof Settings)[];

/**
 * The settings that an environment holds, with those in files and with defaults. No message says what a setting holds:
 * it may be a secret, also where it should not be.
 *
 * @throws StartupError naming the variable that is wrong
 */
export function readEnvironment(env: NodeJS.ProcessEnv): Settings {
  // FOO= in a shell or a compose file means "not set"
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim() !== ''));
  const parsed = Environment.safeParse({ ...given, ...secretsFromFiles(given) });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new StartupError(
    `${issue?.path.join('.')} is not valid: ${issue?.message}. Correct it and start again.`,
  );
}

function secretsFromFiles(given: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const secrets: NodeJS.ProcessEnv = {};
  for (const name of SECRETS) {
    const path = given[`${name}_FILE`];
    if (path === undefined) continue;
    if (given[name] !== undefined) {
      throw new StartupError(`${name} and ${name}_FILE are both set. Keep one of them.`);
    }
    secrets[name] = readSecret(`${name}_FILE`, path);
  }
  return secrets;
}

/** The content of a file without the line break that most editors and commands end it with. */
function readSecret(variable: string, path: string): string {
  let secret: string;
  try {
    secret = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new StartupError(
      `${variable} names a file that cannot be read (${code}). Give the path of one that this user may read.`,
      { cause: error },
    );
  }
  if (secret.trim() === '') {
    throw new StartupError(`${variable} names a file that is empty. Write the secret into it.`);
  }
  return secret;
}
