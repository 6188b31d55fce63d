import { createHash } from 'node:crypto';
import type { DataSource } from 'typeorm';

/** As `RateLimiterPostgres` has it: `key`, `points`, and `expire` in ms since 1970. */
export const LIMITS_TABLE = 'rate_limits';

/** What a subject has done, of which the others do not know yet. */
export interface Addition {
  key: string;
  points: number;
  /** Until the window is over, where this is the first that the others hear of it. */
  msLeft: number;
}

/** What all instances together know. */
export interface Total {
  key: string;
  points: number;
  msLeft: number;
}

/** Nobody's address, e-mail or key is in the table, and every key is equally long. */
export function storedKeyOf(limit: string, subject: string): string {
  return `${limit}/${createHash('sha256').update(subject).digest('base64url')}`;
}

const NOW_MS = `(extract(epoch FROM now()) * 1000)::bigint`;

/** Rows are locked in the order of their keys, so that two instances never wait for each other. */
const ADD = `
  INSERT INTO ${LIMITS_TABLE} AS known (key, points, expire)
  SELECT key, points, ${NOW_MS} + ms_left
    FROM unnest($1::text[], $2::int[], $3::bigint[]) AS news (key, points, ms_left) ORDER BY key
  ON CONFLICT (key) DO UPDATE SET
    points = excluded.points + CASE WHEN known.expire > ${NOW_MS} THEN known.points ELSE 0 END,
    expire = CASE WHEN known.expire > ${NOW_MS} THEN known.expire ELSE excluded.expire END
  RETURNING key, points, expire - ${NOW_MS} AS "msLeft"`;

/** Adds what one instance counted to what all know, in one statement. */
export function addToTotals(dataSource: DataSource, additions: Addition[]): Promise<Total[]> {
  return dataSource.query<Total[]>(ADD, [
    additions.map(({ key }) => key),
    additions.map(({ points }) => points),
    additions.map(({ msLeft }) => msLeft),
  ]);
}
