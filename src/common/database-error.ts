/** SQLSTATE of an error that PostgreSQL reported, or undefined when it came from elsewhere. */
export function sqlState(error: unknown): string | undefined {
  const candidate = error as { code?: unknown; severity?: unknown } | null;
  return typeof candidate?.code === 'string' && typeof candidate.severity === 'string'
    ? candidate.code
    : undefined;
}

/** The name of the constraint (or of the trigger that stands for one) that refused a row. */
export function violatedRule(error: unknown): string | undefined {
  return sqlState(error)?.startsWith('23') ? (error as { constraint?: string }).constraint : undefined;
}

/** What was to be stored is of a user who was erased meanwhile: the name of a trigger, or of the check on the row itself. */
export function isOfErasedUser(error: unknown): boolean {
  return ['app_users_erased_for_good', 'app_users_erased_is_empty'].includes(violatedRule(error) ?? '');
}

/** As `violatedRule`, for a unique constraint only: somebody else was first. */
export function violatedUnique(error: unknown): string | undefined {
  return sqlState(error) === '23505' ? violatedRule(error) : undefined;
}

/**
 * Serialization failure, deadlock, a stale plan, or a balance that somebody else made at the same time: the transaction was
 * undone and a new one may succeed.
 */
export function isRetryable(error: unknown): boolean {
  const isRace =
    ['40001', '40P01'].includes(sqlState(error) ?? '') || violatedUnique(error) === 'balances_pkey';
  return isRace || isStalePlan(error);
}

/**
 * A prepared statement returns other columns than before, as after a migration, or the server does not know it any more.
 * It has not run, and may succeed when it is prepared again. The first one shares its SQLSTATE with all that PostgreSQL does
 * not support and its message has a language, so it is told by where it comes from, as the JDBC driver does.
 */
export function isStalePlan(error: unknown): boolean {
  const state = sqlState(error);
  if (state === '0A000') return (error as { routine?: unknown }).routine === 'RevalidateCachedQuery';
  return state === '26000';
}

/** Somebody else kept a row locked for longer than we wait. */
export function isLockTimeout(error: unknown): boolean {
  return sqlState(error) === '55P03';
}

/** The statement took longer than it may. */
export function isStatementTimeout(error: unknown): boolean {
  return sqlState(error) === '57014';
}

/** The connection died while COMMIT was under way: the work may or may not be done, and only a look can tell. */
export class CommitUnknownError extends Error {
  constructor(cause: unknown) {
    super('The outcome of COMMIT is unknown', { cause });
    this.name = 'CommitUnknownError';
  }
}

/** The connection was lost between two statements: a transaction is undone, a read can be made again. */
export class LostLinkError extends Error {
  constructor(cause: unknown) {
    super('The connection was lost', { cause });
    this.name = 'LostLinkError';
  }
}

const LOST_LINK = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
];
/** What pg, pg-pool and TypeORM say without a code when the link or the pool is gone. */
const LOST_LINK_MESSAGE =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|not queryable|Client was closed|Driver not Connected/i;

/** The database cannot be reached, is starting, stopping, or out of connections: worth a later try. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof CommitUnknownError) return isDatabaseUnavailable(error.cause);
  if (error instanceof LostLinkError) return true;
  const state = sqlState(error);
  if (state !== undefined) return /^(08|57P0|53300)/.test(state);
  // by shape, not class: a name with two addresses fails with an AggregateError of both tries
  const { code, message, errors } = (error ?? {}) as { code?: unknown; message?: unknown; errors?: unknown };
  if (Array.isArray(errors)) return errors.some(isDatabaseUnavailable);
  return LOST_LINK.includes(String(code)) || (typeof message === 'string' && LOST_LINK_MESSAGE.test(message));
}
