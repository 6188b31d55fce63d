import { inScope, type Invariant } from './invariant';

/**
 * A promise is paid within seconds of falling due: every instance looks each second, and one that cannot be paid now
 * gets a later time. Ten minutes is a restart or a backlog of 60,000 promises; beyond that nobody sweeps.
 */
const LEFT_BEHIND_AFTER = `interval '10 minutes'`;

/** What the claims owe: a line per side and currency, read from the rewards that were frozen on the claim. */
const PROMISED = `
  SELECT k.project_id, k.id AS claim_id, s.side, s.user_id, i.currency_code,
         CASE WHEN i.amount ~ '^[0-9]{1,16}$' THEN i.amount::bigint END AS amount
    FROM referral_claims k
   CROSS JOIN LATERAL (VALUES ('referrer', k.referrer_id, k.reward_referrer), ('referee', k.referee_id, k.reward_referee))
         AS s (side, user_id, reward)
   CROSS JOIN LATERAL (
     SELECT s.reward ->> 'currency' AS currency_code, s.reward ->> 'amount' AS amount
      WHERE json_typeof(s.reward -> 'currency') = 'string'
     UNION ALL
     SELECT e.key, e.value FROM json_each_text(CASE json_typeof(s.reward) WHEN 'object' THEN s.reward ELSE '{}' END) e
      WHERE json_typeof(s.reward -> 'currency') IS DISTINCT FROM 'string') AS i
   WHERE ${inScope('k')} AND s.user_id IS NOT NULL`;

export const REWARD_INVARIANTS: Invariant[] = [
  {
    number: 6,
    name: 'one_grant_per_promise',
    description: 'Every reward that a claim promised has exactly one grant, and no grant was invented.',
    sql: `
      SELECT coalesce(p.project_id, g.project_id) AS project_id, coalesce(p.claim_id, g.claim_id) AS claim_id,
             coalesce(p.side, g.side) AS side, coalesce(p.user_id, g.user_id) AS user_id,
             p.amount AS promised, g.amount AS in_grant, coalesce(g.grants, 0) AS grants
        FROM (${PROMISED}) p
        FULL JOIN (
          SELECT g.project_id, g.claim_id, g.side, g.user_id, g.currency_code, g.amount, count(*) AS grants
            FROM reward_grants g WHERE ${inScope('g')} GROUP BY 1, 2, 3, 4, 5, 6) g
          ON g.project_id = p.project_id AND g.claim_id = p.claim_id AND g.side = p.side
         AND g.user_id = p.user_id AND g.currency_code = p.currency_code AND g.amount = p.amount
       WHERE p.claim_id IS NULL OR g.grants IS DISTINCT FROM 1`,
  },
  {
    number: 7,
    name: 'grant_has_ledger_line',
    description:
      'A grant is granted exactly when the ledger has one line with its claim, user, currency and amount.',
    sql: `
      SELECT coalesce(g.project_id, t.project_id) AS project_id, g.id AS grant_id, g.status, g.amount, g.granted,
             t.id AS transaction_id, t.requested, t.amount AS credited
        FROM (SELECT g.*, c.id AS currency_id FROM reward_grants g
                LEFT JOIN currencies c ON c.project_id = g.project_id AND c.code = g.currency_code
               WHERE ${inScope('g')}) g
        FULL JOIN (SELECT t.* FROM currency_transactions t WHERE ${inScope('t')} AND t.source = 'referral') t
          ON t.project_id = g.project_id AND t.reference_id = g.claim_id
         AND t.user_id = g.user_id AND t.currency_id = g.currency_id
       WHERE CASE WHEN t.id IS NULL THEN g.status = 'granted'
             ELSE (g.status, g.transaction_id, g.granted, g.amount) IS DISTINCT FROM ('granted', t.id, t.amount, t.requested) END`,
  },
  {
    number: 13,
    name: 'control_totals_agree',
    description:
      'In every currency the balances add up to the ledger, and the referral lines of the ledger to what was granted.',
    sql: `
      SELECT coalesce(b.project_id, l.project_id, g.project_id) AS project_id,
             coalesce(b.currency_id, l.currency_id, g.currency_id) AS currency_id,
             coalesce(b.total, 0) AS balances, coalesce(l.total, 0) AS ledger,
             coalesce(l.referrals, 0) AS ledger_of_referrals, coalesce(g.total, 0) AS grants
        FROM (SELECT b.project_id, b.currency_id, sum(b.balance) AS total
                FROM balances b WHERE ${inScope('b')} GROUP BY 1, 2) b
        FULL JOIN (SELECT t.project_id, t.currency_id, sum(t.amount) AS total,
                          sum(t.amount) FILTER (WHERE t.source = 'referral') AS referrals
                     FROM currency_transactions t WHERE ${inScope('t')} GROUP BY 1, 2) l
          USING (project_id, currency_id)
        FULL JOIN (SELECT g.project_id, c.id AS currency_id, sum(g.granted) AS total FROM reward_grants g
                     LEFT JOIN currencies c ON c.project_id = g.project_id AND c.code = g.currency_code
                    WHERE ${inScope('g')} AND g.status = 'granted' GROUP BY 1, 2) g
          USING (project_id, currency_id)
       WHERE coalesce(b.total, 0) <> coalesce(l.total, 0) OR coalesce(l.referrals, 0) <> coalesce(g.total, 0)`,
  },
  {
    number: 14,
    name: 'nothing_due_left_behind',
    description: 'No promise has been due for more than ten minutes: somebody sweeps, and keeps up.',
    sql: `
      SELECT g.project_id, g.id AS grant_id, g.claim_id, g.attempts, g.next_attempt_at FROM reward_grants g
       WHERE ${inScope('g')} AND g.status = 'pending' AND g.next_attempt_at < now() - ${LEFT_BEHIND_AFTER}`,
  },
  {
    number: 15,
    name: 'failures_explained',
    description: 'Every failed try has a reason, and a grant has a time of settlement once it is settled.',
    sql: `
      SELECT g.project_id, g.id AS grant_id, g.status, g.attempts, g.settled_at FROM reward_grants g
       WHERE ${inScope('g')}
         AND (g.last_error IS NULL AND (g.status IN ('dead', 'cancelled') OR g.status = 'pending' AND g.attempts > 0)
              OR (g.status = 'pending') <> (g.settled_at IS NULL))`,
  },
];
