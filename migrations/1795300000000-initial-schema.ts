import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Tenants, identity, currencies with their append-only ledger, referral codes, claims and promised rewards.
 *
 * The tenant is part of every key: each tenant table has `project_id` in its primary key, in each unique
 * constraint and in each foreign key to another tenant table. Two tenants cannot meet in one row, and the
 * schema can be distributed by `project_id`. 9007199254740991 is 2^53 - 1, the largest exact JSON integer.
 */
export class InitialSchema1795300000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statements of [TENANTS, IDENTITY, MONEY, LEDGER_GUARDS, REFERRALS, PROMISES]) {
      await queryRunner.query(statements);
    }
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Migrations are forward only: restore a backup to go back.'));
  }
}

const TENANTS = `
CREATE TABLE projects (
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  name text NOT NULL,
  referral_code_length smallint NOT NULL DEFAULT 8,
  max_claims_per_user integer,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  CONSTRAINT projects_pkey PRIMARY KEY (id),
  CONSTRAINT projects_name_length CHECK (char_length(name) BETWEEN 1 AND 100),
  CONSTRAINT projects_referral_code_length_range CHECK (referral_code_length BETWEEN 6 AND 16),
  CONSTRAINT projects_max_claims_per_user_positive CHECK (max_claims_per_user >= 1)
);

CREATE TABLE api_keys (
  project_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  key_type text NOT NULL,
  environment text NOT NULL,
  prefix text NOT NULL,
  digest bytea NOT NULL,
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT api_keys_pkey PRIMARY KEY (project_id, id),
  CONSTRAINT api_keys_digest_unique UNIQUE (project_id, digest),
  CONSTRAINT api_keys_project_fkey FOREIGN KEY (project_id) REFERENCES projects (id),
  CONSTRAINT api_keys_key_type_known CHECK (key_type IN ('client', 'server')),
  CONSTRAINT api_keys_environment_known CHECK (environment IN ('development', 'production')),
  CONSTRAINT api_keys_digest_is_sha256 CHECK (octet_length(digest) = 32)
);
-- A request names its key before it names its tenant, so the digest is looked up alone. It is the hash of
-- 190 random bits: uniqueness across tenants needs no constraint.
CREATE INDEX api_keys_by_digest ON api_keys (digest);
`;

const IDENTITY = `
CREATE TABLE app_users (
  project_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  external_id text,
  display_name text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  disabled_at timestamptz,
  CONSTRAINT app_users_pkey PRIMARY KEY (project_id, id),
  CONSTRAINT app_users_external_id_unique UNIQUE (project_id, external_id),
  CONSTRAINT app_users_project_fkey FOREIGN KEY (project_id) REFERENCES projects (id),
  CONSTRAINT app_users_external_id_length CHECK (char_length(external_id) BETWEEN 1 AND 255),
  CONSTRAINT app_users_display_name_length CHECK (char_length(display_name) BETWEEN 1 AND 100)
);

CREATE TABLE sessions (
  project_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  user_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  revoked_at timestamptz,
  CONSTRAINT sessions_pkey PRIMARY KEY (project_id, id),
  CONSTRAINT sessions_user_fkey FOREIGN KEY (project_id, user_id) REFERENCES app_users (project_id, id)
);
CREATE INDEX sessions_by_user ON sessions (project_id, user_id);
`;

const MONEY = `
CREATE TABLE currencies (
  project_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  code text NOT NULL,
  name text NOT NULL,
  description text,
  is_premium boolean NOT NULL DEFAULT false,
  initial_balance bigint NOT NULL DEFAULT 0,
  max_balance bigint NOT NULL DEFAULT 9007199254740991,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  CONSTRAINT currencies_pkey PRIMARY KEY (project_id, id),
  CONSTRAINT currencies_code_unique UNIQUE (project_id, code),
  CONSTRAINT currencies_project_fkey FOREIGN KEY (project_id) REFERENCES projects (id),
  CONSTRAINT currencies_code_format CHECK (code ~ '^[A-Za-z][A-Za-z0-9_-]{0,31}$'),
  CONSTRAINT currencies_name_length CHECK (char_length(name) BETWEEN 1 AND 100),
  CONSTRAINT currencies_description_length CHECK (char_length(description) <= 500),
  CONSTRAINT currencies_max_balance_range CHECK (max_balance BETWEEN 1 AND 9007199254740991),
  CONSTRAINT currencies_initial_balance_range CHECK (initial_balance BETWEEN 0 AND max_balance)
);

CREATE TABLE balances (
  project_id uuid NOT NULL,
  user_id uuid NOT NULL,
  currency_id uuid NOT NULL,
  balance bigint NOT NULL DEFAULT 0,
  lifetime_earned bigint NOT NULL DEFAULT 0,
  lifetime_spent bigint NOT NULL DEFAULT 0,
  last_entry_no bigint NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT balances_pkey PRIMARY KEY (project_id, user_id, currency_id),
  CONSTRAINT balances_user_fkey FOREIGN KEY (project_id, user_id) REFERENCES app_users (project_id, id),
  CONSTRAINT balances_currency_fkey FOREIGN KEY (project_id, currency_id) REFERENCES currencies (project_id, id),
  CONSTRAINT balances_balance_range CHECK (balance BETWEEN 0 AND 9007199254740991),
  CONSTRAINT balances_lifetime_earned_range CHECK (lifetime_earned BETWEEN 0 AND 9007199254740991),
  CONSTRAINT balances_lifetime_spent_range CHECK (lifetime_spent BETWEEN 0 AND 9007199254740991),
  CONSTRAINT balances_last_entry_no_positive CHECK (last_entry_no >= 0)
);

CREATE TABLE currency_transactions (
  project_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  seq bigint GENERATED ALWAYS AS IDENTITY,
  user_id uuid NOT NULL,
  currency_id uuid NOT NULL,
  entry_no bigint NOT NULL,
  requested bigint NOT NULL,
  amount bigint NOT NULL,
  balance_after bigint NOT NULL,
  max_balance bigint NOT NULL,
  transaction_type text NOT NULL,
  source text NOT NULL,
  reference_id uuid,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT currency_transactions_pkey PRIMARY KEY (project_id, id),
  CONSTRAINT currency_transactions_chain_unique UNIQUE (project_id, user_id, currency_id, entry_no),
  CONSTRAINT currency_transactions_source_unique UNIQUE (project_id, reference_id, source, user_id, currency_id),
  CONSTRAINT currency_transactions_balance_fkey FOREIGN KEY (project_id, user_id, currency_id)
    REFERENCES balances (project_id, user_id, currency_id),
  CONSTRAINT currency_transactions_entry_no_positive CHECK (entry_no >= 1),
  CONSTRAINT currency_transactions_balance_after_range CHECK (balance_after BETWEEN 0 AND max_balance),
  CONSTRAINT currency_transactions_chain_starts_at_zero CHECK (entry_no > 1 OR balance_after = amount),
  CONSTRAINT currency_transactions_credit_clamped_exactly CHECK (
    requested < 0 OR amount = greatest(0, least(requested, max_balance - (balance_after - amount)))),
  CONSTRAINT currency_transactions_debit_applied_exactly CHECK (requested >= 0 OR amount = requested),
  CONSTRAINT currency_transactions_referral_has_reference CHECK (source <> 'referral' OR reference_id IS NOT NULL),
  CONSTRAINT currency_transactions_type_known CHECK (
    transaction_type IN ('earn', 'spend', 'grant', 'purchase', 'refund', 'recharge')),
  CONSTRAINT currency_transactions_source_known CHECK (
    source IN ('event', 'admin', 'store_purchase', 'xp_reward', 'referral', 'system'))
);
CREATE INDEX currency_transactions_by_user ON currency_transactions (project_id, user_id, seq DESC);
`;

const LEDGER_GUARDS = `
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER currency_transactions_append_only
  BEFORE UPDATE OR DELETE OR TRUNCATE ON currency_transactions
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A balance never leaves 0..max_balance. The currency row is share-locked, so that a cap cannot be lowered
-- between this check and the commit; a composite foreign key on the cap would rewrite every balance when the
-- cap changes (10.6 s for a million balances, against 0.13 s for the check below).
CREATE FUNCTION balances_check_max() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE cap bigint;
BEGIN
  SELECT max_balance INTO cap FROM currencies
    WHERE project_id = NEW.project_id AND id = NEW.currency_id FOR SHARE;
  IF NEW.balance > cap THEN
    RAISE EXCEPTION 'balance % is above max_balance %', NEW.balance, cap
      USING ERRCODE = 'check_violation', CONSTRAINT = 'balances_within_max_balance', TABLE = 'balances';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER balances_within_max_balance
  AFTER INSERT OR UPDATE ON balances
  FOR EACH ROW EXECUTE FUNCTION balances_check_max();

-- Only READ COMMITTED sees the balances that were written while this change waited for its turn.
CREATE FUNCTION currencies_check_max() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'max_balance can be lowered in a READ COMMITTED transaction only'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'currencies_max_balance_covers_balances', TABLE = 'currencies';
  END IF;
  IF EXISTS (SELECT FROM balances
      WHERE project_id = NEW.project_id AND currency_id = NEW.id AND balance > NEW.max_balance) THEN
    RAISE EXCEPTION 'a balance stands above the new max_balance %', NEW.max_balance
      USING ERRCODE = 'check_violation', CONSTRAINT = 'currencies_max_balance_covers_balances', TABLE = 'currencies';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER currencies_max_balance_covers_balances
  AFTER UPDATE OF max_balance ON currencies
  FOR EACH ROW WHEN (NEW.max_balance < OLD.max_balance) EXECUTE FUNCTION currencies_check_max();
`;

const REFERRALS = `
-- {} | {"currency": "gems", "amount": 50} | {"gems": 50, "gold": 10}, at most 10 currencies.
CREATE FUNCTION reward_is_valid(reward json) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  WITH single AS (SELECT coalesce(json_typeof(reward -> 'currency') = 'string', false) AS yes),
  items AS (
    SELECT key AS code, value AS amount FROM json_each(reward) WHERE NOT (SELECT yes FROM single)
    UNION ALL
    SELECT reward ->> 'currency', reward -> 'amount' FROM single WHERE yes
  )
  SELECT count(*) <= 10 AND count(DISTINCT code) = count(*)
     AND coalesce(bool_and(code ~ '^[A-Za-z][A-Za-z0-9_-]{0,31}$'
       AND CASE WHEN json_typeof(amount) = 'number' AND amount::text ~ '^[1-9][0-9]{0,15}$'
                THEN amount::text::bigint <= 9007199254740991 ELSE false END), true)
     AND (NOT (SELECT yes FROM single) OR (SELECT count(*) = 2 FROM json_each(reward)))
  FROM items
$$;

CREATE TABLE referral_codes (
  project_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  user_id uuid,
  code text NOT NULL,
  code_canonical text NOT NULL GENERATED ALWAYS AS (upper(replace(code, '-', '') COLLATE "C")) STORED,
  reward_referrer json NOT NULL DEFAULT '{}',
  reward_referee json NOT NULL DEFAULT '{}',
  current_uses integer NOT NULL DEFAULT 0,
  max_uses integer,
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  CONSTRAINT referral_codes_pkey PRIMARY KEY (project_id, id),
  CONSTRAINT referral_codes_canonical_unique UNIQUE (project_id, code_canonical),
  CONSTRAINT referral_codes_one_per_user UNIQUE (project_id, user_id),
  CONSTRAINT referral_codes_owner_unique UNIQUE (project_id, id, user_id),
  CONSTRAINT referral_codes_project_fkey FOREIGN KEY (project_id) REFERENCES projects (id),
  CONSTRAINT referral_codes_user_fkey FOREIGN KEY (project_id, user_id) REFERENCES app_users (project_id, id),
  CONSTRAINT referral_codes_code_format CHECK (code ~ '^[A-Za-z0-9_-]{3,32}$' AND code_canonical <> ''),
  CONSTRAINT referral_codes_uses_range CHECK (current_uses >= 0 AND (max_uses IS NULL OR current_uses <= max_uses)),
  CONSTRAINT referral_codes_max_uses_positive CHECK (max_uses >= 1),
  CONSTRAINT referral_codes_reward_referrer_valid CHECK (reward_is_valid(reward_referrer)),
  CONSTRAINT referral_codes_reward_referee_valid CHECK (reward_is_valid(reward_referee))
);
CREATE INDEX referral_codes_templates ON referral_codes (project_id, created_at, id) WHERE user_id IS NULL;

CREATE TABLE referral_claims (
  project_id uuid NOT NULL,
  id uuid NOT NULL,
  referral_code_id uuid NOT NULL,
  referrer_id uuid,
  referee_id uuid NOT NULL,
  reward_referrer json NOT NULL,
  reward_referee json NOT NULL,
  claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT referral_claims_pkey PRIMARY KEY (project_id, id),
  CONSTRAINT referral_claims_once_per_user UNIQUE (project_id, referral_code_id, referee_id),
  CONSTRAINT referral_claims_code_fkey FOREIGN KEY (project_id, referral_code_id)
    REFERENCES referral_codes (project_id, id),
  CONSTRAINT referral_claims_referrer_owns_code FOREIGN KEY (project_id, referral_code_id, referrer_id)
    REFERENCES referral_codes (project_id, id, user_id),
  CONSTRAINT referral_claims_referee_fkey FOREIGN KEY (project_id, referee_id) REFERENCES app_users (project_id, id),
  CONSTRAINT referral_claims_not_oneself CHECK (referrer_id <> referee_id),
  CONSTRAINT referral_claims_reward_referrer_valid CHECK (reward_is_valid(reward_referrer)),
  CONSTRAINT referral_claims_reward_referee_valid CHECK (reward_is_valid(reward_referee))
);
CREATE INDEX referral_claims_by_referee ON referral_claims (project_id, referee_id);

CREATE TRIGGER referral_claims_append_only
  BEFORE UPDATE OR DELETE OR TRUNCATE ON referral_claims
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE claim_idempotency_keys (
  project_id uuid NOT NULL,
  user_id uuid NOT NULL,
  key text NOT NULL,
  request_digest bytea NOT NULL,
  claim_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT claim_idempotency_keys_pkey PRIMARY KEY (project_id, user_id, key),
  CONSTRAINT claim_idempotency_keys_claim_unique UNIQUE (project_id, claim_id),
  CONSTRAINT claim_idempotency_keys_user_fkey FOREIGN KEY (project_id, user_id) REFERENCES app_users (project_id, id),
  CONSTRAINT claim_idempotency_keys_claim_fkey FOREIGN KEY (project_id, claim_id)
    REFERENCES referral_claims (project_id, id),
  CONSTRAINT claim_idempotency_keys_key_format CHECK (key ~ '^[\\x21-\\x7e]{1,255}$'),
  CONSTRAINT claim_idempotency_keys_digest_is_sha256 CHECK (octet_length(request_digest) = 32)
);
`;

const PROMISES = `
CREATE TABLE reward_grants (
  project_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  claim_id uuid NOT NULL,
  side text NOT NULL,
  user_id uuid NOT NULL,
  currency_code text NOT NULL,
  amount bigint NOT NULL,
  status text NOT NULL DEFAULT 'pending',
  granted bigint,
  transaction_id uuid,
  attempts integer NOT NULL DEFAULT 0,
  last_error text,
  next_attempt_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  settled_at timestamptz,
  CONSTRAINT reward_grants_pkey PRIMARY KEY (project_id, id),
  CONSTRAINT reward_grants_promise_unique UNIQUE (project_id, claim_id, side, currency_code),
  CONSTRAINT reward_grants_transaction_unique UNIQUE (project_id, transaction_id),
  CONSTRAINT reward_grants_claim_fkey FOREIGN KEY (project_id, claim_id) REFERENCES referral_claims (project_id, id),
  CONSTRAINT reward_grants_user_fkey FOREIGN KEY (project_id, user_id) REFERENCES app_users (project_id, id),
  CONSTRAINT reward_grants_transaction_fkey FOREIGN KEY (project_id, transaction_id)
    REFERENCES currency_transactions (project_id, id),
  CONSTRAINT reward_grants_side_known CHECK (side IN ('referrer', 'referee')),
  CONSTRAINT reward_grants_status_known CHECK (status IN ('pending', 'granted', 'dead', 'cancelled')),
  CONSTRAINT reward_grants_amount_range CHECK (amount BETWEEN 1 AND 9007199254740991),
  CONSTRAINT reward_grants_granted_range CHECK (granted BETWEEN 0 AND amount),
  CONSTRAINT reward_grants_attempts_positive CHECK (attempts >= 0),
  CONSTRAINT reward_grants_granted_has_receipt CHECK (
    (status = 'granted') = (transaction_id IS NOT NULL) AND (status = 'granted') = (granted IS NOT NULL)),
  CONSTRAINT reward_grants_settled_has_time CHECK ((status = 'pending') = (settled_at IS NULL)),
  CONSTRAINT reward_grants_failure_has_reason CHECK (status NOT IN ('dead', 'cancelled') OR last_error IS NOT NULL)
);
CREATE INDEX reward_grants_due ON reward_grants (next_attempt_at) WHERE status = 'pending';
`;
