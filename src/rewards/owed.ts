import type { NewPromise, Side } from './reward-grants';
import { parseReward } from './reward';

/** A claim with its rewards, as they are frozen on it. */
export interface RewardedClaim {
  projectId: string;
  id: string;
  referrerId: string | null;
  refereeId: string;
  rewardReferrer: unknown;
  rewardReferee: unknown;
}

/** What a claim owes to both sides: one promise for each side and currency. */
export function owedFor(claim: RewardedClaim): NewPromise[] {
  return [
    ...owed('referrer', claim.referrerId, claim.rewardReferrer),
    ...owed('referee', claim.refereeId, claim.rewardReferee),
  ];
}

function owed(side: Side, userId: string | null, reward: unknown): NewPromise[] {
  if (userId === null) return [];
  // the schema lets no other reward in
  return (parseReward(reward) ?? []).map(({ currencyCode, amount }) => ({
    side,
    user_id: userId,
    currency_code: currencyCode,
    amount,
  }));
}
