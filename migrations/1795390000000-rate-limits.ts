import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What instances counted together, for `RATE_LIMIT_STORE=database`. */
export class RateLimits1795390000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(TABLE);
    await queryRunner.query(INDEX);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Migrations are forward only: restore a backup to go back.'));
  }
}

/**
 * UNLOGGED: a count is good for a minute, so it is worth neither a write to the log nor its way to a replica. After a crash
 * of PostgreSQL the table is empty and all counts begin anew. The columns, their types and their order are those of
 * RateLimiterPostgres.
 */
const TABLE = `
CREATE UNLOGGED TABLE rate_limits (
  -- the limit, and a digest of whom it counts
  key varchar(255) NOT NULL,
  points integer NOT NULL,
  -- in ms since 1970
  expire bigint NOT NULL,
  CONSTRAINT rate_limits_pkey PRIMARY KEY (key)
)`;

const INDEX = `CREATE INDEX rate_limits_expired ON rate_limits (to_timestamp(expire / 1000.0))`;
