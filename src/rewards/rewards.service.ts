import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, QueryRunner } from 'typeorm';
import { ApiError } from '../common/api-error';
import { backoffMs } from '../common/backoff';
import { isDatabaseUnavailable, isLockTimeout } from '../common/database-error';
import { asOne, sendTogether, type Rows, type Statement } from '../common/statements';
import { commitWith, inTransaction } from '../common/transaction';
import { CurrencyService } from '../currency/currency.service';
import { LedgerService, type CreditResult, type Locks } from '../currency/ledger.service';
import * as promises from './reward-grants';
import type { RewardGrant, RewardOutcome } from './reward-grants';
import { parseReward } from './reward';

/** A claimer waits this long for the rewards; then they are `pending` and follow on their own. */
const INLINE_WAIT_MS = 1_000;
/** The sweeper leaves a new promise to the request that made it for this long. */
const INLINE_GRACE_MS = 2_000;
const SWEEP_BATCH = 100;
/** When somebody keeps a currency locked, its promises are left alone for this long. */
const BUSY_WAIT_MS = 5_000;
/** With the waits of `backoffMs`, 3.7 days. */
const MAX_ATTEMPTS = 25;

/** Who is owed what for a claim. */
export interface RewardedClaim {
  projectId: string;
  id: string;
  referrerId: string | null;
  refereeId: string;
  rewardReferrer: unknown;
  rewardReferee: unknown;
}

/** Promises that are paid together, or one by one when that fails. */
interface Batch {
  take: (queryRunner: QueryRunner) => Promise<RewardGrant[]>;
  find: () => Promise<RewardGrant[]>;
}

/**
 * Promises: what a claim owes is stored with the claim, paid right after it, and kept until it is paid.
 */
@Injectable()
export class RewardsService implements OnApplicationShutdown {
  private readonly logger = new Logger(RewardsService.name);
  private readonly underWay = new Set<Promise<unknown>>();

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly ledger: LedgerService,
    private readonly currencies: CurrencyService,
  ) {}

  /** Payments that outlived their request end before the database connections do. */
  async onApplicationShutdown(): Promise<void> {
    await Promise.allSettled(this.underWay);
  }

  /** @throws ApiError INVALID_REWARD for another shape, or a currency that the project does not have */
  async validate(projectId: string, reward: unknown): Promise<void> {
    const items = parseReward(reward);
    if (items === undefined) throw new ApiError('INVALID_REWARD');
    const known = items.length > 0 ? await this.currencies.codes(projectId) : new Set<string>();
    const unknown = items.find((item) => !known.has(item.currencyCode));
    if (unknown) {
      throw new ApiError('INVALID_REWARD', {
        message: `This project has no currency "${unknown.currencyCode}".`,
      });
    }
  }

  /** What stores what the claim owes to both sides, if anything; to be sent in the claim's own transaction. */
  promise(claim: RewardedClaim): Statement | undefined {
    const owed = owedFor(claim);
    return owed.length > 0 ? promises.insert(claim, new Date(Date.now() + INLINE_GRACE_MS), owed) : undefined;
  }

  /**
   * Pays a committed claim, waiting at most a second. Never throws: what cannot be paid now stays promised, and
   * the sweeper pays it.
   *
   * @returns the referee's rewards
   */
  async payNow(claim: RewardedClaim): Promise<RewardOutcome[]> {
    const outcomes = await this.inline(this.payClaim(claim), `of claim ${claim.id}`);
    return outcomes ?? (parseReward(claim.rewardReferee) ?? []).map(pending);
  }

  /**
   * Pays promises that are due again since `now`, waiting at most a second in all. Never throws: see `payNow`.
   */
  async payReplayed(projectId: string, ids: string[], now: Date): Promise<void> {
    const payAll = async () => {
      for (let start = 0; start < ids.length; start += SWEEP_BATCH) {
        const these = { projectId, ids: ids.slice(start, start + SWEEP_BATCH) };
        await this.payBatch(
          {
            take: (queryRunner) => promises.takeThese(queryRunner, these, now),
            find: () => promises.findThese(this.dataSource, these, now),
          },
          now,
        );
      }
    };
    await this.inline(payAll(), `that were replayed in project ${projectId}`);
  }

  /** The rewards of one side of a claim as they stand now. */
  outcomesOf(projectId: string, claimId: string, userId: string): Promise<RewardOutcome[]> {
    return promises.outcomes(this.dataSource, projectId, claimId, userId);
  }

  /**
   * Pays a batch of the promises that are due. Any number of instances may sweep at once.
   *
   * @returns whether there may be more
   */
  async sweep(now: Date, signal?: AbortSignal): Promise<boolean> {
    const found = await this.payBatch(
      {
        take: (queryRunner) => promises.takeDue(queryRunner, now, SWEEP_BATCH),
        find: () => promises.findDue(this.dataSource, now, SWEEP_BATCH),
      },
      now,
      signal,
    );
    return found === SWEEP_BATCH;
  }

  /** @returns how many promises it found */
  private async payBatch(batch: Batch, now: Date, signal?: AbortSignal): Promise<number> {
    try {
      return await inTransaction(this.dataSource, async (queryRunner) => {
        const due = await batch.take(queryRunner);
        await this.pay(queryRunner, due, now);
        return due.length;
      });
    } catch (error) {
      if (isDatabaseUnavailable(error)) throw error;
      return this.payOneByOne(await batch.find(), now, signal);
    }
  }

  /**
   * After a batch failed: one promise that cannot be paid must not hold back the others, and one currency that
   * somebody keeps locked must not make each of its promises wait in turn.
   */
  private async payOneByOne(due: RewardGrant[], now: Date, signal?: AbortSignal): Promise<number> {
    const busy = new Set<string>();
    for (const grant of due) {
      if (signal?.aborted) return 0;
      const currency = `${grant.project_id}/${grant.currency_code}`;
      if (busy.has(currency)) continue;
      try {
        await inTransaction(this.dataSource, async (queryRunner) =>
          this.pay(queryRunner, await promises.takeOneDue(queryRunner, grant, now), now),
        );
      } catch (error) {
        if (isDatabaseUnavailable(error)) throw error;
        if (isLockTimeout(error)) busy.add(currency);
        else await this.failOne(grant, error, now);
      }
    }
    const waiting = due.filter((grant) => busy.has(`${grant.project_id}/${grant.currency_code}`));
    await promises.postpone(this.dataSource, waiting, new Date(now.getTime() + BUSY_WAIT_MS));
    return due.length;
  }

  /** Waits a second for a payment, which goes on by itself after that; `undefined` when it failed or takes longer. */
  private async inline<T>(payment: Promise<T>, whose: string): Promise<T | undefined> {
    const paid = payment.catch((error: unknown) => {
      this.logger.warn(`The rewards ${whose} stay promised: ${String(error)}`);
      return undefined;
    });
    this.underWay.add(paid);
    void paid.finally(() => this.underWay.delete(paid));
    return settledWithin(paid, INLINE_WAIT_MS);
  }

  private async payClaim(claim: RewardedClaim): Promise<RewardOutcome[]> {
    const { projectId, id } = claim;
    const now = new Date();
    const wanted = owedFor(claim).map((owed) => ({ userId: owed.user_id, currencyCode: owed.currency_code }));
    try {
      const settled = await inTransaction(this.dataSource, async (queryRunner) => {
        const [due, ...locked] = await sendTogether(
          queryRunner,
          promises.takeOfClaim(projectId, id),
          ...this.ledger.locks(projectId, wanted),
        );
        const { results, statement } = this.payment(projectId, { due, locked, now });
        await commitWith(queryRunner, statement);
        return due.length === wanted.length ? outcomesFor(claim.refereeId, due, results) : undefined;
      });
      // where somebody else sees to some of them, they are as they are by now
      return settled ?? (await this.outcomesOf(projectId, id, claim.refereeId));
    } catch (error) {
      // a database that is away, or a currency that is locked, is no fault of the promise
      if (!isDatabaseUnavailable(error) && !isLockTimeout(error)) {
        const unpaid = await promises.findOfClaim(this.dataSource, projectId, id);
        for (const grant of unpaid) await this.failOne(grant, error, now);
      }
      throw error;
    }
  }

  /** Pays promises that the caller holds locked; their projects in one order for everybody. */
  private async pay(queryRunner: QueryRunner, grants: RewardGrant[], now: Date): Promise<void> {
    const projectIds = [...new Set(grants.map((grant) => grant.project_id))].sort();
    for (const projectId of projectIds) {
      const due = grants.filter((grant) => grant.project_id === projectId);
      const locked = await sendTogether(queryRunner, ...this.ledger.locks(projectId, due.map(toCredit)));
      const { statement } = this.payment(projectId, { due, locked, now });
      await sendTogether(queryRunner, statement);
    }
  }

  /** What pays promises of one project, under their locks and the ledger's. */
  private payment(
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

  /** In a short transaction of its own, if the promise is still as it was when its payment was tried. */
  private async failOne(grant: RewardGrant, error: unknown, now: Date): Promise<void> {
    const reason = error instanceof Error ? error.message : String(error);
    const { text, values } = this.failure(grant, reason, now);
    await this.dataSource.query(text, values);
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

function owedFor(claim: RewardedClaim): promises.NewPromise[] {
  return [
    ...owed('referrer', claim.referrerId, claim.rewardReferrer),
    ...owed('referee', claim.refereeId, claim.rewardReferee),
  ];
}

function owed(side: promises.Side, userId: string | null, reward: unknown): promises.NewPromise[] {
  if (userId === null) return [];
  // the schema lets no other reward in
  return (parseReward(reward) ?? []).map(({ currencyCode, amount }) => ({
    side,
    user_id: userId,
    currency_code: currencyCode,
    amount,
  }));
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

/** As `promises.outcomes` would read them. */
function outcomesFor(userId: string, grants: RewardGrant[], results: CreditResult[]): RewardOutcome[] {
  return grants
    .map((grant, i): RewardOutcome & { user_id: string } => ({
      ...grant,
      granted: results[i]?.granted ?? 0,
      status: results[i] ? 'granted' : 'pending',
    }))
    .filter((grant) => grant.user_id === userId)
    .map(({ currency_code, amount, granted, status }) => ({ currency_code, amount, granted, status }))
    .sort((a, b) => (a.currency_code < b.currency_code ? -1 : 1));
}

function pending(item: { currencyCode: string; amount: number }): RewardOutcome {
  return { currency_code: item.currencyCode, amount: item.amount, granted: 0, status: 'pending' };
}

async function settledWithin<T>(work: Promise<T>, waitMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), waitMs);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
