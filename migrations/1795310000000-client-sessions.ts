import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Profiles, the ways in which users sign in, and refresh tokens that rotate. */
export class ClientSessions1795310000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statements of [PROFILES, IDENTITIES, REFRESH_TOKENS]) {
      await queryRunner.query(statements);
    }
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Migrations are forward only: restore a backup to go back.'));
  }
}

const PROFILES = `
ALTER TABLE app_users
  ADD COLUMN anonymous_id text,
  ADD COLUMN email text,
  ADD COLUMN password_hash text,
  ADD COLUMN avatar_url text,
  ADD COLUMN properties json NOT NULL DEFAULT '{}',
  ADD COLUMN timezone text,
  ADD COLUMN first_seen_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN last_seen_at timestamptz NOT NULL DEFAULT now(),
  ADD CONSTRAINT app_users_anonymous_id_unique UNIQUE (project_id, anonymous_id),
  ADD CONSTRAINT app_users_email_unique UNIQUE (project_id, email),
  ADD CONSTRAINT app_users_anonymous_id_format CHECK (anonymous_id ~ '^anon_[0-9A-Za-z]{20}$'),
  ADD CONSTRAINT app_users_email_normalized CHECK (email = lower(email) AND char_length(email) <= 254),
  ADD CONSTRAINT app_users_password_is_hashed CHECK (password_hash ~ '^\\$argon2id\\$'),
  ADD CONSTRAINT app_users_password_needs_email CHECK (password_hash IS NULL OR email IS NOT NULL),
  ADD CONSTRAINT app_users_avatar_url_length CHECK (char_length(avatar_url) <= 2048),
  ADD CONSTRAINT app_users_properties_is_object CHECK (json_typeof(properties) = 'object'),
  ADD CONSTRAINT app_users_timezone_length CHECK (char_length(timezone) <= 64);
UPDATE app_users SET display_name = 'Player' WHERE display_name IS NULL;
ALTER TABLE app_users ALTER COLUMN display_name SET NOT NULL;
`;

const IDENTITIES = `
-- The audiences (client ids) whose identity tokens a project accepts. No row: the provider is not offered.
CREATE TABLE identity_providers (
  project_id uuid NOT NULL,
  provider text NOT NULL,
  audiences text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT identity_providers_pkey PRIMARY KEY (project_id, provider),
  CONSTRAINT identity_providers_project_fkey FOREIGN KEY (project_id) REFERENCES projects (id),
  CONSTRAINT identity_providers_provider_known CHECK (provider IN ('apple', 'google')),
  CONSTRAINT identity_providers_audiences_given CHECK (cardinality(audiences) BETWEEN 1 AND 20)
);

CREATE TABLE user_identities (
  project_id uuid NOT NULL,
  provider text NOT NULL,
  provider_id text NOT NULL,
  user_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT user_identities_pkey PRIMARY KEY (project_id, provider, provider_id),
  CONSTRAINT user_identities_one_per_provider UNIQUE (project_id, user_id, provider),
  CONSTRAINT user_identities_user_fkey FOREIGN KEY (project_id, user_id) REFERENCES app_users (project_id, id),
  CONSTRAINT user_identities_provider_known CHECK (provider IN ('apple', 'google')),
  CONSTRAINT user_identities_provider_id_length CHECK (char_length(provider_id) BETWEEN 1 AND 255)
);
`;

const REFRESH_TOKENS = `
-- A session is a family of refresh tokens: each is used once and has one child; the one without is live.
CREATE TABLE refresh_tokens (
  project_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  session_id uuid NOT NULL,
  parent_id uuid,
  digest bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  CONSTRAINT refresh_tokens_pkey PRIMARY KEY (project_id, id),
  CONSTRAINT refresh_tokens_digest_unique UNIQUE (project_id, digest),
  CONSTRAINT refresh_tokens_one_child UNIQUE (project_id, parent_id),
  CONSTRAINT refresh_tokens_session_fkey FOREIGN KEY (project_id, session_id) REFERENCES sessions (project_id, id),
  CONSTRAINT refresh_tokens_parent_fkey FOREIGN KEY (project_id, parent_id) REFERENCES refresh_tokens (project_id, id),
  CONSTRAINT refresh_tokens_digest_is_sha256 CHECK (octet_length(digest) = 32)
);
CREATE UNIQUE INDEX refresh_tokens_one_live ON refresh_tokens (project_id, session_id) WHERE used_at IS NULL;
`;
