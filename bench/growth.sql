-- A project that has grown: users with a session and a code each, every one of whom has claimed somebody's code, and a tenth of them
-- the same one, the first user's. Both sides of each claim are paid: three ledger lines a user. Spread over a year.
--
-- Whoever runs it has made a temporary table `growth` of one row (project_id, users, first: the number of the first user)
-- and a project with the currencies gems and coins, and leaves out what is not checked anew for each row: see growth.mjs.

-- numbers
CREATE TEMP TABLE grown AS
  SELECT g.project_id, n, (n - g.first) % 10 AS digit, first,
         CASE WHEN n = g.first THEN g.first + 1
              WHEN (n - g.first) % 10 = 0 THEN g.first
              ELSE g.first + ((n - g.first) / 5 * 5 + g.users / 2) % g.users END AS owner,
         pg_temp.id_of('user', n) AS user_id, pg_temp.id_of('code', n) AS code_id, pg_temp.id_of('claim', n) AS claim_id,
         now() - interval '370 days' + (n - g.first) * interval '365 days' / g.users AS joined_at
    FROM growth g, generate_series(g.first, g.first + g.users - 1) n;
CREATE INDEX ON grown (n);
ANALYZE grown;
CREATE TEMP TABLE claimed AS
  SELECT c.project_id, c.n, c.digit, c.claim_id, c.user_id, o.user_id AS owner_id, o.code_id,
         row_number() OVER (PARTITION BY c.owner ORDER BY c.n) AS use, c.joined_at + interval '4 days' AS at
    FROM grown c JOIN grown o ON o.n = c.owner;
ANALYZE claimed;

-- users
INSERT INTO app_users (project_id, id, external_id, display_name, created_at, updated_at, first_seen_at, last_seen_at)
  SELECT project_id, user_id, 'player-' || n, 'Player ' || n, joined_at, joined_at, joined_at, joined_at FROM grown ORDER BY n;

-- identities
INSERT INTO user_identities (project_id, provider, provider_id, user_id, created_at)
  SELECT project_id, 'apple', 'apple-' || n, user_id, joined_at FROM grown WHERE digit IN (1, 2, 3, 4) ORDER BY n;

-- sessions
INSERT INTO sessions (project_id, id, user_id, created_at)
  SELECT project_id, pg_temp.id_of('session', n), user_id, joined_at FROM grown ORDER BY n;

-- refresh tokens
INSERT INTO refresh_tokens (project_id, session_id, digest, created_at, expires_at)
  SELECT project_id, pg_temp.id_of('session', n), sha256(convert_to('refresh ' || n, 'UTF8')), joined_at, joined_at + interval '90 days'
    FROM grown ORDER BY n;

-- codes
INSERT INTO referral_codes (project_id, id, user_id, code, reward_referrer, reward_referee, current_uses, created_at, updated_at)
  SELECT g.project_id, g.code_id, g.user_id, 'GROWN-' || g.n, '{"gems":50}', '{"coins":25}', coalesce(c.uses, 0), joined_at, joined_at
    FROM grown g LEFT JOIN (SELECT code_id, count(*) AS uses FROM claimed GROUP BY code_id) c USING (code_id) ORDER BY g.n;

-- claims
INSERT INTO referral_claims (project_id, id, referral_code_id, referrer_id, referee_id, reward_referrer, reward_referee, claimed_at)
  SELECT project_id, claim_id, code_id, owner_id, user_id, '{"gems":50}', '{"coins":25}', at FROM claimed ORDER BY n;

-- idempotency keys
INSERT INTO claim_idempotency_keys (project_id, user_id, key, request_digest, claim_id, created_at)
  SELECT project_id, user_id, 'key-' || n, sha256(convert_to(n::text, 'UTF8')), claim_id, at FROM claimed WHERE digit = 5 ORDER BY n;

-- balances
INSERT INTO balances (project_id, user_id, currency_id, balance, lifetime_earned, last_entry_no)
  SELECT g.project_id, g.user_id, c.id, v.balance, v.balance, v.lines
    FROM grown g
    LEFT JOIN (SELECT owner_id, count(*) AS uses FROM claimed GROUP BY owner_id) o ON o.owner_id = g.user_id
    CROSS JOIN LATERAL (VALUES ('gems', 10 + 50 * coalesce(o.uses, 0), 1 + coalesce(o.uses, 0)), ('coins', 25, 1)) v (code, balance, lines)
    JOIN currencies c ON c.project_id = g.project_id AND c.code = v.code;

-- ledger lines
INSERT INTO currency_transactions (project_id, id, user_id, currency_id, entry_no, requested, amount, balance_after, max_balance,
                                   transaction_type, source, reference_id, created_at)
  SELECT l.project_id, l.id, l.user_id, c.id, l.entry_no, l.amount, l.amount, l.balance_after, c.max_balance,
         CASE l.source WHEN 'admin' THEN 'grant' ELSE 'earn' END, l.source, l.reference_id, l.at
    FROM (SELECT project_id, pg_temp.id_of('first line', n) AS id, user_id, 'gems' AS code, 1 AS entry_no, 10 AS amount,
                 10 AS balance_after, CASE digit WHEN 7 THEN 'admin' ELSE 'event' END AS source,
                 CASE digit WHEN 7 THEN pg_temp.id_of('grant', n) END AS reference_id, joined_at AS at FROM grown
          UNION ALL
          SELECT project_id, pg_temp.id_of('referee', n), user_id, 'coins', 1, 25, 25, 'referral', claim_id, at FROM claimed
          UNION ALL
          SELECT project_id, pg_temp.id_of('referrer', n), owner_id, 'gems', 1 + use, 50, 10 + 50 * use, 'referral', claim_id,
                 at FROM claimed) l
    JOIN currencies c ON c.project_id = l.project_id AND c.code = l.code ORDER BY l.at;

-- rewards
INSERT INTO reward_grants (project_id, claim_id, side, user_id, currency_code, amount, status, granted, transaction_id, attempts,
                           next_attempt_at, created_at, settled_at)
  SELECT c.project_id, c.claim_id, v.side, v.user_id, v.code, v.amount, 'granted', v.amount, pg_temp.id_of(v.side, c.n), 1,
         c.at + interval '2 seconds', c.at, c.at
    FROM claimed c
    CROSS JOIN LATERAL (VALUES ('referrer', c.owner_id, 'gems', 50), ('referee', c.user_id, 'coins', 25)) v (side, user_id, code, amount)
   ORDER BY c.n;

-- grants by hand
INSERT INTO admin_grants (project_id, id, user_id, currency_id, amount, created_at)
  SELECT g.project_id, pg_temp.id_of('grant', n), g.user_id, c.id, 10, joined_at
    FROM grown g JOIN currencies c ON c.project_id = g.project_id AND c.code = 'gems' WHERE g.digit = 7 ORDER BY n;

-- audit log
INSERT INTO audit_log (project_id, actor_kind, actor_name, action, target_id, after, created_at)
  SELECT project_id, 'server_key', 'bench', 'user.open_session', user_id::text, '{"created":true}', joined_at
    FROM grown WHERE digit = 1 ORDER BY n;
