import type { Cluster } from './cluster';
import type { ClaimRow, Evidence, GrantRow, LineRow } from './verdict';

/** Reads what the verdict needs. Amounts fit a number: the run promises nothing above some hundreds. */
export async function readEvidence(cluster: Cluster): Promise<Evidence> {
  return {
    claims: await cluster.query<ClaimRow>(
      `SELECT k.id, c.code, k.referrer_id, k.referee_id, k.reward_referrer, k.reward_referee
         FROM referral_claims k
         JOIN referral_codes c ON c.project_id = k.project_id AND c.id = k.referral_code_id`,
    ),
    lines: await cluster.query<LineRow>(
      `SELECT t.reference_id AS claim_id, t.user_id, c.code AS currency_code, t.requested::int
         FROM currency_transactions t
         JOIN currencies c ON c.project_id = t.project_id AND c.id = t.currency_id
        WHERE t.source = 'referral'`,
    ),
    grants: await cluster.query<GrantRow>(
      `SELECT g.reason AS op, g.user_id, t.id AS line_id
         FROM admin_grants g
         LEFT JOIN currency_transactions t
           ON t.project_id = g.project_id AND t.source = 'admin' AND t.reference_id = g.id`,
    ),
    aboveMaximum: await cluster.query(
      `SELECT b.project_id, b.user_id, c.code, b.balance, c.max_balance
         FROM balances b
         JOIN currencies c ON c.project_id = b.project_id AND c.id = b.currency_id
        WHERE b.balance > c.max_balance`,
    ),
  };
}

export interface Promises {
  made: number;
  granted: number;
  /** Granted more than two seconds after the claim, or not at the first try. */
  late: number;
  /** Neither granted nor given up. */
  pending: number;
}

export async function countPromises(cluster: Cluster): Promise<Promises> {
  const [row] = await cluster.query<Promises & object>(
    `SELECT count(*)::int AS made, (count(*) FILTER (WHERE g.status = 'granted'))::int AS granted,
            (count(*) FILTER (WHERE g.status = 'pending'))::int AS pending,
            (count(*) FILTER (WHERE g.status = 'granted'
               AND (g.attempts > 1 OR g.settled_at > k.claimed_at + interval '2 seconds')))::int AS late
       FROM reward_grants g JOIN referral_claims k ON k.project_id = g.project_id AND k.id = g.claim_id`,
  );
  return row as Promises;
}
