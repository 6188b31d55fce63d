import type { DataSource, QueryRunner } from 'typeorm';

/** The statements on `reward_grants`: one row per claim, side and currency, from promise to receipt. */

export type Side = 'referrer' | 'referee';

export interface NewPromise {
  side: Side;
  user_id: string;
  currency_code: string;
  amount: number;
}

export interface RewardGrant {
  project_id: string;
  id: string;
  claim_id: string;
  user_id: string;
  currency_code: string;
  amount: number;
  attempts: number;
}

export interface Receipt {
  id: string;
  granted: number;
  transaction_id: string;
}

/** What became of one promised reward. `granted` below `amount` means that the currency's maximum was reached. */
export interface RewardOutcome {
  currency_code: string;
  amount: number;
  granted: number;
  status: 'granted' | 'pending';
}

type Executor = DataSource | QueryRunner;

const COLUMNS = 'project_id, id, claim_id, user_id, currency_code, amount, attempts';
/** Never waits: a promise that another transaction holds is being paid there. */
const TAKE = 'FOR UPDATE SKIP LOCKED';
const DUE = `status = 'pending' AND next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $2`;

export async function insert(
  queryRunner: QueryRunner,
  claim: { projectId: string; id: string },
  nextAttemptAt: Date,
  rows: NewPromise[],
): Promise<void> {
  if (rows.length === 0) return;
  await queryRunner.query(
    `INSERT INTO reward_grants (project_id, claim_id, next_attempt_at, side, user_id, currency_code, amount)
     SELECT $1, $2, $3, side, user_id, currency_code, amount FROM json_populate_recordset(NULL::reward_grants, $4)`,
    [claim.projectId, claim.id, nextAttemptAt, JSON.stringify(rows)],
  );
}

export function takeOfClaim(
  queryRunner: QueryRunner,
  projectId: string,
  claimId: string,
): Promise<RewardGrant[]> {
  return queryRunner.query(
    `SELECT ${COLUMNS} FROM reward_grants WHERE project_id = $1 AND claim_id = $2 AND status = 'pending' ${TAKE}`,
    [projectId, claimId],
  ) as Promise<RewardGrant[]>;
}

export function takeOne(queryRunner: QueryRunner, { project_id, id }: RewardGrant): Promise<RewardGrant[]> {
  return queryRunner.query(
    `SELECT ${COLUMNS} FROM reward_grants WHERE project_id = $1 AND id = $2 AND status = 'pending' ${TAKE}`,
    [project_id, id],
  ) as Promise<RewardGrant[]>;
}

export function takeDue(queryRunner: QueryRunner, now: Date, limit: number): Promise<RewardGrant[]> {
  return queryRunner.query(`SELECT ${COLUMNS} FROM reward_grants WHERE ${DUE} ${TAKE}`, [
    now,
    limit,
  ]) as Promise<RewardGrant[]>;
}

export function findDue(dataSource: DataSource, now: Date, limit: number): Promise<RewardGrant[]> {
  return dataSource.query(`SELECT ${COLUMNS} FROM reward_grants WHERE ${DUE}`, [now, limit]);
}

/** Writes the receipts, in the transaction of the ledger lines they point at. */
export async function settle(
  queryRunner: QueryRunner,
  projectId: string,
  receipts: Receipt[],
): Promise<void> {
  if (receipts.length === 0) return;
  await queryRunner.query(
    `UPDATE reward_grants g
        SET status = 'granted', granted = r.granted, transaction_id = r.transaction_id,
            attempts = g.attempts + 1, settled_at = clock_timestamp()
       FROM json_populate_recordset(NULL::reward_grants, $2) AS r
      WHERE g.project_id = $1 AND g.id = r.id`,
    [projectId, JSON.stringify(receipts)],
  );
}

export async function recordFailure(
  executor: Executor,
  { project_id, id }: RewardGrant,
  failure: { reason: string; nextAttemptAt: Date; dead: boolean },
): Promise<void> {
  await executor.query(
    `UPDATE reward_grants
        SET attempts = attempts + 1, last_error = $3, next_attempt_at = $4,
            status = CASE WHEN $5 THEN 'dead' ELSE 'pending' END,
            settled_at = CASE WHEN $5 THEN clock_timestamp() END
      WHERE project_id = $1 AND id = $2 AND status = 'pending'`,
    [project_id, id, failure.reason, failure.nextAttemptAt, failure.dead],
  );
}

export function outcomes(
  executor: Executor,
  projectId: string,
  claimId: string,
  userId: string,
): Promise<RewardOutcome[]> {
  return executor.query(
    `SELECT currency_code, amount, coalesce(granted, 0) AS granted,
            CASE status WHEN 'granted' THEN 'granted' ELSE 'pending' END AS status
       FROM reward_grants WHERE project_id = $1 AND claim_id = $2 AND user_id = $3 ORDER BY currency_code`,
    [projectId, claimId, userId],
  ) as Promise<RewardOutcome[]>;
}
