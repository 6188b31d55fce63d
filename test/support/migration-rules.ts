import type { DataSource, MigrationInterface, QueryRunner } from 'typeorm';
import { ConcurrentIndexes } from '../../migrations/concurrent-indexes';
import { inTransaction } from '../../src/common/transaction';

type Upward = Pick<MigrationInterface, 'up' | 'transaction'>;

/** Those that requests to write wait behind. */
const LOCKS = `('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`;

/** A foreign key is checked by a query, which may take an index. */
const TABLES = `
  SELECT c.oid, c.relname, c.relfilenode, s.seq_scan + coalesce(s.idx_scan, 0) AS reads, s.n_tup_upd + s.n_tup_del AS changes
    FROM pg_class c JOIN pg_stat_xact_user_tables s ON s.relid = c.oid
   WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'migrations'`;

/** What a transaction reads is counted from before it on, so that counts are compared. */
const FAULTS = `
  WITH after AS (${TABLES})
  SELECT relname || ' is written anew' AS fault FROM tables_before b JOIN after a USING (oid, relname)
   WHERE a.relfilenode <> b.relfilenode
  UNION ALL
  SELECT DISTINCT relname || ' is read while those who write to it wait'
    FROM tables_before b JOIN after a USING (oid, relname)
    JOIN pg_locks l ON l.relation = oid AND l.pid = pg_backend_pid() AND l.mode IN ${LOCKS}
   WHERE a.reads > b.reads
  UNION ALL
  SELECT relname || ' has rows changed' FROM tables_before b JOIN after a USING (oid, relname) WHERE a.changes > b.changes
  ORDER BY fault`;

/**
 * Runs a migration as `migrate` does, and says what it did that requests would have to wait for, the longer the more rows there
 * are: a sentence each. Tables that it made itself do not count. Needs no crowd and no clock: it looks at what was read under
 * which locks.
 */
export async function migrationFaults(db: DataSource, migration: Upward): Promise<string[]> {
  if (migration.transaction === false) return outside(db, migration);
  return inTransaction(db, (queryRunner) => faultsOf(queryRunner, () => migration.up(queryRunner)));
}

/** The same of any work in an open transaction. */
export async function faultsOf(queryRunner: QueryRunner, work: () => Promise<unknown>): Promise<string[]> {
  await queryRunner.query(`CREATE TEMP TABLE tables_before ON COMMIT DROP AS ${TABLES}`);
  await work();
  const rows = (await queryRunner.query(FAULTS)) as { fault: string }[];
  return rows.map(({ fault }) => fault);
}

async function outside(db: DataSource, migration: Upward): Promise<string[]> {
  const queryRunner = db.createQueryRunner();
  try {
    await migration.up(queryRunner);
  } finally {
    await queryRunner.release();
  }
  return migration instanceof ConcurrentIndexes ? [] : ['only indexes are made outside of a transaction'];
}
