import type { DataSource, QueryRunner } from 'typeorm';
import { rowsFrom, type Statement } from '../common/statements';

/** The statements that write `reward_grants`: one row per claim, side and currency, from promise to receipt. */

export type Side = 'referrer' | 'referee';
export type GrantStatus = (typeof GRANT_STATUSES)[number];

export const GRANT_STATUSES = ['pending', 'granted', 'dead', 'cancelled'] as const;

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

/** A promise as an operator finds and leaves it; what the audit log says of it. */
export interface GrantState {
  id: string;
  status: GrantStatus;
  attempts: number;
  last_error: string | null;
}

/** What became of one promised reward. `granted` below `amount` means that the currency's maximum was reached. */
export interface RewardOutcome {
  currency_code: string;
  amount: number;
  granted: number;
  status: 'granted' | 'pending';
}

const COLUMNS = 'project_id, id, claim_id, user_id, currency_code, amount, attempts';
/** Never waits: a promise that another transaction holds is being paid there. */
const TAKE = 'FOR UPDATE SKIP LOCKED';
const DUE = `status = 'pending' AND next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $2`;
const DUE_OF_THESE = `status = 'pending' AND next_attempt_at <= $1 AND project_id = $2 AND id = ANY($3) ORDER BY id`;
/**
 * Pending, said so that it is looked for under its claim: while no promise waits, PostgreSQL thinks that an index of those that
 * wait is as good, and goes on reading all of it when a hundred thousand do.
 */
const UNPAID = 'settled_at IS NULL';
const PROMISE_COLUMNS = { side: 'text', user_id: 'uuid', currency_code: 'text', amount: 'bigint' };
const STATE = 'id, status, attempts, last_error';

export function insert(
  claim: { projectId: string; id: string },
  nextAttemptAt: Date,
  promises: NewPromise[],
): Statement {
  const rows = rowsFrom(promises, PROMISE_COLUMNS, 3);
  return {
    text: `INSERT INTO reward_grants (project_id, claim_id, next_attempt_at, side, user_id, currency_code, amount)
           SELECT $1, $2, $3, side, user_id, currency_code, amount FROM ${rows.text} WHERE user_id IS NOT NULL`,
    values: [claim.projectId, claim.id, nextAttemptAt, ...rows.values],
  };
}

/** @param claimIds at least one, each a parameter: a plan that is made for an array is made again each time */
export function takeOfClaims(projectId: string, claimIds: string[]): Statement<RewardGrant> {
  const claims = rowsFrom(
    claimIds.map((id) => ({ id })),
    { id: 'uuid' },
    1,
  );
  return {
    text: `SELECT ${COLUMNS} FROM reward_grants WHERE project_id = $1 AND claim_id IN (${claims.list}) AND ${UNPAID} ${TAKE}`,
    values: [projectId, ...claims.values],
  };
}

export function findOfClaim(
  dataSource: DataSource,
  projectId: string,
  claimId: string,
): Promise<RewardGrant[]> {
  return dataSource.query(
    `SELECT ${COLUMNS} FROM reward_grants WHERE project_id = $1 AND claim_id = $2 AND ${UNPAID}`,
    [projectId, claimId],
  );
}

/** Looks again whether it is due: another sweeper may have tried it since it was found. */
export function takeOneDue(
  queryRunner: QueryRunner,
  { project_id, id }: RewardGrant,
  now: Date,
): Promise<RewardGrant[]> {
  return queryRunner.query(
    `SELECT ${COLUMNS} FROM reward_grants
      WHERE project_id = $1 AND id = $2 AND status = 'pending' AND next_attempt_at <= $3 ${TAKE}`,
    [project_id, id, now],
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

/**
 * Of these promises, those that are due. Waits, in the order of the ids, where others do not: somebody asked for
 * these, and who holds one may be about to leave it as it is.
 */
export function takeThese(
  queryRunner: QueryRunner,
  { projectId, ids }: { projectId: string; ids: string[] },
  now: Date,
): Promise<RewardGrant[]> {
  return queryRunner.query(`SELECT ${COLUMNS} FROM reward_grants WHERE ${DUE_OF_THESE} FOR UPDATE`, [
    now,
    projectId,
    ids,
  ]) as Promise<RewardGrant[]>;
}

export function findThese(
  dataSource: DataSource,
  { projectId, ids }: { projectId: string; ids: string[] },
  now: Date,
): Promise<RewardGrant[]> {
  return dataSource.query(`SELECT ${COLUMNS} FROM reward_grants WHERE ${DUE_OF_THESE}`, [
    now,
    projectId,
    ids,
  ]);
}

/**
 * Locks those of the given promises that have one of these statuses, in the order of their ids. Waits for a payment
 * that is under way, and then sees what it did: a promise that it granted is not among the result.
 */
export function lockThese(
  queryRunner: QueryRunner,
  { projectId, ids }: { projectId: string; ids: string[] },
  statuses: readonly GrantStatus[],
): Promise<GrantState[]> {
  return queryRunner.query(
    `SELECT ${STATE} FROM reward_grants
      WHERE project_id = $1 AND id = ANY($2) AND status = ANY($3) ORDER BY id FOR UPDATE`,
    [projectId, ids, statuses],
  ) as Promise<GrantState[]>;
}

/**
 * Makes promises that the caller holds locked due again, as if never tried. Their reason goes: it would say of a
 * promise that is waiting, and later of one that is paid, why it was not. The audit log keeps it.
 */
export async function reopen(
  queryRunner: QueryRunner,
  { projectId, ids }: { projectId: string; ids: string[] },
  now: Date,
): Promise<void> {
  await queryRunner.query(
    `UPDATE reward_grants
        SET status = 'pending', attempts = 0, last_error = NULL, next_attempt_at = $3, settled_at = NULL
      WHERE project_id = $1 AND id = ANY($2)`,
    [projectId, ids, now],
  );
}

/** Ends a promise that the caller holds locked. */
export async function cancel(
  queryRunner: QueryRunner,
  { projectId, id }: { projectId: string; id: string },
  reason: string,
): Promise<void> {
  await queryRunner.query(
    `UPDATE reward_grants SET status = 'cancelled', last_error = $3, settled_at = clock_timestamp()
      WHERE project_id = $1 AND id = $2`,
    [projectId, id, reason],
  );
}

/** Writes the receipts, at least one, in the transaction of the ledger lines they point at. */
export function settle(projectId: string, receipts: Receipt[]): Statement {
  const rows = rowsFrom(receipts, { id: 'uuid', granted: 'bigint', transaction_id: 'uuid' }, 1);
  return {
    text: `UPDATE reward_grants g
              SET status = 'granted', granted = w.granted, transaction_id = w.transaction_id,
                  attempts = g.attempts + 1, settled_at = clock_timestamp()
             FROM ${rows.text}
            WHERE g.project_id = $1 AND g.id = w.id`,
    values: [projectId, ...rows.values],
  };
}

/** Counts one try, once: not if another try was counted since the promise was read. */
export function recordFailure(
  { project_id, id, attempts }: RewardGrant,
  failure: { reason: string; nextAttemptAt: Date; dead: boolean },
): Statement {
  return {
    text: `UPDATE reward_grants
              SET attempts = attempts + 1, last_error = $4, next_attempt_at = $5,
                  status = CASE WHEN $6 THEN 'dead' ELSE 'pending' END,
                  settled_at = CASE WHEN $6 THEN clock_timestamp() END
            WHERE project_id = $1 AND id = $2 AND status = 'pending' AND attempts = $3`,
    values: [project_id, id, attempts, failure.reason, failure.nextAttemptAt, failure.dead],
  };
}

/** Leaves promises alone until then, without counting a try; those that others hold are being seen to. */
export async function postpone(dataSource: DataSource, grants: RewardGrant[], until: Date): Promise<void> {
  if (grants.length === 0) return;
  await dataSource.query(
    `UPDATE reward_grants g SET next_attempt_at = $1
       FROM (SELECT f.project_id, f.id FROM reward_grants f
               JOIN json_populate_recordset(NULL::reward_grants, $2) AS w
                 ON f.project_id = w.project_id AND f.id = w.id AND f.status = 'pending' AND f.attempts = w.attempts
                FOR UPDATE OF f SKIP LOCKED) AS free
      WHERE g.project_id = free.project_id AND g.id = free.id`,
    [until, JSON.stringify(grants)],
  );
}

/** What a user is told; a cancelled reward is promised no more. */
export function outcomes(
  dataSource: DataSource,
  projectId: string,
  claimId: string,
  userId: string,
): Promise<RewardOutcome[]> {
  return dataSource.query(
    `SELECT currency_code, amount, coalesce(granted, 0) AS granted,
            CASE status WHEN 'granted' THEN 'granted' ELSE 'pending' END AS status
       FROM reward_grants
      WHERE project_id = $1 AND claim_id = $2 AND user_id = $3 AND status <> 'cancelled' ORDER BY currency_code`,
    [projectId, claimId, userId],
  );
}
