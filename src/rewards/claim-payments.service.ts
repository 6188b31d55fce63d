import { Injectable, Logger } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { isDatabaseUnavailable, isLockTimeout } from '../common/database-error';
import { Rounds } from '../common/rounds';
import { sendTogether, type Statement } from '../common/statements';
import { traced } from '../common/tracing';
import { commitWith, inTransaction } from '../common/transaction';
import { LedgerService, type CreditResult } from '../currency/ledger.service';
import { owedFor, type RewardedClaim } from './owed';
import { PaymentsService } from './payments.service';
import * as promises from './reward-grants';
import type { RewardGrant, RewardOutcome } from './reward-grants';
import { RewardsMetrics } from './rewards.metrics';

/** A claimer waits this long for the rewards; then they are `pending` and follow on their own. */
export const INLINE_WAIT_MS = 1_000;
/** So that all promises of a round, two for most claims, are about as many as a sweep takes. */
const CLAIMS_AT_ONCE = 50;
/** Others wait behind a payment. The sweeper has more time for what somebody keeps locked. */
const SHORT_LOCK_WAIT: Statement = { text: `SET LOCAL lock_timeout = '300ms'`, values: [] };

type Claims = [RewardedClaim, ...RewardedClaim[]];

/** A promise of a claim, and what its payment came to; null where the project has no such currency now. */
type Paid = RewardGrant & { result: CreditResult };

/** Pays what claims owe that were just made. */
@Injectable()
export class ClaimPaymentsService {
  private readonly logger = new Logger(ClaimPaymentsService.name);
  private readonly rounds = new Rounds({
    serve: (claims: Claims) => this.payRound(claims),
    max: CLAIMS_AT_ONCE,
    patienceMs: INLINE_WAIT_MS,
  });

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly ledger: LedgerService,
    private readonly payments: PaymentsService,
    private readonly metrics: RewardsMetrics,
  ) {}

  /**
   * Pays a committed claim. Those that come while others of the project are being paid are paid in one transaction; they
   * wait for each other only where they owe the same currencies, so that one that is locked holds back no other.
   *
   * @returns the referee's rewards
   * @throws what the payment failed with; what it did not pay stays promised
   */
  async pay(claim: RewardedClaim): Promise<RewardOutcome[]> {
    const currencies = new Set(owedFor(claim).map((owed) => owed.currency_code));
    if (currencies.size === 0) return [];
    const key = [claim.projectId, ...[...currencies].sort()].join();
    return traced('rewards.pay', () => this.rounds.join(key, claim));
  }

  /** Claims of one project, each with its result. */
  private async payRound(claims: Claims): Promise<RewardOutcome[][]> {
    const now = new Date();
    const paid = await this.payTogether(claims, now).catch(async (error: unknown) => {
      await this.noteFailure(claims, error, now);
      throw error;
    });
    this.metrics.count(
      'claim',
      paid.map(({ result }) => result),
    );
    return Promise.all(claims.map((claim) => this.outcomesOf(claim, paid)));
  }

  /** All of their promises that nobody else holds, or none. */
  private async payTogether(claims: Claims, now: Date): Promise<Paid[]> {
    const [{ projectId }] = claims;
    const ids = claims.map(({ id }) => id);
    const wanted = claims
      .flatMap(owedFor)
      .map((owed) => ({ userId: owed.user_id, currencyCode: owed.currency_code }));
    return inTransaction(this.dataSource, async (queryRunner) => {
      const [, due, ...locked] = await sendTogether(
        queryRunner,
        SHORT_LOCK_WAIT,
        promises.takeOfClaims(projectId, ids),
        ...this.ledger.locks(projectId, wanted),
      );
      // near a maximum, who came first is paid first
      due.sort((a, b) => ids.indexOf(a.claim_id) - ids.indexOf(b.claim_id));
      const { results, statement } = this.payments.payment(projectId, { due, locked, now });
      await commitWith(queryRunner, statement);
      return due.map((grant, i) => ({ ...grant, result: results[i] ?? null }));
    });
  }

  /** Of several it is not known whose fault it was; each of them is tried alone. */
  private async noteFailure([claim, ...others]: Claims, error: unknown, now: Date): Promise<void> {
    if (others.length > 0) {
      this.logger.warn(`${others.length + 1} claims could not be paid together: ${String(error)}`);
      return;
    }
    // a database that is away, or a currency that is locked, is no fault of the promise
    if (isDatabaseUnavailable(error) || isLockTimeout(error)) return;
    const unpaid = await promises.findOfClaim(this.dataSource, claim.projectId, claim.id);
    for (const grant of unpaid) await this.payments.failOne('claim', grant, error, now);
  }

  /** Where somebody else sees to some of a claim's promises, they are as they are by now. */
  private async outcomesOf(claim: RewardedClaim, paid: Paid[]): Promise<RewardOutcome[]> {
    const own = paid.filter((grant) => grant.claim_id === claim.id);
    if (own.length === owedFor(claim).length) return outcomesFor(claim.refereeId, own);
    return promises.outcomes(this.dataSource, claim.projectId, claim.id, claim.refereeId);
  }
}

/** As `promises.outcomes` would read them. */
function outcomesFor(userId: string, paid: Paid[]): RewardOutcome[] {
  return paid
    .filter((grant) => grant.user_id === userId)
    .map(({ currency_code, amount, result }): RewardOutcome => ({
      ...{ currency_code, amount, granted: result?.granted ?? 0 },
      status: result ? 'granted' : 'pending',
    }))
    .sort((a, b) => (a.currency_code < b.currency_code ? -1 : 1));
}
