-- Claims whose rewards are not paid yet, both sides due: by new users, on the codes of those who are there, the first one's left out.
-- Whoever runs it has made a temporary table `backlog` of one row (project_id, users, first, claims, first_claimer).

-- claimers
CREATE TEMP TABLE owed AS
  SELECT b.project_id, n AS claimer, b.first + 1 + n % (b.users - 1) AS owner FROM backlog b, generate_series(b.first_claimer, b.first_claimer + b.claims - 1) n;
INSERT INTO app_users (project_id, id, display_name) SELECT project_id, pg_temp.id_of('user', claimer), 'Claimer' FROM owed;

-- claims
UPDATE referral_codes c SET current_uses = current_uses + o.uses
  FROM (SELECT project_id, owner, count(*) AS uses FROM owed GROUP BY project_id, owner) o
 WHERE c.project_id = o.project_id AND c.id = pg_temp.id_of('code', o.owner);
INSERT INTO referral_claims (project_id, id, referral_code_id, referrer_id, referee_id, reward_referrer, reward_referee)
  SELECT project_id, pg_temp.id_of('claim', claimer), pg_temp.id_of('code', owner), pg_temp.id_of('user', owner),
         pg_temp.id_of('user', claimer), '{"gems":50}', '{"coins":25}' FROM owed;

-- promises
INSERT INTO reward_grants (project_id, claim_id, side, user_id, currency_code, amount, next_attempt_at)
  SELECT o.project_id, pg_temp.id_of('claim', o.claimer), v.side, pg_temp.id_of('user', v.n), v.code, v.amount, now()
    FROM owed o
    CROSS JOIN LATERAL (VALUES ('referrer', o.owner, 'gems', 50), ('referee', o.claimer, 'coins', 25)) v (side, n, code, amount);
