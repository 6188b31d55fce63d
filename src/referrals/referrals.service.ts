import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { createHash, randomUUID } from 'node:crypto';
import type { DataSource, QueryRunner } from 'typeorm';
import type { Caller } from '../auth/sessions.service';
import { ApiError } from '../common/api-error';
import { CommitUnknownError, violatedRule } from '../common/database-error';
import { asOne, sendTogether } from '../common/statements';
import { traced } from '../common/tracing';
import { commitWith, inTransaction } from '../common/transaction';
import { RewardsService } from '../rewards/rewards.service';
import type { RewardOutcome } from '../rewards/reward-grants';
import { claimRefusal, type ClaimRefusal } from './claim-rules';
import {
  NO_LIMIT,
  claimableLock,
  countUse,
  readLimit,
  readSurroundings,
  storeClaim,
  storeKey,
  takeTurn,
  type ClaimRequest,
  type ClaimSurroundings,
} from './claim-statements';
import { canonicalCode } from './code';
import { ReferralClaim } from './referral-claim.entity';
import { ReferralCode } from './referral-code.entity';

/** A claim and the claimer's own rewards as they stand. */
export interface ClaimResult {
  claim: ReferralClaim;
  rewards: RewardOutcome[];
  /** The claim was made by an earlier request with the same Idempotency-Key. */
  replayed: boolean;
}

/** Refusals that only a constraint saw: the lock makes them impossible, the mapping keeps the answer honest. */
const REFUSAL_BY_CONSTRAINT: Record<string, ClaimRefusal | 'IDEMPOTENCY_MISMATCH' | 'INVALID_TOKEN'> = {
  referral_claims_once_per_user: 'ALREADY_CLAIMED',
  referral_claims_not_oneself: 'SELF_REFERRAL',
  referral_codes_uses_range: 'MAX_USES_REACHED',
  // two different codes at once under one key: each waits for its own lock, and the key decides
  claim_idempotency_keys_pkey: 'IDEMPOTENCY_MISMATCH',
  // erased since the guard let the request in
  app_users_erased_for_good: 'INVALID_TOKEN',
};

/**
 * Claims a referral code: decided and stored under one lock, paid after the commit (`docs/architecture.md`).
 */
@Injectable()
export class ReferralsService {
  private readonly lockClaimable: ReturnType<typeof claimableLock>;
  /** Projects that limited their users' claims when last seen: their claims take their turn from the start. A hint, no more. */
  private readonly limiting = new Set<string>();

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly rewards: RewardsService,
  ) {
    this.lockClaimable = claimableLock(dataSource);
  }

  /**
   * Claims a code for the caller and pays both sides. A retry never claims twice: it hears ALREADY_CLAIMED with the
   * existing claim, or with the same `idempotencyKey` gets that claim again.
   *
   * @param typed the code as the user typed it, at most 64 characters
   * @throws ApiError INVALID_CODE, SELF_REFERRAL, ALREADY_CLAIMED, MAX_USES_REACHED, CLAIM_LIMIT_REACHED,
   *   IDEMPOTENCY_MISMATCH, CLAIM_FAILED
   */
  async claim(caller: Caller, typed: string, idempotencyKey?: string): Promise<ClaimResult> {
    const request: ClaimRequest = {
      caller,
      claimId: randomUUID(),
      codeCanonical: canonicalCode(typed) ?? null,
      idempotency:
        idempotencyKey === undefined ? undefined : { key: idempotencyKey, requestDigest: sha256(typed) },
    };
    try {
      return await traced('referrals.claim', () => this.claimOrReplay(request));
    } catch (error) {
      throw error instanceof ApiError
        ? error
        : new ApiError('CLAIM_FAILED', { cause: error, retryAfterS: 1 });
    }
  }

  private async claimOrReplay(request: ClaimRequest): Promise<ClaimResult> {
    const claim = await this.claimOnce(request).catch(async (error: unknown) => {
      const isRepeated = error instanceof ApiError && error.code === 'ALREADY_CLAIMED';
      throw isRepeated ? await this.alreadyClaimed(request) : error;
    });
    if (claim.id !== request.claimId) return this.withRewards(claim, true);
    return { claim, rewards: await this.rewards.payNow(claim), replayed: false };
  }

  private async claimOnce(request: ClaimRequest): Promise<ReferralClaim> {
    try {
      return await inTransaction(this.dataSource, (queryRunner) => this.claimUnderLock(queryRunner, request));
    } catch (error) {
      if (error instanceof CommitUnknownError) return this.findCommitted(request, error);
      const refusal = REFUSAL_BY_CONSTRAINT[violatedRule(error) ?? ''];
      throw refusal === undefined ? error : new ApiError(refusal, { cause: error });
    }
  }

  /**
   * Lock by key, read after the lock, decide last, then write claim, use and promises together. Two round trips, and
   * for a code that cannot be claimed the same as for one that never was.
   */
  private async claimUnderLock(queryRunner: QueryRunner, request: ClaimRequest): Promise<ReferralClaim> {
    const { projectId, userId: refereeId } = request.caller;
    const { code, facts, limit } = await this.lockAndRead(queryRunner, request);
    // a twin with the same key may have finished while we waited for the lock
    const earlier = await this.findReplay(queryRunner, request, facts);
    if (earlier) return earlier;
    if (code === undefined || !facts?.isOwnerActive) throw new ApiError('INVALID_CODE');
    const refusal = claimRefusal({ ...facts, ...(limit ?? NO_LIMIT), claimerId: refereeId, code });
    if (refusal) throw new ApiError(refusal);

    const claim = { ...code, projectId, id: request.claimId, referrerId: code.ownerId, refereeId };
    const writes = {
      code: countUse(request, code.id),
      claim: storeClaim(request),
      promises: this.rewards.promise(claim),
      key: storeKey(request),
    };
    const [[stored]] = await commitWith(queryRunner, asOne<{ claimedAt: Date }>(writes, 'claim'));
    if (stored === undefined) throw new Error(`Code ${code.id} changed under its lock`);
    return { ...claim, referralCodeId: code.id, claimedAt: stored.claimedAt };
  }

  /**
   * Locks the code, takes the claimer's turn where there is a limit, and reads all else after both. Where it is news that the
   * project has a limit, the turn and what comes after it cost a round trip more.
   */
  private async lockAndRead(queryRunner: QueryRunner, request: ClaimRequest) {
    const { projectId } = request.caller;
    const inTurn = [takeTurn(request), readSurroundings(request), readLimit(request)] as const;
    if (this.limiting.has(projectId)) {
      const [[code], , [facts], [limit]] = await sendTogether(
        queryRunner,
        this.lockClaimable(request),
        ...inTurn,
      );
      if (limit?.maxClaimsPerUser === null) this.limiting.delete(projectId);
      return { code, facts, limit };
    }
    const [[code], [facts]] = await sendTogether(
      queryRunner,
      this.lockClaimable(request),
      readSurroundings(request),
    );
    if (!facts?.isLimited) return { code, facts, limit: undefined };
    this.limiting.add(projectId);
    const [, [factsInTurn], [limit]] = await sendTogether(queryRunner, ...inTurn);
    return { code, facts: factsInTurn, limit };
  }

  /** @throws ApiError IDEMPOTENCY_MISMATCH when the key was used for another request */
  private async findReplay(
    { manager }: QueryRunner,
    { caller, idempotency }: ClaimRequest,
    facts: ClaimSurroundings | undefined,
  ): Promise<ReferralClaim | undefined> {
    if (!idempotency || !facts?.keyDigest || !facts.keyClaimId) return undefined;
    if (!facts.keyDigest.equals(idempotency.requestDigest)) throw new ApiError('IDEMPOTENCY_MISMATCH');
    return manager.findOneByOrFail(ReferralClaim, { projectId: caller.projectId, id: facts.keyClaimId });
  }

  /**
   * The link died during COMMIT. Taking the lock again waits for the old transaction to end; then its claim is
   * there or it is not.
   */
  private async findCommitted(request: ClaimRequest, cause: CommitUnknownError): Promise<ReferralClaim> {
    const { projectId } = request.caller;
    const claim = await inTransaction(this.dataSource, async ({ manager }) => {
      await manager.findOne(ReferralCode, {
        where: { projectId, codeCanonical: request.codeCanonical ?? '' },
        lock: { mode: 'pessimistic_write' },
      });
      return manager.findOne(ReferralClaim, { where: { projectId, id: request.claimId } });
    });
    if (claim === null) throw cause;
    return claim;
  }

  private async withRewards(claim: ReferralClaim, replayed: boolean): Promise<ClaimResult> {
    const rewards = await this.rewards.outcomesOf(claim.projectId, claim.id, claim.refereeId);
    return { claim, rewards, replayed };
  }

  /** With the claim that stands in the way, so that a client whose answer was lost sees that it won. */
  private async alreadyClaimed({ caller, codeCanonical }: ClaimRequest): Promise<ApiError> {
    const { manager } = this.dataSource;
    const { projectId, userId: refereeId } = caller;
    const where = { projectId, codeCanonical: codeCanonical ?? '' };
    const { id: referralCodeId } = await manager.findOneByOrFail(ReferralCode, where);
    const existing = await manager.findOneByOrFail(ReferralClaim, { projectId, referralCodeId, refereeId });
    const { claim, rewards } = await this.withRewards(existing, false);
    return new ApiError('ALREADY_CLAIMED', { details: { claim: toClaimJson(claim, rewards) } });
  }
}

/** A claim as clients see it. */
export function toClaimJson(claim: ReferralClaim, rewards: RewardOutcome[]) {
  return {
    id: claim.id,
    referral_code_id: claim.referralCodeId,
    referrer_id: claim.referrerId,
    referee_id: claim.refereeId,
    claimed_at: claim.claimedAt,
    rewards,
  };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
