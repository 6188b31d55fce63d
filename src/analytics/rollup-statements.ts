import type { QueryRunner } from 'typeorm';
import { allowLongStatements } from '../database/long-statements';

/** The statements that roll up one slice of a project's history: from `closed_until` to some later hour of one UTC day. */

export interface OpenProject {
  projectId: string;
  closedUntil: string;
  /** The hour up to which everything may be closed. */
  horizon: string;
}

export interface Slice {
  projectId: string;
  /** `-infinity`, or an hour, as PostgreSQL writes it. */
  start: string;
  end: string;
  /** The UTC day of everything that happened in the slice. */
  day: string;
}

/**
 * How long after its end an hour is closed. Claims, codes and ledger lines carry the time at which they were written,
 * and become visible with their commit. Statements are cut off after 3 s, pauses between them after 4 s, and no
 * transaction has more than a dozen: in a quarter of an hour it has long ended.
 */
export const CLOSING_MARGIN = '15 minutes';
/** An hour is never cut in two, however busy it was. With a million claims it took 6 s in all. */
const SLICE_TIMEOUT_MS = 60_000;
/** Keeps each statement short where hours are not that busy. */
const SLICE_CLAIMS = 100_000;

/** By the clock of the database, which also writes the times; `$1` can only make it earlier. */
const HORIZON = `date_trunc('hour', least($1::timestamptz, now()) - interval '${CLOSING_MARGIN}', 'UTC')`;

const IN_SLICE = (time: string) => `project_id = $1 AND ${time} >= $2 AND ${time} < $3`;

/** Locks the project that is furthest behind, if any is. Never waits: one that is locked is being rolled up there. */
export async function takeProject(queryRunner: QueryRunner, now: Date): Promise<OpenProject | undefined> {
  const [row] = (await queryRunner.query(
    `SELECT project_id AS "projectId", closed_until::text AS "closedUntil", ${HORIZON}::text AS horizon
       FROM analytics_progress WHERE closed_until < ${HORIZON} AND next_try_at <= $1
      ORDER BY closed_until LIMIT 1 FOR UPDATE SKIP LOCKED`,
    [now],
  )) as OpenProject[];
  return row;
}

/**
 * The next slice in which something happened: up to the horizon, the end of the day, or the hour in which `maxClaims`
 * is passed. Undefined when nothing happened until the horizon.
 */
export async function nextSlice(
  queryRunner: QueryRunner,
  { projectId, closedUntil, horizon }: OpenProject,
  maxClaims = SLICE_CLAIMS,
): Promise<Slice | undefined> {
  const [row] = (await queryRunner.query(
    `WITH first AS (
       SELECT least((SELECT min(created_at) FROM referral_codes WHERE ${IN_SLICE('created_at')}),
                    (SELECT min(claimed_at) FROM referral_claims WHERE ${IN_SLICE('claimed_at')}),
                    (SELECT min(created_at) FROM currency_transactions
                      WHERE source = 'referral' AND ${IN_SLICE('created_at')})) AS at),
     day AS (SELECT at, date_trunc('day', at, 'UTC') AS start FROM first WHERE at IS NOT NULL),
     busy AS (
       SELECT date_trunc('hour', claimed_at, 'UTC') + interval '1 hour' AS until FROM referral_claims, day
        WHERE project_id = $1 AND claimed_at >= at AND claimed_at < least($3, day.start + interval '1 day')
        ORDER BY claimed_at OFFSET $4 LIMIT 1)
     SELECT (start AT TIME ZONE 'UTC')::date::text AS day,
            least($3, start + interval '1 day', (SELECT until FROM busy))::text AS end
       FROM day`,
    [projectId, closedUntil, horizon, maxClaims],
  )) as { day: string; end: string }[];
  return row && { projectId, start: closedUntil, ...row };
}

/** Adds the slice to its day. The project must be locked: referrers are numbered one after another. */
export async function addSlice(queryRunner: QueryRunner, slice: Slice): Promise<void> {
  const statement = await allowLongStatements(queryRunner, SLICE_TIMEOUT_MS);
  const parameters = [slice.projectId, slice.start, slice.end, slice.day];
  for (const sql of [TOTALS, REFERRERS, REWARDS]) await statement(sql, parameters);
}

/**
 * The number of a referrer, or null. A subquery, and not a join: while the statistics do not know a new project, a join
 * takes its referrers for few and compares each of them with each claim (56 s for 100,000 claims, against 2.9 s).
 */
export const NUMBER_OF = (referrer: string) =>
  `(SELECT r.no FROM analytics_referrers r WHERE r.project_id = $1 AND r.user_id = ${referrer})`;

const TOTALS = `
WITH first_claims AS (
  SELECT referrer_id, min(claimed_at) AS first_at FROM referral_claims
   WHERE ${IN_SLICE('claimed_at')} AND referrer_id IS NOT NULL GROUP BY 1),
numbered AS (
  INSERT INTO analytics_referrers (project_id, user_id, no)
  SELECT $1, referrer_id, (SELECT coalesce(max(no), 0) FROM analytics_referrers WHERE project_id = $1 AND no > 0)
         + row_number() OVER (ORDER BY first_at, referrer_id)
    FROM first_claims WHERE ${NUMBER_OF('referrer_id')} IS NULL
  RETURNING no)
INSERT INTO analytics_days AS d (project_id, day, codes_made, user_codes_made, claims, user_code_claims, new_referrers)
SELECT $1, $4, c.made, c.of_users, k.made, k.of_users, (SELECT count(*) FROM numbered)
  FROM (SELECT count(*) AS made, count(user_id) AS of_users FROM referral_codes WHERE ${IN_SLICE('created_at')}) AS c,
       (SELECT count(*) AS made, count(referrer_id) AS of_users FROM referral_claims WHERE ${IN_SLICE('claimed_at')}) AS k
ON CONFLICT (project_id, day) DO UPDATE
   SET codes_made = d.codes_made + excluded.codes_made, user_codes_made = d.user_codes_made + excluded.user_codes_made,
       claims = d.claims + excluded.claims, user_code_claims = d.user_code_claims + excluded.user_code_claims,
       new_referrers = d.new_referrers + excluded.new_referrers`;

const REFERRERS = `
INSERT INTO analytics_day_referrers AS d (project_id, day, referrers)
SELECT $1, $4, string_agg(int4send(${NUMBER_OF('referrer_id')}), ''::bytea)
  FROM referral_claims WHERE ${IN_SLICE('claimed_at')} AND referrer_id IS NOT NULL
HAVING count(*) > 0
ON CONFLICT (project_id, day) DO UPDATE SET referrers = d.referrers || excluded.referrers`;

const REWARDS = `
INSERT INTO analytics_day_rewards AS d (project_id, day, currency_id, granted_count, clamped_count, promised, granted)
SELECT $1, $4, currency_id, count(*), count(*) FILTER (WHERE amount < requested), sum(requested), sum(amount)
  FROM currency_transactions WHERE source = 'referral' AND ${IN_SLICE('created_at')} GROUP BY currency_id
ON CONFLICT (project_id, day, currency_id) DO UPDATE
   SET granted_count = d.granted_count + excluded.granted_count,
       clamped_count = d.clamped_count + excluded.clamped_count,
       promised = d.promised + excluded.promised, granted = d.granted + excluded.granted`;

export async function advance(queryRunner: QueryRunner, projectId: string, until: string): Promise<void> {
  await queryRunner.query(`UPDATE analytics_progress SET closed_until = $2 WHERE project_id = $1`, [
    projectId,
    until,
  ]);
}
