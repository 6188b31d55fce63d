import type { ErrorCode } from '../common/error-catalogue';

/** What the claim of a code that can be claimed is decided on, all read under the lock on the code. */
export interface ClaimFacts {
  claimerId: string;
  code: {
    ownerId: string | null;
    currentUses: number;
    maxUses: number | null;
  };
  hasClaimedThisCode: boolean;
  claimsMade: number;
  maxClaimsPerUser: number | null;
}

export type ClaimRefusal = Extract<
  ErrorCode,
  'SELF_REFERRAL' | 'ALREADY_CLAIMED' | 'MAX_USES_REACHED' | 'CLAIM_LIMIT_REACHED'
>;

/** Every code that a claim is answered with, beside those of any client route. */
export const CLAIM_ERRORS = [
  'INVALID_CODE',
  'SELF_REFERRAL',
  'ALREADY_CLAIMED',
  'MAX_USES_REACHED',
  'CLAIM_LIMIT_REACHED',
  'IDEMPOTENCY_MISMATCH',
  'RATE_LIMITED',
  'CLAIM_FAILED',
] as const satisfies ErrorCode[];

/**
 * Why a claim is refused, or null. The order is the contract's (§2), after INVALID_CODE: somebody who retries must hear
 * ALREADY_CLAIMED even if the code has filled up since.
 */
export function claimRefusal({ code, ...facts }: ClaimFacts): ClaimRefusal | null {
  if (code.ownerId === facts.claimerId) return 'SELF_REFERRAL';
  if (facts.hasClaimedThisCode) return 'ALREADY_CLAIMED';
  if (code.maxUses !== null && code.currentUses >= code.maxUses) return 'MAX_USES_REACHED';
  if (facts.maxClaimsPerUser !== null && facts.claimsMade >= facts.maxClaimsPerUser)
    return 'CLAIM_LIMIT_REACHED';
  return null;
}
