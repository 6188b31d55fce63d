import { ConcurrentIndexes } from './concurrent-indexes';

/**
 * What was read as a whole, and the longer the more there was of it: a page of the claims of one code, and what was
 * promised or granted to one user.
 */
export class GrowthIndexes1795360000000 extends ConcurrentIndexes {
  protected readonly indexes = {
    referral_claims_of_code: 'ON referral_claims (project_id, referral_code_id, claimed_at DESC, id DESC)',
    reward_grants_by_user: 'ON reward_grants (project_id, user_id, created_at DESC, id DESC)',
    admin_grants_by_user: 'ON admin_grants (project_id, user_id, created_at)',
  };
}
