import { RateLimiterMemory, RateLimiterPostgres } from 'rate-limiter-flexible';
import type { DataSource } from 'typeorm';
import { settledWithin } from '../common/settled-within';
import { LIMITS_TABLE, storedKeyOf } from './limits-table';
import { standingOf, type Limit, type Limiter, type Standing } from './limiter';
import { hasNone, hasRoom } from './local-limiter';

const PATIENCE_MS = 500;
const REST_MS = 5_000;

/**
 * Counts in the database, exactly, for all instances. A count is one statement, which commits by itself and locks its own
 * row only. A subject that has had all is remembered here, so that it asks the database nothing until its window is over;
 * and while the database does not answer, this instance counts for itself.
 */
export class StoredLimiter implements Limiter {
  /** Those who have had all; and everybody while the database is away. */
  private readonly here: RateLimiterMemory;
  private readonly everywhere: RateLimiterPostgres;

  constructor(
    private readonly name: string,
    { requests, perS }: Limit,
    dataSource: DataSource,
  ) {
    this.here = new RateLimiterMemory({ points: requests, duration: perS });
    this.everywhere = new RateLimiterPostgres({
      ...{ points: requests, duration: perS, inMemoryBlockOnConsumed: requests, keyPrefix: '' },
      ...{ tableName: LIMITS_TABLE, tableCreated: true, clearExpiredByTimeout: false },
      ...{ storeType: 'client', storeClient: clientOn(dataSource), insuranceLimiter: this.here },
    });
  }

  consume(subject: string): Promise<Standing> {
    return this.everywhere.consume(storedKeyOf(this.name, subject)).then(hasRoom, hasNone);
  }

  async look(subject: string): Promise<Standing | undefined> {
    const key = storedKeyOf(this.name, subject);
    const blocked = await this.here.get(key);
    if (blocked?.remainingPoints === 0) return standingOf(blocked, true);
    const state = await this.everywhere.get(key);
    if (state === null) return undefined;
    const standing = standingOf(state, state.remainingPoints === 0);
    if (standing.isExceeded) await this.here.block(key, standing.resetS);
    return standing;
  }
}

/**
 * The library's statements on our own pool: it would prepare them by names that a pooler may not know. A claim waits half a
 * second for its limits at most; then they are left alone for a while, and the library counts here.
 */
function clientOn(dataSource: DataSource) {
  let restsUntil = 0;
  return {
    query: async ({ text, values }: { text: string; values: unknown[] }) => {
      if (Date.now() < restsUntil) throw new Error('The table of limits did not answer in time');
      const rows = await settledWithin(dataSource.query<object[]>(text, values), PATIENCE_MS);
      if (rows === undefined) {
        restsUntil = Date.now() + REST_MS;
        throw new Error('The table of limits does not answer in time');
      }
      return { rows, rowCount: rows.length };
    },
  };
}
