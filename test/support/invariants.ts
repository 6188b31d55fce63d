import type { DataSource } from 'typeorm';

/** What must never happen to money or claims. Each query returns the rows that break its rule. */
const INVARIANTS: Record<string, string> = {
  'current_uses is the number of claims': `
    SELECT c.id FROM referral_codes c LEFT JOIN referral_claims k ON k.project_id = c.project_id AND k.referral_code_id = c.id
     GROUP BY c.project_id, c.id HAVING c.current_uses <> count(k.id)`,
  'claims do not exceed max_uses': `
    SELECT c.id FROM referral_codes c JOIN referral_claims k ON k.project_id = c.project_id AND k.referral_code_id = c.id
     GROUP BY c.project_id, c.id HAVING count(*) > c.max_uses`,
  'nobody claims a code twice': `
    SELECT referral_code_id, referee_id FROM referral_claims GROUP BY 1, 2 HAVING count(*) > 1`,
  "the referrer is the code's owner and not the referee": `
    SELECT k.id FROM referral_claims k JOIN referral_codes c ON c.project_id = k.project_id AND c.id = k.referral_code_id
     WHERE k.referrer_id IS DISTINCT FROM c.user_id OR k.referrer_id = k.referee_id`,
  'every promised reward has exactly one grant, and none is invented': `
    WITH promised AS (
      SELECT k.project_id, k.id AS claim_id, s.side, s.user_id, i.code, i.amount
        FROM referral_claims k
       CROSS JOIN LATERAL (VALUES ('referrer', k.referrer_id, k.reward_referrer), ('referee', k.referee_id, k.reward_referee))
             AS s (side, user_id, reward)
       CROSS JOIN LATERAL (
         SELECT s.reward ->> 'currency' AS code, (s.reward ->> 'amount')::bigint AS amount
          WHERE json_typeof(s.reward -> 'currency') = 'string'
         UNION ALL
         SELECT key, value::bigint FROM json_each_text(s.reward)
          WHERE json_typeof(s.reward -> 'currency') IS DISTINCT FROM 'string') AS i
       WHERE s.user_id IS NOT NULL)
    SELECT p.claim_id, g.claim_id FROM promised p
      FULL JOIN reward_grants g ON g.project_id = p.project_id AND g.claim_id = p.claim_id AND g.side = p.side
           AND g.user_id = p.user_id AND g.currency_code = p.code AND g.amount = p.amount
     WHERE g.id IS NULL OR p.claim_id IS NULL`,
  'a grant is granted exactly when its one ledger line exists': `
    SELECT g.id, t.id FROM reward_grants g
      JOIN currencies c ON c.project_id = g.project_id AND c.code = g.currency_code
      FULL JOIN (SELECT * FROM currency_transactions WHERE source = 'referral') t
        ON t.project_id = g.project_id AND t.reference_id = g.claim_id AND t.user_id = g.user_id AND t.currency_id = c.id
     WHERE t.id IS NOT NULL AND (g.id IS NULL OR g.status <> 'granted' OR g.transaction_id <> t.id
           OR g.granted <> t.amount OR g.amount <> t.requested)
        OR g.status = 'granted' AND t.id IS NULL`,
  'no source is paid twice': `
    SELECT source, reference_id, user_id, currency_id FROM currency_transactions WHERE reference_id IS NOT NULL
     GROUP BY 1, 2, 3, 4 HAVING count(*) > 1`,
  'a balance is the sum and the last line of its ledger': `
    SELECT b.user_id, b.currency_id FROM balances b
      LEFT JOIN LATERAL (SELECT sum(t.amount) AS total, max(t.entry_no) AS last_entry_no, count(*) AS lines,
             (array_agg(t.balance_after ORDER BY t.entry_no DESC))[1] AS last_balance,
             coalesce(sum(t.amount) FILTER (WHERE t.amount > 0 AND t.source <> 'system'), 0) AS earned
        FROM currency_transactions t
       WHERE t.project_id = b.project_id AND t.user_id = b.user_id AND t.currency_id = b.currency_id) l ON true
     WHERE l.lines = 0 OR b.balance <> l.total OR b.balance <> l.last_balance OR b.last_entry_no <> l.last_entry_no
        OR b.last_entry_no <> l.lines OR b.lifetime_earned <> l.earned`,
  'the ledger chain has no gap and no jump': `
    SELECT id FROM (SELECT id, entry_no, balance_after - amount AS before,
             lag(balance_after, 1, 0::bigint) OVER chain AS previous, row_number() OVER chain AS place
        FROM currency_transactions WINDOW chain AS (PARTITION BY project_id, user_id, currency_id ORDER BY entry_no)) l
     WHERE before <> previous OR entry_no <> place`,
  'no balance is outside its bounds': `
    SELECT b.user_id FROM balances b JOIN currencies c ON c.project_id = b.project_id AND c.id = b.currency_id
     WHERE b.balance < 0 OR b.balance > c.max_balance`,
  'the clamp is exact': `
    SELECT id FROM currency_transactions
     WHERE requested >= 0 AND amount <> greatest(0, least(requested, max_balance - (balance_after - amount)))`,
  'every failure has a reason and every settled grant a time': `
    SELECT id FROM reward_grants
     WHERE (status IN ('dead', 'cancelled') AND last_error IS NULL) OR (status <> 'pending' AND settled_at IS NULL)`,
  'one code per user': `
    SELECT user_id FROM referral_codes WHERE user_id IS NOT NULL GROUP BY project_id, user_id HAVING count(*) > 1`,
  'one live refresh token per session, one child per token, no child of a live one': `
    SELECT session_id AS id FROM refresh_tokens WHERE used_at IS NULL GROUP BY project_id, session_id HAVING count(*) > 1
    UNION ALL
    SELECT parent_id FROM refresh_tokens WHERE parent_id IS NOT NULL GROUP BY project_id, parent_id HAVING count(*) > 1
    UNION ALL
    SELECT c.id FROM refresh_tokens c JOIN refresh_tokens p ON p.project_id = c.project_id AND p.id = c.parent_id
     WHERE p.used_at IS NULL OR p.session_id <> c.session_id`,
  'one idempotency key, one claim': `
    SELECT claim_id FROM claim_idempotency_keys GROUP BY project_id, claim_id HAVING count(*) > 1`,
};

/** Fails with the broken rule and its rows. */
export async function expectInvariants(db: DataSource): Promise<void> {
  for (const [rule, sql] of Object.entries(INVARIANTS)) {
    expect({ rule, broken: await db.query(sql) }).toEqual({ rule, broken: [] });
  }
}
