import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { randomUUID } from 'node:crypto';
import type { DataSource, QueryRunner } from 'typeorm';
import { AuditLogService } from '../audit/audit-log.service';
import type { Actor } from '../auth/actor';
import { digestOf } from '../auth/api-key';
import { ApiError } from '../common/api-error';
import { CommitUnknownError, isOfErasedUser } from '../common/database-error';
import { inTransaction } from '../common/transaction';
import { UsersService } from '../users/users.service';
import { TRANSACTION, type TransactionRow, type TransactionWithReason } from './balances.service';
import { LedgerService } from './ledger.service';

export interface NewGrant {
  userId: string;
  currencyCode: string;
  /** Positive and whole, at most 2^53 - 1. What does not fit under the maximum is not granted. */
  amount: number;
  reason?: string;
}

export interface AdminGrant {
  transaction: TransactionWithReason;
  /** An earlier request with the same Idempotency-Key made it. */
  replayed: boolean;
}

/** One request, under the id that its grant will have however often a transaction is tried. */
interface GrantRequest extends NewGrant {
  id: string;
  by: Actor;
  projectId: string;
  idempotencyKey: string | undefined;
}

interface GrantRow {
  id: string;
  user_id: string;
  currency_code: string;
  amount: number;
  reason: string | null;
}

/** What developers give by hand: clamped and written to the ledger like every credit, once for one Idempotency-Key. */
@Injectable()
export class AdminGrantsService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly ledger: LedgerService,
    private readonly auditLog: AuditLogService,
    private readonly users: UsersService,
  ) {}

  /**
   * Credits a user. The same `idempotencyKey` and values give the same grant again and nothing more.
   *
   * @throws ApiError NOT_FOUND for an unknown user or currency, USER_ERASED, IDEMPOTENCY_MISMATCH
   */
  async grant(by: Actor, projectId: string, grant: NewGrant, idempotencyKey?: string): Promise<AdminGrant> {
    const request = { ...grant, id: randomUUID(), by, projectId, idempotencyKey };
    try {
      return await this.grantOnce(request);
    } catch (error) {
      // the link died during COMMIT: under the same id it is found, or done
      if (error instanceof CommitUnknownError) return this.grantOnce(request);
      throw isOfErasedUser(error) ? new ApiError('USER_ERASED', { cause: error }) : error;
    }
  }

  private grantOnce(request: GrantRequest): Promise<AdminGrant> {
    return inTransaction(this.dataSource, async (queryRunner) => {
      const earlier = await findGrant(queryRunner, request);
      if (earlier) return replay(queryRunner, request, earlier);
      await this.users.get(request.projectId, request.userId, queryRunner.manager);
      // a twin with the same key, or our own earlier try, is waited for here
      if (!(await insertGrant(queryRunner, request))) {
        const twin = await findGrant(queryRunner, request);
        if (twin === undefined) throw unknownCurrency(request);
        return replay(queryRunner, request, twin);
      }
      return this.apply(queryRunner, request);
    });
  }

  private async apply(queryRunner: QueryRunner, request: GrantRequest): Promise<AdminGrant> {
    const { by, projectId, id, userId, currencyCode, amount, reason } = request;
    const [credited] = await this.ledger.credit(queryRunner, projectId, [
      { userId, currencyCode, amount, transactionType: 'grant', source: 'admin', referenceId: id },
    ]);
    if (!credited) throw unknownCurrency(request);
    const transaction = await readLine(queryRunner, projectId, id);
    const after = { ...transaction, reason: reason ?? null };
    await this.auditLog.record(
      queryRunner,
      by,
      { projectId },
      { action: 'currency.grant', targetId: id, after },
    );
    return { transaction: after, replayed: false };
  }
}

function unknownCurrency({ currencyCode }: GrantRequest): ApiError {
  return new ApiError('NOT_FOUND', { message: `There is no currency ${currencyCode}.` });
}

async function findGrant(
  queryRunner: QueryRunner,
  { projectId, id, idempotencyKey }: GrantRequest,
): Promise<GrantRow | undefined> {
  const [row] = (await queryRunner.query(
    `SELECT g.id, g.user_id, c.code AS currency_code, g.amount, g.reason
       FROM admin_grants g JOIN currencies c ON c.project_id = g.project_id AND c.id = g.currency_id
      WHERE g.project_id = $1 AND (g.id = $2 OR g.idempotency_digest = $3)`,
    [projectId, id, digest(idempotencyKey)],
  )) as GrantRow[];
  return row;
}

/** Only a digest is kept: an app may have made the key of something personal, and grants are never changed. */
function digest(idempotencyKey: string | undefined): Buffer | null {
  return idempotencyKey === undefined ? null : digestOf(idempotencyKey);
}

/** @returns false when there is such a grant already, or no such currency */
async function insertGrant(queryRunner: QueryRunner, request: GrantRequest): Promise<boolean> {
  const { projectId, id, idempotencyKey, userId, currencyCode, amount, reason } = request;
  const rows = (await queryRunner.query(
    `INSERT INTO admin_grants (project_id, id, idempotency_digest, user_id, currency_id, amount, reason)
     SELECT $1, $2, $3, $4, c.id, $6, $7 FROM currencies c
      WHERE c.project_id = $1 AND c.code = $5 AND c.deleted_at IS NULL
     ON CONFLICT DO NOTHING RETURNING id`,
    [projectId, id, digest(idempotencyKey), userId, currencyCode, amount, reason ?? null],
  )) as object[];
  return rows.length === 1;
}

/** @throws ApiError IDEMPOTENCY_MISMATCH when the key was used for another grant */
async function replay(
  queryRunner: QueryRunner,
  request: GrantRequest,
  earlier: GrantRow,
): Promise<AdminGrant> {
  const isSame =
    earlier.user_id === request.userId &&
    earlier.currency_code === request.currencyCode &&
    earlier.amount === request.amount &&
    earlier.reason === (request.reason ?? null);
  if (!isSame) throw new ApiError('IDEMPOTENCY_MISMATCH');
  const transaction = await readLine(queryRunner, request.projectId, earlier.id);
  return { transaction: { ...transaction, reason: earlier.reason }, replayed: earlier.id !== request.id };
}

async function readLine(
  queryRunner: QueryRunner,
  projectId: string,
  grantId: string,
): Promise<TransactionRow> {
  const [line] = (await queryRunner.query(
    `SELECT ${TRANSACTION}
       FROM currency_transactions t JOIN currencies c ON c.project_id = t.project_id AND c.id = t.currency_id
      WHERE t.project_id = $1 AND t.reference_id = $2 AND t.source = 'admin'`,
    [projectId, grantId],
  )) as [TransactionRow];
  return line;
}
