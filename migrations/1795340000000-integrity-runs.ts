import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The checks that the server makes of its own data, as a record, and as what decides which instance makes the next. */
export class IntegrityRuns1795340000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(RUNS);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Migrations are forward only: restore a backup to go back.'));
  }
}

const RUNS = `
-- One row per due time: the instance that inserts it makes the check. A run that ended has a report or an error.
CREATE TABLE integrity_runs (
  due_at timestamptz NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  -- the invariants in their order, each { name, broken_rows }
  report jsonb,
  error text,
  CONSTRAINT integrity_runs_pkey PRIMARY KEY (due_at),
  CONSTRAINT integrity_runs_outcome CHECK (num_nonnulls(report, error) = num_nonnulls(finished_at))
);
`;
