import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What the analytics route adds up: one row per project and day, made from claims, codes and ledger lines that no
 * longer change. All of it can be thrown away and made again from those.
 */
export class DailyRollups1795330000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statements of [PROGRESS, ROLLUPS, INDEXES]) {
      await queryRunner.query(statements);
    }
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Migrations are forward only: restore a backup to go back.'));
  }
}

const PROGRESS = `
-- Everything of the project that happened before closed_until is in the tables below, nothing later is.
CREATE TABLE analytics_progress (
  project_id uuid NOT NULL,
  closed_until timestamptz NOT NULL DEFAULT '-infinity',
  next_try_at timestamptz NOT NULL DEFAULT '-infinity',
  CONSTRAINT analytics_progress_pkey PRIMARY KEY (project_id),
  CONSTRAINT analytics_progress_project_fkey FOREIGN KEY (project_id) REFERENCES projects (id),
  CONSTRAINT analytics_progress_closes_whole_hours CHECK (
    closed_until = '-infinity' OR closed_until = date_trunc('hour', closed_until, 'UTC'))
);
CREATE INDEX analytics_progress_by_closed_until ON analytics_progress (closed_until);

CREATE FUNCTION projects_start_analytics() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO analytics_progress (project_id) VALUES (NEW.id);
  RETURN NULL;
END $$;

CREATE TRIGGER projects_start_analytics
  AFTER INSERT ON projects
  FOR EACH ROW EXECUTE FUNCTION projects_start_analytics();

INSERT INTO analytics_progress (project_id) SELECT id FROM projects;
`;

const ROLLUPS = `
CREATE TABLE analytics_days (
  project_id uuid NOT NULL,
  day date NOT NULL,
  codes_made integer NOT NULL,
  user_codes_made integer NOT NULL,
  claims integer NOT NULL,
  user_code_claims integer NOT NULL,
  new_referrers integer NOT NULL,
  CONSTRAINT analytics_days_pkey PRIMARY KEY (project_id, day),
  CONSTRAINT analytics_days_project_fkey FOREIGN KEY (project_id) REFERENCES projects (id),
  CONSTRAINT analytics_days_user_codes_range CHECK (user_codes_made BETWEEN 0 AND codes_made),
  CONSTRAINT analytics_days_user_code_claims_range CHECK (user_code_claims BETWEEN 0 AND claims),
  CONSTRAINT analytics_days_new_referrers_range CHECK (new_referrers BETWEEN 0 AND user_code_claims)
);

-- The referrers of a project, numbered in the order of their first claims: 1, 2, 3 and so on.
CREATE TABLE analytics_referrers (
  project_id uuid NOT NULL,
  no integer NOT NULL,
  user_id uuid NOT NULL,
  CONSTRAINT analytics_referrers_pkey PRIMARY KEY (project_id, user_id),
  CONSTRAINT analytics_referrers_user_fkey FOREIGN KEY (project_id, user_id) REFERENCES app_users (project_id, id),
  CONSTRAINT analytics_referrers_no_positive CHECK (no > 0)
);
-- Partial, so that a look-up by user cannot take it: while the statistics do not know a new project, its whole length
-- looks as cheap as one row.
CREATE UNIQUE INDEX analytics_referrers_no_unique ON analytics_referrers (project_id, no) WHERE no > 0;

-- The referrer of each claim of the day, as four bytes of its number, most significant first. A million of them are
-- read in the time that PostgreSQL needs to group a tenth as many rows. Stored as they are: they compress badly.
CREATE TABLE analytics_day_referrers (
  project_id uuid NOT NULL,
  day date NOT NULL,
  referrers bytea NOT NULL,
  CONSTRAINT analytics_day_referrers_pkey PRIMARY KEY (project_id, day),
  CONSTRAINT analytics_day_referrers_day_fkey FOREIGN KEY (project_id, day) REFERENCES analytics_days (project_id, day),
  CONSTRAINT analytics_day_referrers_whole_numbers CHECK (octet_length(referrers) % 4 = 0)
);
ALTER TABLE analytics_day_referrers ALTER COLUMN referrers SET STORAGE EXTERNAL;

-- Many amounts of up to 2^53 - 1 do not fit into a bigint.
CREATE TABLE analytics_day_rewards (
  project_id uuid NOT NULL,
  day date NOT NULL,
  currency_id uuid NOT NULL,
  granted_count integer NOT NULL,
  clamped_count integer NOT NULL,
  promised numeric NOT NULL,
  granted numeric NOT NULL,
  CONSTRAINT analytics_day_rewards_pkey PRIMARY KEY (project_id, day, currency_id),
  CONSTRAINT analytics_day_rewards_currency_fkey FOREIGN KEY (project_id, currency_id)
    REFERENCES currencies (project_id, id),
  CONSTRAINT analytics_day_rewards_clamped_count_range CHECK (clamped_count BETWEEN 0 AND granted_count),
  CONSTRAINT analytics_day_rewards_granted_range CHECK (granted BETWEEN 0 AND promised)
);
`;

const INDEXES = `
-- For what is not yet rolled up: the last hour or so, at the right edge of each index. Codes have referral_codes_newest.
CREATE INDEX referral_claims_by_time ON referral_claims (project_id, claimed_at);
CREATE INDEX currency_transactions_rewards_by_time ON currency_transactions (project_id, created_at)
  WHERE source = 'referral';
`;
