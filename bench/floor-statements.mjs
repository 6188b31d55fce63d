/**
 * What the floor does in PostgreSQL: one prepared statement for each request (two for a first my-code, or every later one
 * would pay for it), whoever asks being part of it. They write the rows that the product writes, and keep the rules that
 * the schema and its invariants know.
 *
 * Parameters 1 to 4: the digest of the client key; project, session and user as the token names them.
 */
const CALLER = `
caller AS MATERIALIZED (
  SELECT s.project_id, s.user_id
    FROM api_keys k
    JOIN projects p ON p.id = k.project_id
    JOIN sessions s ON s.project_id = k.project_id
    JOIN app_users u ON u.project_id = s.project_id AND u.id = s.user_id
   WHERE k.digest = $1 AND k.is_active AND k.key_type = 'client' AND p.deleted_at IS NULL
     AND s.project_id = $2 AND s.id = $3 AND s.user_id = $4 AND s.revoked_at IS NULL AND u.disabled_at IS NULL)`;

const CODE_COLUMNS = `c.id, c.user_id AS app_user_id, c.code, c.reward_referrer, c.reward_referee, c.current_uses, c.max_uses,
         c.is_active AND c.deleted_at IS NULL AS is_active, c.created_at, c.updated_at`;

/** The caller's code. */
export const MY_CODE = `
WITH ${CALLER}
SELECT ${CODE_COLUMNS} FROM caller
  LEFT JOIN referral_codes c ON c.project_id = caller.project_id AND c.user_id = caller.user_id`;

/** $5: the code to make, with the rewards of the oldest active template. Only after there was none. */
export const MAKE_CODE = `
WITH ${CALLER}
INSERT INTO referral_codes AS c (project_id, user_id, code, reward_referrer, reward_referee)
SELECT caller.project_id, caller.user_id, $5, coalesce(t.reward_referrer, '{}'), coalesce(t.reward_referee, '{}')
  FROM caller
  LEFT JOIN LATERAL (
    SELECT reward_referrer, reward_referee FROM referral_codes
     WHERE project_id = caller.project_id AND user_id IS NULL AND is_active AND deleted_at IS NULL
     ORDER BY created_at, id LIMIT 1) AS t ON true
RETURNING ${CODE_COLUMNS}`;

/** A row for each currency. */
export const BALANCES = `
WITH ${CALLER}
SELECT c.code AS currency_code, c.name, c.is_premium, coalesce(b.balance, c.initial_balance) AS balance,
       coalesce(b.lifetime_earned, 0) AS lifetime_earned, coalesce(b.lifetime_spent, 0) AS lifetime_spent
  FROM caller
  JOIN currencies c ON c.project_id = caller.project_id AND c.deleted_at IS NULL
  LEFT JOIN balances b ON b.project_id = c.project_id AND b.currency_id = c.id AND b.user_id = caller.user_id
 ORDER BY c.created_at, c.code`;

/** $5, $6: limit and offset. A row without an id when there is no line to show. */
export const TRANSACTIONS = `
WITH ${CALLER}
SELECT (SELECT coalesce(sum(b.last_entry_no), 0)::bigint FROM balances b
         WHERE b.project_id = caller.project_id AND b.user_id = caller.user_id) AS total, page.*
  FROM caller
  LEFT JOIN LATERAL (
    SELECT t.id, t.user_id AS app_user_id, c.code AS currency_code, t.amount, t.requested AS requested_amount,
           t.balance_after, t.transaction_type, t.source, t.reference_id, t.created_at
      FROM currency_transactions t JOIN currencies c ON c.project_id = t.project_id AND c.id = t.currency_id
     WHERE t.project_id = caller.project_id AND t.user_id = caller.user_id
     ORDER BY t.seq DESC LIMIT $5 OFFSET $6) AS page ON true`;

/**
 * $5: the code in its canonical spelling. One row, or none without a caller; `refusal` says why there is no claim.
 *
 * The lock on the code is waited for with the snapshot of the moment before, so what was written meanwhile is seen only
 * where PostgreSQL looks at rows anew: in what it locks (`code`), updates (`used`) and finds in its way (`moved`). A claim
 * that somebody else's hides in this way runs into the unique constraint. Balances are moved in the order of their keys.
 */
export const CLAIM = `
WITH ${CALLER},
code AS MATERIALIZED (
  SELECT c.* FROM caller
    JOIN referral_codes c ON c.project_id = caller.project_id AND c.code_canonical = $5
   WHERE c.is_active AND c.deleted_at IS NULL
     FOR UPDATE OF c),
verdict AS MATERIALIZED (
  SELECT code.*, caller.user_id AS referee_id,
         CASE WHEN code.user_id IS NOT NULL AND NOT EXISTS (
                SELECT FROM app_users o
                 WHERE o.project_id = code.project_id AND o.id = code.user_id AND o.disabled_at IS NULL)
                THEN 'INVALID_CODE'
              WHEN code.user_id = caller.user_id THEN 'SELF_REFERRAL'
              WHEN EXISTS (
                SELECT FROM referral_claims k
                 WHERE k.project_id = code.project_id AND k.referral_code_id = code.id AND k.referee_id = caller.user_id)
                THEN 'ALREADY_CLAIMED'
              WHEN code.current_uses >= code.max_uses THEN 'MAX_USES_REACHED'
              WHEN p.max_claims_per_user <= (
                SELECT count(*) FROM referral_claims k
                 WHERE k.project_id = code.project_id AND k.referee_id = caller.user_id)
                THEN 'CLAIM_LIMIT_REACHED'
         END AS refusal
    FROM caller, code, projects p
   WHERE p.id = code.project_id),
used AS (
  UPDATE referral_codes c SET current_uses = c.current_uses + 1, updated_at = now()
    FROM verdict v
   WHERE v.refusal IS NULL AND c.project_id = v.project_id AND c.id = v.id
  RETURNING c.id),
claim AS (
  INSERT INTO referral_claims
         (project_id, id, referral_code_id, referrer_id, referee_id, reward_referrer, reward_referee)
  SELECT v.project_id, gen_random_uuid(), v.id, v.user_id, v.referee_id, v.reward_referrer, v.reward_referee
    FROM verdict v JOIN used ON used.id = v.id
  RETURNING *),
promise AS MATERIALIZED (
  SELECT claim.project_id, claim.id AS claim_id, owed.side, owed.user_id, c.id AS currency_id, c.code AS currency_code,
         item.value::bigint AS amount, c.max_balance, gen_random_uuid() AS transaction_id
    FROM claim
   CROSS JOIN LATERAL (VALUES ('referrer', claim.referrer_id, claim.reward_referrer),
                              ('referee', claim.referee_id, claim.reward_referee)) AS owed (side, user_id, reward)
   CROSS JOIN LATERAL json_each_text(owed.reward) AS item
    JOIN currencies c ON c.project_id = claim.project_id AND c.code = item.key AND c.deleted_at IS NULL
   WHERE owed.user_id IS NOT NULL
     FOR SHARE OF c),
moved AS (
  INSERT INTO balances AS b (project_id, user_id, currency_id, balance, lifetime_earned, last_entry_no)
  SELECT project_id, user_id, currency_id, least(amount, max_balance), least(amount, max_balance), 1
    FROM promise ORDER BY user_id, currency_id
  ON CONFLICT (project_id, user_id, currency_id) DO UPDATE
     SET balance = least(b.balance + excluded.lifetime_earned, (
           SELECT max_balance FROM currencies c WHERE c.project_id = b.project_id AND c.id = b.currency_id)),
         lifetime_earned = b.lifetime_earned + least(excluded.lifetime_earned, (
           SELECT max_balance FROM currencies c WHERE c.project_id = b.project_id AND c.id = b.currency_id) - b.balance),
         last_entry_no = b.last_entry_no + 1, updated_at = now()
  RETURNING b.user_id, b.currency_id, b.balance, b.balance - coalesce(old.balance, 0) AS granted, b.last_entry_no),
line AS (
  INSERT INTO currency_transactions
         (project_id, id, user_id, currency_id, entry_no, requested, amount, balance_after, max_balance,
          transaction_type, source, reference_id)
  SELECT p.project_id, p.transaction_id, m.user_id, m.currency_id, m.last_entry_no, p.amount, m.granted, m.balance,
         p.max_balance, 'earn', 'referral', p.claim_id
    FROM moved m JOIN promise p USING (user_id, currency_id)),
receipt AS (
  INSERT INTO reward_grants
         (project_id, claim_id, side, user_id, currency_code, amount, status, granted, transaction_id, attempts,
          next_attempt_at, settled_at)
  SELECT p.project_id, p.claim_id, p.side, p.user_id, p.currency_code, p.amount, 'granted', m.granted, p.transaction_id, 1,
         now(), clock_timestamp()
    FROM moved m JOIN promise p USING (user_id, currency_id)
  RETURNING side, currency_code, amount, granted, status)
SELECT CASE WHEN v.id IS NULL THEN 'INVALID_CODE' ELSE v.refusal END AS refusal,
       k.id, k.referral_code_id, k.referrer_id, k.referee_id, k.claimed_at,
       (SELECT json_agg(json_build_object('currency_code', r.currency_code, 'amount', r.amount, 'granted', r.granted,
                                          'status', r.status) ORDER BY r.currency_code)
          FROM receipt r WHERE r.side = 'referee') AS rewards
  FROM caller LEFT JOIN verdict v ON true LEFT JOIN claim k ON true`;
