import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What was read as a whole, and the longer the more there was of it: a page of the claims of one code, and what was
 * promised or granted to one user.
 */
export class GrowthIndexes1795360000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(INDEXES);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Migrations are forward only: restore a backup to go back.'));
  }
}

const INDEXES = `
CREATE INDEX referral_claims_of_code ON referral_claims (project_id, referral_code_id, claimed_at DESC, id DESC);
CREATE INDEX reward_grants_by_user ON reward_grants (project_id, user_id, created_at DESC, id DESC);
CREATE INDEX admin_grants_by_user ON admin_grants (project_id, user_id, created_at);
`;
