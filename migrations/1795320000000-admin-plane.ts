import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Developers and what they own, the audit log, admin grants, and users who can be erased. */
export class AdminPlane1795320000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statements of [DEVELOPERS, PROJECTS, AUDIT_LOG, ADMIN_GRANTS, USERS, LISTS]) {
      await queryRunner.query(statements);
    }
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Migrations are forward only: restore a backup to go back.'));
  }
}

const DEVELOPERS = `
CREATE TABLE developers (
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  email text NOT NULL,
  password_hash text NOT NULL,
  name text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT developers_pkey PRIMARY KEY (id),
  CONSTRAINT developers_email_unique UNIQUE (email),
  CONSTRAINT developers_email_normalized CHECK (email = lower(email) AND char_length(email) BETWEEN 3 AND 254),
  CONSTRAINT developers_password_is_hashed CHECK (password_hash ~ '^\\$argon2id\\$'),
  CONSTRAINT developers_name_length CHECK (char_length(name) BETWEEN 1 AND 100)
);

-- A refresh token is signed and numbered; the session knows which number is next.
CREATE TABLE developer_sessions (
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  developer_id uuid NOT NULL,
  generation integer NOT NULL DEFAULT 0,
  rotated_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  revoked_at timestamptz,
  CONSTRAINT developer_sessions_pkey PRIMARY KEY (id),
  CONSTRAINT developer_sessions_developer_fkey FOREIGN KEY (developer_id) REFERENCES developers (id),
  CONSTRAINT developer_sessions_generation_positive CHECK (generation >= 0),
  CONSTRAINT developer_sessions_rotation_has_time CHECK ((generation = 0) = (rotated_at IS NULL))
);
CREATE INDEX developer_sessions_by_developer ON developer_sessions (developer_id);

CREATE TABLE personal_access_tokens (
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  developer_id uuid NOT NULL,
  prefix text NOT NULL,
  digest bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_used_at timestamptz,
  revoked_at timestamptz,
  CONSTRAINT personal_access_tokens_pkey PRIMARY KEY (id),
  CONSTRAINT personal_access_tokens_digest_unique UNIQUE (digest),
  CONSTRAINT personal_access_tokens_developer_fkey FOREIGN KEY (developer_id) REFERENCES developers (id),
  CONSTRAINT personal_access_tokens_digest_is_sha256 CHECK (octet_length(digest) = 32)
);
CREATE UNIQUE INDEX personal_access_tokens_one_active ON personal_access_tokens (developer_id) WHERE revoked_at IS NULL;
`;

const PROJECTS = `
-- No owner: made on the command line, reached with its server key.
ALTER TABLE projects
  ADD COLUMN owner_id uuid,
  ADD COLUMN bundle_id text,
  ADD COLUMN platform text,
  ADD CONSTRAINT projects_owner_fkey FOREIGN KEY (owner_id) REFERENCES developers (id),
  ADD CONSTRAINT projects_bundle_id_length CHECK (char_length(bundle_id) BETWEEN 1 AND 255),
  ADD CONSTRAINT projects_platform_length CHECK (char_length(platform) BETWEEN 1 AND 50);
CREATE INDEX projects_by_owner ON projects (owner_id, created_at, id);

ALTER TABLE api_keys ADD COLUMN last_used_at timestamptz;
`;

const AUDIT_LOG = `
CREATE TABLE audit_log (
  project_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  seq bigint GENERATED ALWAYS AS IDENTITY,
  actor_kind text NOT NULL,
  actor_id uuid,
  actor_name text NOT NULL,
  address text,
  request_id text,
  action text NOT NULL,
  target_id text NOT NULL,
  before json,
  after json,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT audit_log_pkey PRIMARY KEY (project_id, id),
  CONSTRAINT audit_log_project_fkey FOREIGN KEY (project_id) REFERENCES projects (id),
  CONSTRAINT audit_log_actor_kind_known CHECK (
    actor_kind IN ('developer', 'personal_access_token', 'server_key', 'command_line')),
  CONSTRAINT audit_log_action_format CHECK (action ~ '^[a-z_]+[.][a-z_]+$')
);
CREATE INDEX audit_log_newest ON audit_log (project_id, seq DESC);
CREATE INDEX audit_log_by_target ON audit_log (project_id, target_id, seq DESC);

-- What developers do with their own accounts: it belongs to no project.
CREATE TABLE developer_audit_log (
  developer_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  seq bigint GENERATED ALWAYS AS IDENTITY,
  actor_kind text NOT NULL,
  actor_id uuid,
  actor_name text NOT NULL,
  address text,
  request_id text,
  action text NOT NULL,
  target_id text NOT NULL,
  before json,
  after json,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT developer_audit_log_pkey PRIMARY KEY (developer_id, id),
  CONSTRAINT developer_audit_log_developer_fkey FOREIGN KEY (developer_id) REFERENCES developers (id),
  CONSTRAINT developer_audit_log_actor_kind_known CHECK (
    actor_kind IN ('developer', 'personal_access_token', 'command_line')),
  CONSTRAINT developer_audit_log_action_format CHECK (action ~ '^[a-z_]+[.][a-z_]+$')
);
CREATE INDEX developer_audit_log_newest ON developer_audit_log (developer_id, seq DESC);

CREATE TRIGGER audit_log_append_only
  BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER developer_audit_log_append_only
  BEFORE UPDATE OR DELETE OR TRUNCATE ON developer_audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
`;

const ADMIN_GRANTS = `
-- What a developer gave by hand, and why. The ledger line refers to it by id.
CREATE TABLE admin_grants (
  project_id uuid NOT NULL,
  id uuid NOT NULL,
  idempotency_digest bytea,
  user_id uuid NOT NULL,
  currency_id uuid NOT NULL,
  amount bigint NOT NULL,
  reason text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT admin_grants_pkey PRIMARY KEY (project_id, id),
  CONSTRAINT admin_grants_idempotency_unique UNIQUE (project_id, idempotency_digest),
  CONSTRAINT admin_grants_user_fkey FOREIGN KEY (project_id, user_id) REFERENCES app_users (project_id, id),
  CONSTRAINT admin_grants_currency_fkey FOREIGN KEY (project_id, currency_id) REFERENCES currencies (project_id, id),
  CONSTRAINT admin_grants_amount_range CHECK (amount BETWEEN 1 AND 9007199254740991),
  CONSTRAINT admin_grants_reason_length CHECK (char_length(reason) BETWEEN 1 AND 500),
  CONSTRAINT admin_grants_digest_is_sha256 CHECK (octet_length(idempotency_digest) = 32)
);

CREATE TRIGGER admin_grants_append_only
  BEFORE UPDATE OR DELETE OR TRUNCATE ON admin_grants
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
`;

const USERS = `
-- An erased user is a tombstone: claims and ledger still refer to it, and it says nothing about anybody.
ALTER TABLE app_users
  ADD COLUMN erased_at timestamptz,
  ADD CONSTRAINT app_users_erased_is_disabled CHECK (erased_at IS NULL OR disabled_at IS NOT NULL),
  ADD CONSTRAINT app_users_erased_is_empty CHECK (erased_at IS NULL OR (
    external_id IS NULL AND anonymous_id IS NULL AND email IS NULL AND password_hash IS NULL AND avatar_url IS NULL
    AND timezone IS NULL AND properties::text = '{}' AND display_name = 'Erased user'));

-- A request that began before the erasure, or a developer's by mistake, must not make anything new of the user. The row
-- is key-share-locked, as a foreign key would have it: the erasure, which locks it wholly, is waited for.
CREATE FUNCTION refuse_erased_user() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE erased timestamptz;
BEGIN
  SELECT erased_at INTO erased FROM app_users WHERE project_id = NEW.project_id AND id = NEW.user_id FOR KEY SHARE;
  IF erased IS NOT NULL THEN
    RAISE EXCEPTION 'user % is erased', NEW.user_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'app_users_erased_for_good', TABLE = TG_TABLE_NAME;
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER user_identities_of_nobody_erased BEFORE INSERT ON user_identities
  FOR EACH ROW EXECUTE FUNCTION refuse_erased_user();
CREATE TRIGGER referral_codes_of_nobody_erased BEFORE INSERT ON referral_codes
  FOR EACH ROW WHEN (NEW.user_id IS NOT NULL) EXECUTE FUNCTION refuse_erased_user();
CREATE TRIGGER claim_idempotency_keys_of_nobody_erased BEFORE INSERT ON claim_idempotency_keys
  FOR EACH ROW EXECUTE FUNCTION refuse_erased_user();
CREATE TRIGGER admin_grants_of_nobody_erased BEFORE INSERT ON admin_grants
  FOR EACH ROW EXECUTE FUNCTION refuse_erased_user();
`;

const LISTS = `
CREATE INDEX app_users_newest ON app_users (project_id, created_at DESC, id DESC);
CREATE INDEX referral_codes_newest ON referral_codes (project_id, created_at DESC, id DESC);
CREATE INDEX reward_grants_newest ON reward_grants (project_id, created_at DESC, id DESC);
-- Most rewards are granted at once; those that are not are the ones that somebody looks for.
CREATE INDEX reward_grants_unpaid ON reward_grants (project_id, status, created_at DESC, id DESC) WHERE status <> 'granted';
`;
