import { setTimeout as sleep } from 'node:timers/promises';
import type { MigrationInterface, QueryRunner } from 'typeorm';

const LOOK_AGAIN_MS = 500;

/**
 * A migration that builds indexes beside the requests that write to their tables. It is as frozen as those that extend it.
 *
 * Such a build is no part of a transaction: what was built stays when a later one fails, and one that fails leaves an index
 * that is not valid. So a migration that runs again builds what is missing, and anew what is not valid. A build goes on in
 * PostgreSQL when the program that asked for it was killed: that is waited for.
 */
export abstract class ConcurrentIndexes implements MigrationInterface {
  readonly transaction = false;

  /** What follows the name of each index, by name. */
  protected abstract readonly indexes: Record<string, string>;

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const [name, definition] of Object.entries(this.indexes)) {
      const state = await settledState(queryRunner, name);
      if (state === 'valid') continue;
      if (state === 'invalid') await queryRunner.query(`DROP INDEX CONCURRENTLY ${name}`);
      await queryRunner.query(`CREATE INDEX CONCURRENTLY ${name} ${definition}`);
    }
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Migrations are forward only: restore a backup to go back.'));
  }
}

type State = 'valid' | 'invalid' | 'in the making';

/** When nobody builds it any more; undefined when it is not there. */
async function settledState(queryRunner: QueryRunner, name: string): Promise<State | undefined> {
  for (;;) {
    const [index] = (await queryRunner.query(
      `SELECT CASE WHEN indisvalid THEN 'valid'
                   WHEN EXISTS (SELECT FROM pg_stat_progress_create_index WHERE index_relid = indexrelid) THEN 'in the making'
                   ELSE 'invalid' END AS state
         FROM pg_index WHERE indexrelid = to_regclass('${name}')`,
    )) as { state: State }[];
    if (index?.state !== 'in the making') return index?.state;
    await sleep(LOOK_AGAIN_MS);
  }
}
