import { inScope, type Invariant } from './invariant';

export const ANALYTICS_INVARIANTS: Invariant[] = [
  {
    number: 24,
    name: 'rollups_add_up',
    description: 'What the analytics rolled up agrees with the codes and claims that it was made from.',
    sql: `
      WITH raw AS (
        SELECT r.project_id, (r.at AT TIME ZONE 'UTC')::date AS day, sum(r.codes) AS codes, sum(r.claims) AS claims
          FROM (SELECT c.project_id, c.created_at AS at, 1 AS codes, 0 AS claims FROM referral_codes c WHERE ${inScope('c')}
                UNION ALL
                SELECT k.project_id, k.claimed_at, 0, 1 FROM referral_claims k WHERE ${inScope('k')}
                UNION ALL
                SELECT t.project_id, t.created_at, 0, 0 FROM currency_transactions t
                 WHERE ${inScope('t')} AND t.source = 'referral') r
          JOIN analytics_progress p ON p.project_id = r.project_id AND r.at < p.closed_until
         GROUP BY r.project_id, day)
      SELECT coalesce(r.project_id, d.project_id) AS project_id, coalesce(r.day, d.day) AS day,
             r.codes, d.codes_made, r.claims, d.claims AS rolled_up_claims
        FROM raw r
        FULL JOIN (SELECT d.* FROM analytics_days d WHERE ${inScope('d')}) d
          ON d.project_id = r.project_id AND d.day = r.day
        LEFT JOIN analytics_day_referrers f ON ${inScope('f')} AND f.project_id = d.project_id AND f.day = d.day
       WHERE (r.codes, r.claims) IS DISTINCT FROM (d.codes_made, d.claims)
          OR d.user_code_claims <> coalesce(octet_length(f.referrers), 0) / 4`,
  },
];
