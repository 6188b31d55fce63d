import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { Client, type ClientConfig } from 'pg';

const TRANSACTION_ROLLBACK = '40000';
const BEGIN = 'START TRANSACTION';
/** A migration changed what a prepared statement returns, or somebody dropped it: a connection would say so for ever. */
const STALE = { cachedPlan: '0A000', unknownStatement: '26000' };
/** Statements that are prepared. Some are written anew for each length of a list: there must be an end to it. */
const MAX_PREPARED = 500;
/** One with more values is of a long list, and will hardly come again. */
const MAX_VALUES = 64;

export interface ResilientClientConfig extends ClientConfig {
  /** Prepare each statement once per connection, under a name. Some poolers cannot keep them apart. */
  preparedStatements?: boolean;
}

type Query = (...args: unknown[]) => unknown;

/**
 * A connection that fails without harm to others, and that waits for no answer nobody needs.
 *
 * When the server ends one, it says so to whoever uses it and once more as an `error` event. While the pool hands it
 * from one user to the next nobody listens for that event, and one that is not heard ends the process (seen with
 * `pg_terminate_backend` under load). When the link falls silent, pg gives up on the query and keeps the connection,
 * and the next user waits for nothing in turn: it is cut instead, so that the pool opens another.
 */
export class ResilientClient extends Client {
  /**
   * The next START TRANSACTION is not waited for by what is asked in the same turn. Should it fail, that has run outside
   * of a transaction, and must do no harm there; nothing that comes later is sent.
   */
  beginsWithNext = false;
  /** A START TRANSACTION that was not waited for. */
  private begun: Promise<unknown> | undefined;
  private isBeginning = false;

  constructor(private readonly settings: ResilientClientConfig = {}) {
    super(settings);
    this.on('error', () => undefined);
    const query = this.query.bind(this) as Query;
    const send: Query = (...args) => {
      this.gather();
      const result = query(...this.prepared(args));
      if (!(result instanceof Promise)) return result;
      result.catch((error: unknown) => this.cutIfUseless(error));
      return args[0] === 'COMMIT' ? result.then(assertCommitted) : result;
    };
    const guarded: Query = (...args) => {
      if (args[0] === BEGIN) return this.begin(send(...args));
      const mayGo = this.begun === undefined || this.isBeginning;
      return mayGo ? send(...args) : this.begun?.then(() => send(...args));
    };
    this.query = guarded as typeof this.query;
  }

  /** What is asked in one turn goes out in one packet, and wakes the server once. */
  private gather(): void {
    const { stream } = (this as unknown as { connection: { stream: Socket } }).connection;
    stream.cork();
    process.nextTick(() => stream.uncork());
  }

  private begin(started: unknown): unknown {
    this.begun = undefined;
    if (!this.beginsWithNext) return started;
    this.beginsWithNext = false;
    this.begun = started as Promise<unknown>;
    this.isBeginning = true;
    process.nextTick(() => (this.isBeginning = false));
    return Promise.resolve({ command: 'START', rows: [] });
  }

  private prepared([text, values, ...others]: unknown[]): unknown[] {
    const isNameable = Array.isArray(values) && values.length <= MAX_VALUES && typeof text === 'string';
    const name = this.settings.preparedStatements && isNameable ? nameOf(text) : undefined;
    return name === undefined ? [text, values, ...others] : [{ name, text, values }, ...others];
  }

  private cutIfUseless(error: unknown): void {
    const { message, code } = error as { message?: unknown; code?: unknown };
    const isStale =
      code === STALE.unknownStatement ||
      (code === STALE.cachedPlan && String(message).startsWith('cached plan'));
    // with a query under way this cuts the socket, and the pool will not take the connection back
    if (isStale || message === 'Query read timeout') this.end().catch(() => undefined);
  }
}

/** PostgreSQL ends a transaction in which a statement failed with ROLLBACK, and calls that no error. We do, by its name. */
function assertCommitted(result: { command: string }): unknown {
  if (result.command === 'COMMIT') return result;
  const error = new Error(`COMMIT was answered with ${result.command}`);
  throw Object.assign(error, { severity: 'ERROR', code: TRANSACTION_ROLLBACK });
}

const names = new Map<string, string>();

/** The same text has the same name everywhere, so that a name can never be taken for another statement. */
function nameOf(text: string): string | undefined {
  if (!names.has(text) && names.size < MAX_PREPARED) {
    names.set(text, `amba_${createHash('sha256').update(text).digest('hex').slice(0, 24)}`);
  }
  return names.get(text);
}
