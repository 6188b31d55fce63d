import type { ErrorCode } from '../common/error-catalogue';

/** What a claim is decided on, all read under the lock on the code. */
export interface ClaimFacts {
  claimerId: string;
  code: {
    ownerId: string | null;
    isActive: boolean;
    isDeleted: boolean;
    isOwnerActive: boolean;
    currentUses: number;
    maxUses: number | null;
  } | null;
  hasClaimedThisCode: boolean;
  claimsMade: number;
  maxClaimsPerUser: number | null;
}

export type ClaimRefusal = Extract<
  ErrorCode,
  'INVALID_CODE' | 'SELF_REFERRAL' | 'ALREADY_CLAIMED' | 'MAX_USES_REACHED' | 'CLAIM_LIMIT_REACHED'
>;

/**
 * Why a claim is refused, or null. The order is the contract's (§2): somebody who retries must hear
 * ALREADY_CLAIMED even if the code has filled up since.
 */
export function claimRefusal({ code, ...facts }: ClaimFacts): ClaimRefusal | null {
  if (code === null || !code.isActive || code.isDeleted || !code.isOwnerActive) return 'INVALID_CODE';
  if (code.ownerId === facts.claimerId) return 'SELF_REFERRAL';
  if (facts.hasClaimedThisCode) return 'ALREADY_CLAIMED';
  if (code.maxUses !== null && code.currentUses >= code.maxUses) return 'MAX_USES_REACHED';
  if (facts.maxClaimsPerUser !== null && facts.claimsMade >= facts.maxClaimsPerUser)
    return 'CLAIM_LIMIT_REACHED';
  return null;
}
