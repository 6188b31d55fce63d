import type { QueryRunner } from 'typeorm';
import { NUMBER_OF } from './rollup-statements';

/**
 * What the analytics read: rolled-up days, and beside them the rows since `closed_until`. Both must be read in one
 * snapshot, or an hour that is closed in between is counted twice or not at all.
 */

export interface Window {
  projectId: string;
  /** UTC days, both inclusive. */
  from: string;
  to: string;
  /** As PostgreSQL writes it: `-infinity` before the first rollup. */
  closedUntil: string;
}

/** A day of the period. What happened before it is one row more, under the day before `from`. */
export interface DayRow {
  day: string;
  codes_made: number;
  user_codes_made: number;
  claims: number;
  user_code_claims: number;
  new_referrers: number;
}

/** Claims that are not yet rolled up, by day (as in `DayRow`) and referrer. */
export interface OpenClaimsRow {
  day: string;
  /** Null for codes without an owner. */
  referrer_id: string | null;
  /** Null for a referrer who is in no rollup yet. */
  no: number | null;
  claims: number;
}

export interface RewardsRow {
  currency_code: string;
  granted_count: number;
  clamped_count: number;
  promised: number;
  granted: number;
  clamped: number;
}

/** `$1` project, `$2` from, `$3` to, `$4` closed_until: not yet rolled up, and before the end of the period. */
const IS_OPEN = (time: string) =>
  `project_id = $1 AND ${time} >= $4 AND ${time} < ($3::date + 1)::timestamp AT TIME ZONE 'UTC'`;
const DAY = (time: string) => `(${time} AT TIME ZONE 'UTC')::date`;
/** The exact sum where JSON can carry it, else the largest number that it can. */
const CAPPED = (amount: string) => `least(sum(${amount}), ${Number.MAX_SAFE_INTEGER})::bigint`;

const parameters = ({ projectId, from, to, closedUntil }: Window) => [projectId, from, to, closedUntil];

export async function progress(
  queryRunner: QueryRunner,
  projectId: string,
): Promise<{ closedUntil: string; highestNo: number }> {
  const [row] = (await queryRunner.query(
    `SELECT coalesce((SELECT closed_until FROM analytics_progress WHERE project_id = $1), '-infinity')::text AS "closedUntil",
            coalesce((SELECT max(no) FROM analytics_referrers WHERE project_id = $1 AND no > 0), 0) AS "highestNo"`,
    [projectId],
  )) as [{ closedUntil: string; highestNo: number }];
  return row;
}

/** Rolled-up days and open codes; open claims are in `openClaims`. */
export function days(queryRunner: QueryRunner, window: Window): Promise<DayRow[]> {
  return queryRunner.query(
    `SELECT greatest(day, $2::date - 1)::text AS day, sum(codes_made) AS codes_made, sum(user_codes_made) AS user_codes_made,
            sum(claims) AS claims, sum(user_code_claims) AS user_code_claims, sum(new_referrers) AS new_referrers
       FROM (SELECT day, codes_made, user_codes_made, claims, user_code_claims, new_referrers
               FROM analytics_days WHERE project_id = $1 AND day <= $3
             UNION ALL
             SELECT ${DAY('created_at')}, 1, (user_id IS NOT NULL)::integer, 0, 0, 0
               FROM referral_codes WHERE ${IS_OPEN('created_at')}) AS d
      GROUP BY 1`,
    parameters(window),
  ) as Promise<DayRow[]>;
}

/** In the order of days, and in that of first claims, which is the order in which referrers are numbered. */
export function openClaims(queryRunner: QueryRunner, window: Window): Promise<OpenClaimsRow[]> {
  return queryRunner.query(
    `SELECT k.day::text, k.referrer_id, ${NUMBER_OF('k.referrer_id')} AS no, k.claims
       FROM (SELECT greatest(${DAY('claimed_at')}, $2::date - 1) AS day, referrer_id, count(*) AS claims,
                    min(claimed_at) AS first_at
               FROM referral_claims WHERE ${IS_OPEN('claimed_at')} GROUP BY 1, 2) AS k
      ORDER BY k.first_at, k.referrer_id`,
    parameters(window),
  ) as Promise<OpenClaimsRow[]>;
}

/** The packed referrers of the days from `from` to `to`, oldest first. */
export function dayReferrers(
  queryRunner: QueryRunner,
  projectId: string,
  { from, to }: { from: string; to: string },
): Promise<{ day: string; referrers: Buffer }[]> {
  return queryRunner.query(
    `SELECT day::text, referrers FROM analytics_day_referrers
      WHERE project_id = $1 AND day BETWEEN $2 AND $3 ORDER BY analytics_day_referrers.day`,
    [projectId, from, to],
  ) as Promise<{ day: string; referrers: Buffer }[]>;
}

/** The paid rewards of the period per currency, by the time of payment. */
export function rewards(queryRunner: QueryRunner, window: Window): Promise<RewardsRow[]> {
  return queryRunner.query(
    `SELECT c.code AS currency_code, sum(granted_count) AS granted_count, sum(clamped_count) AS clamped_count,
            ${CAPPED('promised')} AS promised, ${CAPPED('granted')} AS granted, ${CAPPED('promised - granted')} AS clamped
       FROM (SELECT currency_id, granted_count, clamped_count, promised, granted
               FROM analytics_day_rewards WHERE project_id = $1 AND day BETWEEN $2 AND $3
             UNION ALL
             SELECT currency_id, 1, (amount < requested)::integer, requested, amount
               FROM currency_transactions
              WHERE source = 'referral' AND ${IS_OPEN('created_at')}
                AND created_at >= $2::date::timestamp AT TIME ZONE 'UTC') AS d
       JOIN currencies c ON c.project_id = $1 AND c.id = d.currency_id
      GROUP BY c.code ORDER BY c.code`,
    parameters(window),
  ) as Promise<RewardsRow[]>;
}

/** Which users have these numbers. */
export async function referrerIds(
  queryRunner: QueryRunner,
  projectId: string,
  numbers: number[],
): Promise<Map<number, string>> {
  const rows = (await queryRunner.query(
    `SELECT no, user_id FROM analytics_referrers WHERE project_id = $1 AND no = ANY($2) AND no > 0`,
    [projectId, numbers],
  )) as { no: number; user_id: string }[];
  return new Map(rows.map((row) => [row.no, row.user_id]));
}
