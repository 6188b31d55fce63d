import type { DataSource } from 'typeorm';
import type { Caller } from '../auth/sessions.service';
import type { Statement } from '../common/statements';
import type { RewardJson } from '../rewards/reward';
import { ReferralCode } from './referral-code.entity';

/** The statements of a claim. What they read is decided on in `ReferralsService`. */

/** One request to claim, under the id that its claim will have however often a transaction is tried. */
export interface ClaimRequest {
  caller: Caller;
  claimId: string;
  /** Null when what was typed cannot be a code. */
  codeCanonical: string | null;
  idempotency: { key: string; requestDigest: Buffer } | undefined;
}

/** A code as it stands under its lock. */
export interface LockedCode {
  id: string;
  ownerId: string | null;
  rewardReferrer: RewardJson;
  rewardReferee: RewardJson;
  currentUses: number;
  maxUses: number | null;
}

/** What else a claim is decided on. */
export interface ClaimSurroundings {
  /** A code that has no owner passes too. */
  isOwnerActive: boolean;
  hasClaimedThisCode: boolean;
  /** The project limits how many codes a user claims. */
  isLimited: boolean;
  /** What the request's Idempotency-Key was used for. */
  keyDigest: Buffer | null;
  keyClaimId: string | null;
}

export interface ClaimLimit {
  /** Null when there is no limit any more. */
  maxClaimsPerUser: number | null;
  claimsMade: number;
}

export const NO_LIMIT: ClaimLimit = { maxClaimsPerUser: null, claimsMade: 0 };

/** The id of no user: looking for an owner takes as long where there is none. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

/** Everything about a code is decided and changed under this lock. Only an active code is found. */
export function claimableLock(dataSource: DataSource): (request: ClaimRequest) => Statement<LockedCode> {
  const [text] = dataSource
    .createQueryBuilder(ReferralCode, 'code')
    .select('code.id', 'id')
    .addSelect('code.userId', 'ownerId')
    .addSelect('code.rewardReferrer', 'rewardReferrer')
    .addSelect('code.rewardReferee', 'rewardReferee')
    .addSelect('code.currentUses', 'currentUses')
    .addSelect('code.maxUses', 'maxUses')
    .where('code.projectId = :projectId AND code.codeCanonical = :codeCanonical')
    .andWhere('code.isActive AND code.deletedAt IS NULL')
    .setParameters({ projectId: '', codeCanonical: '' })
    .setLock('pessimistic_write')
    .getQueryAndParameters();
  return ({ caller, codeCanonical }) => ({ text, values: [caller.projectId, codeCanonical] });
}

/** Where a project limits the claims of a user, those on different codes take turns, since the codes' locks do not meet. */
export function takeTurn({ caller }: ClaimRequest): Statement {
  return {
    text: `SELECT FROM app_users WHERE project_id = $1 AND id = $2 FOR NO KEY UPDATE`,
    values: [caller.projectId, caller.userId],
  };
}

/** How many claims the user may make, and has made; to be read in turn. */
export function readLimit({ caller }: ClaimRequest): Statement<ClaimLimit> {
  return {
    text: `SELECT max_claims_per_user AS "maxClaimsPerUser",
                  (SELECT count(*) FROM referral_claims WHERE project_id = $1 AND referee_id = $2) AS "claimsMade"
             FROM projects WHERE id = $1`,
    values: [caller.projectId, caller.userId],
  };
}

/** Everything else that is known of the request, in one row whatever there is. */
export function readSurroundings(request: ClaimRequest): Statement<ClaimSurroundings> {
  const { caller, codeCanonical, idempotency } = request;
  return {
    text: `SELECT c.user_id IS NULL OR o.id IS NOT NULL AS "isOwnerActive",
                  EXISTS (SELECT FROM referral_claims
                           WHERE project_id = $1 AND referral_code_id = c.id AND referee_id = $2) AS "hasClaimedThisCode",
                  p.max_claims_per_user IS NOT NULL AS "isLimited",
                  k.request_digest AS "keyDigest", k.claim_id AS "keyClaimId"
             FROM projects p
             LEFT JOIN referral_codes c ON c.project_id = p.id AND c.code_canonical = $3
             LEFT JOIN app_users o ON o.project_id = p.id AND o.id = coalesce(c.user_id, '${NOBODY}')
                                  AND o.disabled_at IS NULL
             LEFT JOIN claim_idempotency_keys k ON k.project_id = p.id AND k.user_id = $2 AND k.key = $4
            WHERE p.id = $1`,
    values: [caller.projectId, caller.userId, codeCanonical, idempotency?.key ?? null],
  };
}

/** Returns the code as it is now, or nothing if it cannot be claimed. */
export function countUse({ caller }: ClaimRequest, codeId: string): Statement {
  return {
    text: `UPDATE referral_codes SET current_uses = current_uses + 1, updated_at = now()
            WHERE project_id = $1 AND id = $2 AND is_active AND (max_uses IS NULL OR current_uses < max_uses)
           RETURNING id, user_id, reward_referrer, reward_referee`,
    values: [caller.projectId, codeId],
  };
}

/** Stores the claim of the `code` whose use was counted, with its rewards as they are. */
export function storeClaim({ caller, claimId }: ClaimRequest): Statement<{ claimedAt: Date }> {
  return {
    text: `INSERT INTO referral_claims (project_id, id, referral_code_id, referrer_id, referee_id,
                                        reward_referrer, reward_referee)
           SELECT $1, $2, id, user_id, $3, reward_referrer, reward_referee FROM code
           RETURNING claimed_at AS "claimedAt"`,
    values: [caller.projectId, claimId, caller.userId],
  };
}

/** Keeps what the request's Idempotency-Key was used for, if it has one. */
export function storeKey({ caller, claimId, idempotency }: ClaimRequest): Statement | undefined {
  if (idempotency === undefined) return undefined;
  return {
    text: `INSERT INTO claim_idempotency_keys (project_id, user_id, key, request_digest, claim_id)
           VALUES ($1, $2, $3, $4, $5)`,
    values: [caller.projectId, caller.userId, idempotency.key, idempotency.requestDigest, claimId],
  };
}
