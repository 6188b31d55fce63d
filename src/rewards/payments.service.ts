import { Injectable, Logger } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, QueryRunner } from 'typeorm';
import { backoffMs } from '../common/backoff';
import { isDatabaseUnavailable, isLockTimeout } from '../common/database-error';
import { asOne, sendTogether, type Rows, type Statement } from '../common/statements';
import { traced } from '../common/tracing';
import { inTransaction } from '../common/transaction';
import { LedgerService, type CreditResult, type Locks } from '../currency/ledger.service';
import * as promises from './reward-grants';
import type { RewardGrant } from './reward-grants';
import { RewardsMetrics, type PaidBy } from './rewards.metrics';

const PROMISES_AT_ONCE = 100;
/** When somebody keeps a currency locked, its promises are left alone for this long. */
const BUSY_WAIT_MS = 5_000;
/** With the waits of `backoffMs`, 3.7 days. */
const MAX_ATTEMPTS = 25;

/** Promises that are paid together, or one by one when that fails. */
interface Batch {
  by: PaidBy;
  take: (queryRunner: QueryRunner) => Promise<RewardGrant[]>;
  find: () => Promise<RewardGrant[]>;
}

/** Pays promises: those of a replay, and whatever is due. Those of new claims are paid by `ClaimPaymentsService`, in the same way. */
@Injectable()
export class PaymentsService {
  private readonly logger = new Logger(PaymentsService.name);

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly ledger: LedgerService,
    private readonly metrics: RewardsMetrics,
  ) {}

  /** Pays those of a project's promises that are due. */
  async payThese(projectId: string, ids: string[], now: Date): Promise<void> {
    for (let start = 0; start < ids.length; start += PROMISES_AT_ONCE) {
      const these = { projectId, ids: ids.slice(start, start + PROMISES_AT_ONCE) };
      await this.payBatch(
        {
          by: 'replay',
          take: (queryRunner) => promises.takeThese(queryRunner, these, now),
          find: () => promises.findThese(this.dataSource, these, now),
        },
        now,
      );
    }
  }

  /**
   * Pays a batch of what is due in any project. Any number of instances may do so at once.
   *
   * @returns whether there may be more
   */
  async payDue(now: Date, signal?: AbortSignal): Promise<boolean> {
    const found = await this.payBatch(
      {
        by: 'sweep',
        take: (queryRunner) => promises.takeDue(queryRunner, now, PROMISES_AT_ONCE),
        find: () => promises.findDue(this.dataSource, now, PROMISES_AT_ONCE),
      },
      now,
      signal,
    );
    return found === PROMISES_AT_ONCE;
  }

  /** @returns how many promises it found */
  private async payBatch(batch: Batch, now: Date, signal?: AbortSignal): Promise<number> {
    try {
      return await this.payTogether(batch, batch.take, now);
    } catch (error) {
      if (isDatabaseUnavailable(error)) throw error;
      return this.payOneByOne(batch, now, signal);
    }
  }

  /** @returns how many promises it took */
  private async payTogether({ by }: Batch, take: Batch['take'], now: Date): Promise<number> {
    const results = await inTransaction(this.dataSource, async (queryRunner) => {
      const due = await take(queryRunner);
      // most sweeps find nothing, and are no trace
      return due.length > 0 ? traced(`rewards.${by}`, () => this.pay(queryRunner, due, now)) : [];
    });
    this.metrics.count(by, results);
    return results.length;
  }

  /**
   * After a batch failed: one promise that cannot be paid must not hold back the others, and one currency that
   * somebody keeps locked must not make each of its promises wait in turn.
   */
  private async payOneByOne(batch: Batch, now: Date, signal?: AbortSignal): Promise<number> {
    const due = await batch.find();
    const busy = new Set<string>();
    for (const grant of due) {
      if (signal?.aborted) return 0;
      const currency = `${grant.project_id}/${grant.currency_code}`;
      if (busy.has(currency)) continue;
      try {
        await this.payTogether(batch, (queryRunner) => promises.takeOneDue(queryRunner, grant, now), now);
      } catch (error) {
        if (isDatabaseUnavailable(error)) throw error;
        if (isLockTimeout(error)) busy.add(currency);
        else await this.failOne(batch.by, grant, error, now);
      }
    }
    const waiting = due.filter((grant) => busy.has(`${grant.project_id}/${grant.currency_code}`));
    await promises.postpone(this.dataSource, waiting, new Date(now.getTime() + BUSY_WAIT_MS));
    return due.length;
  }

  /** Pays promises that the caller holds locked; their projects in one order for everybody. @returns one result for each */
  private async pay(queryRunner: QueryRunner, grants: RewardGrant[], now: Date): Promise<CreditResult[]> {
    const all: CreditResult[] = [];
    const projectIds = [...new Set(grants.map((grant) => grant.project_id))].sort();
    for (const projectId of projectIds) {
      const due = grants.filter((grant) => grant.project_id === projectId);
      const locked = await sendTogether(queryRunner, ...this.ledger.locks(projectId, due.map(toCredit)));
      const { results, statement } = this.payment(projectId, { due, locked, now });
      await sendTogether(queryRunner, statement);
      all.push(...results);
    }
    return all;
  }

  /** What pays promises of one project, under their locks and the ledger's. */
  payment(
    projectId: string,
    { due, locked, now }: { due: RewardGrant[]; locked: Rows<Locks>; now: Date },
  ): { results: CreditResult[]; statement: Statement | undefined } {
    const { results, writes } = this.ledger.apply(projectId, locked, due.map(toCredit));
    const receipts: promises.Receipt[] = [];
    for (const [i, grant] of due.entries()) {
      const result = results[i];
      if (result)
        receipts.push({ id: grant.id, granted: result.granted, transaction_id: result.transactionId });
      else
        writes[`failure_${i}`] = this.failure(
          grant,
          `The project has no currency "${grant.currency_code}".`,
          now,
        );
    }
    if (receipts.length > 0) writes.receipts = promises.settle(projectId, receipts);
    return { results, statement: due.length > 0 ? asOne(writes) : undefined };
  }

  /**
   * Counts a try that failed, in a short transaction of its own, if the promise is still as it was when its payment was tried.
   */
  async failOne(by: PaidBy, grant: RewardGrant, error: unknown, now: Date): Promise<void> {
    const reason = error instanceof Error ? error.message : String(error);
    const { text, values } = this.failure(grant, reason, now);
    const [, recorded] = await this.dataSource.query<[unknown, number]>(text, values);
    if (recorded > 0) this.metrics.countFailure(by);
  }

  private failure(grant: RewardGrant, reason: string, now: Date): Statement {
    const attempts = grant.attempts + 1;
    this.logger.warn(`Reward grant ${grant.id} failed (try ${attempts} of ${MAX_ATTEMPTS}): ${reason}`);
    return promises.recordFailure(grant, {
      reason,
      nextAttemptAt: new Date(now.getTime() + backoffMs(attempts, Math.random())),
      dead: attempts >= MAX_ATTEMPTS,
    });
  }
}

function toCredit(grant: RewardGrant) {
  return {
    userId: grant.user_id,
    currencyCode: grant.currency_code,
    amount: grant.amount,
    transactionType: 'earn',
    source: 'referral',
    referenceId: grant.claim_id,
  } as const;
}
