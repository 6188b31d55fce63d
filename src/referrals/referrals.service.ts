import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { createHash, randomUUID } from 'node:crypto';
import {
  IsNull,
  type DataSource,
  type EntityManager,
  type FindOptionsWhere,
  type QueryRunner,
} from 'typeorm';
import type { Caller } from '../auth/sessions.service';
import { ApiError } from '../common/api-error';
import { CommitUnknownError, violatedRule } from '../common/database-error';
import { inTransaction } from '../common/transaction';
import { ProjectsService } from '../projects/projects.service';
import { RewardsService } from '../rewards/rewards.service';
import type { RewardOutcome } from '../rewards/reward-grants';
import { UsersService } from '../users/users.service';
import { ClaimIdempotencyKey } from './claim-idempotency-key.entity';
import { claimRefusal, type ClaimRefusal } from './claim-rules';
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

/** One request to claim, under the id that its claim will have however often a transaction is tried. */
interface ClaimRequest {
  caller: Caller;
  claimId: string;
  /** Undefined when what was typed cannot be a code. */
  codeCanonical: string | undefined;
  idempotency: { key: string; requestDigest: Buffer } | undefined;
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

const CLAIMABLE: FindOptionsWhere<ReferralCode> = { isActive: true, deletedAt: IsNull() };
/** The id of no user. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

/**
 * Claims a referral code: decided and stored under one lock, paid after the commit (`docs/architecture.md`).
 */
@Injectable()
export class ReferralsService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly rewards: RewardsService,
    private readonly projects: ProjectsService,
    private readonly users: UsersService,
  ) {}

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
      codeCanonical: canonicalCode(typed),
      idempotency:
        idempotencyKey === undefined ? undefined : { key: idempotencyKey, requestDigest: sha256(typed) },
    };
    try {
      return await this.claimOrReplay(request);
    } catch (error) {
      throw error instanceof ApiError
        ? error
        : new ApiError('CLAIM_FAILED', { cause: error, retryAfterS: 1 });
    }
  }

  private async claimOrReplay(request: ClaimRequest): Promise<ClaimResult> {
    const { caller, claimId, idempotency } = request;
    const earlier = idempotency && (await this.findReplay(this.dataSource.manager, caller, idempotency));
    if (earlier) return this.withRewards(earlier, true);

    const claim = await this.claimOnce(request).catch(async (error: unknown) => {
      const isRepeated = error instanceof ApiError && error.code === 'ALREADY_CLAIMED';
      throw isRepeated ? await this.alreadyClaimed(request) : error;
    });
    if (claim.id !== claimId) return this.withRewards(claim, true);
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

  /** Lock by key, read after the lock, decide last, then write claim, use and promises together. */
  private async claimUnderLock(queryRunner: QueryRunner, request: ClaimRequest): Promise<ReferralClaim> {
    const { manager } = queryRunner;
    const { caller, claimId, idempotency } = request;
    const found = await this.lockCode(manager, request, CLAIMABLE);

    // a twin with the same key may have finished while we waited for the lock
    const earlier = idempotency && (await this.findReplay(manager, caller, idempotency));
    if (earlier) return earlier;

    const code = await this.assertOwnerActive(manager, caller.projectId, found);
    await this.decide(manager, caller, code);
    const { projectId, userId: refereeId } = caller;
    const claim = manager.create(ReferralClaim, {
      projectId,
      id: claimId,
      referralCodeId: code.id,
      referrerId: code.userId,
      refereeId,
      rewardReferrer: code.rewardReferrer,
      rewardReferee: code.rewardReferee,
    });
    await manager.insert(ReferralClaim, claim);
    await this.countUse(manager, code);
    await this.rewards.promise(queryRunner, claim);
    if (idempotency) {
      await manager.insert(ClaimIdempotencyKey, { projectId, userId: refereeId, claimId, ...idempotency });
    }
    return claim;
  }

  /**
   * Everything about a code is decided and changed under this lock.
   *
   * @param only which codes count; the database does as much for any other as for one that never was
   * @throws ApiError INVALID_CODE for what cannot be a code
   */
  private lockCode(
    manager: EntityManager,
    { caller, codeCanonical }: ClaimRequest,
    only: FindOptionsWhere<ReferralCode> = {},
  ): Promise<ReferralCode | null> {
    if (codeCanonical === undefined) throw new ApiError('INVALID_CODE');
    return manager.findOne(ReferralCode, {
      where: { projectId: caller.projectId, codeCanonical, ...only },
      lock: { mode: 'pessimistic_write' },
    });
  }

  /**
   * Looks for an owner without a code too: how long the refusal takes must not tell whether there is one.
   *
   * @throws ApiError INVALID_CODE without a code, and for a disabled owner
   */
  private async assertOwnerActive(
    manager: EntityManager,
    projectId: string,
    code: ReferralCode | null,
  ): Promise<ReferralCode> {
    const ownerId = code === null ? NOBODY : code.userId;
    const isOwnerActive = ownerId === null || (await this.users.isActive(projectId, ownerId, manager));
    if (code === null || !isOwnerActive) throw new ApiError('INVALID_CODE');
    return code;
  }

  /** @throws ApiError with the first refusal that applies */
  private async decide(
    manager: EntityManager,
    { projectId, userId }: Caller,
    code: ReferralCode,
  ): Promise<void> {
    const maxClaimsPerUser = await this.projects.maxClaimsPerUser(projectId, manager);
    const hasClaimedThisCode = await manager.exists(ReferralClaim, {
      where: { projectId, referralCodeId: code.id, refereeId: userId },
    });
    const refusal = claimRefusal({
      claimerId: userId,
      code: {
        ownerId: code.userId,
        currentUses: code.currentUses,
        maxUses: code.maxUses,
      },
      hasClaimedThisCode,
      claimsMade: maxClaimsPerUser === null ? 0 : await this.countClaims(manager, projectId, userId),
      maxClaimsPerUser,
    });
    if (refusal) throw new ApiError(refusal);
  }

  /** Under a limit, the claims of one user on different codes take turns: the codes' locks do not meet. */
  private async countClaims(manager: EntityManager, projectId: string, refereeId: string): Promise<number> {
    await this.users.lock(projectId, refereeId, manager);
    return manager.count(ReferralClaim, { where: { projectId, refereeId } });
  }

  private async countUse(manager: EntityManager, { projectId, id }: ReferralCode): Promise<void> {
    const { affected } = await manager
      .createQueryBuilder()
      .update(ReferralCode)
      .set({ currentUses: () => 'current_uses + 1', updatedAt: () => 'now()' })
      .where('project_id = :projectId AND id = :id AND is_active', { projectId, id })
      .andWhere('(max_uses IS NULL OR current_uses < max_uses)')
      .execute();
    if (affected !== 1) throw new Error(`Code ${id} changed under its lock`);
  }

  /** @throws ApiError IDEMPOTENCY_MISMATCH when the key was used for another request */
  private async findReplay(
    manager: EntityManager,
    { projectId, userId }: Caller,
    { key, requestDigest }: NonNullable<ClaimRequest['idempotency']>,
  ): Promise<ReferralClaim | null> {
    const record = await manager.findOne(ClaimIdempotencyKey, { where: { projectId, userId, key } });
    if (record === null) return null;
    if (!record.requestDigest.equals(requestDigest)) throw new ApiError('IDEMPOTENCY_MISMATCH');
    return manager.findOneByOrFail(ReferralClaim, { projectId, id: record.claimId });
  }

  /**
   * The link died during COMMIT. Taking the lock again waits for the old transaction to end; then its claim is
   * there or it is not.
   */
  private async findCommitted(request: ClaimRequest, cause: CommitUnknownError): Promise<ReferralClaim> {
    const { projectId } = request.caller;
    const claim = await inTransaction(this.dataSource, async ({ manager }) => {
      await this.lockCode(manager, request);
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
    const { id: referralCodeId } = await manager.findOneByOrFail(ReferralCode, { projectId, codeCanonical });
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
