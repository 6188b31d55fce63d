import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Promises that wait for an operator: few, and counted at every scrape of the metrics, whatever there is of others. */
export class DeadRewards1795380000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(INDEX);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Migrations are forward only: restore a backup to go back.'));
  }
}

const INDEX = `CREATE INDEX reward_grants_dead ON reward_grants (settled_at) WHERE status = 'dead'`;
