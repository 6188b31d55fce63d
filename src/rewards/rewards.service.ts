import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { ApiError } from '../common/api-error';
import { settledWithin } from '../common/settled-within';
import type { Statement } from '../common/statements';
import { CurrencyService } from '../currency/currency.service';
import { ClaimPaymentsService, INLINE_WAIT_MS } from './claim-payments.service';
import { owedFor, type RewardedClaim } from './owed';
import { PaymentsService } from './payments.service';
import { parseReward } from './reward';
import * as promises from './reward-grants';
import type { RewardOutcome } from './reward-grants';

/** The sweeper leaves a new promise to the request that made it for this long. */
const INLINE_GRACE_MS = 2_000;

/**
 * Promises: what a claim owes is stored with the claim, paid right after it, and kept until it is paid.
 */
@Injectable()
export class RewardsService implements OnApplicationShutdown {
  private readonly logger = new Logger(RewardsService.name);
  private readonly underWay = new Set<Promise<unknown>>();

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly claims: ClaimPaymentsService,
    private readonly payments: PaymentsService,
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
    const outcomes = await this.inline(this.claims.pay(claim), `of claim ${claim.id}`);
    return outcomes ?? (parseReward(claim.rewardReferee) ?? []).map(pending);
  }

  /**
   * Pays promises that are due again since `now`, waiting at most a second in all. Never throws: see `payNow`.
   */
  async payReplayed(projectId: string, ids: string[], now: Date): Promise<void> {
    await this.inline(
      this.payments.payThese(projectId, ids, now),
      `that were replayed in project ${projectId}`,
    );
  }

  /** The rewards of one side of a claim as they stand now. */
  outcomesOf(projectId: string, claimId: string, userId: string): Promise<RewardOutcome[]> {
    return promises.outcomes(this.dataSource, projectId, claimId, userId);
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
}

function pending(item: { currencyCode: string; amount: number }): RewardOutcome {
  return { currency_code: item.currencyCode, amount: item.amount, granted: 0, status: 'pending' };
}
