import { inScope, type Invariant } from './invariant';

/** The claims of each code, counted once. */
const CLAIMS_PER_CODE = `
  SELECT k.project_id, k.referral_code_id, count(*) AS claims FROM referral_claims k
   WHERE ${inScope('k')} GROUP BY k.project_id, k.referral_code_id`;

/** As the schema's generated column has it, computed anew: the column could have lost its expression. */
const CANONICAL = `upper(replace(c.code, '-', '') COLLATE "C")`;

export const CLAIM_INVARIANTS: Invariant[] = [
  {
    number: 1,
    name: 'uses_counted',
    description: "A code's current_uses is the number of its claims.",
    sql: `
      SELECT c.project_id, c.id AS referral_code_id, c.current_uses, coalesce(k.claims, 0) AS claims
        FROM referral_codes c
        LEFT JOIN (${CLAIMS_PER_CODE}) k ON k.project_id = c.project_id AND k.referral_code_id = c.id
       WHERE ${inScope('c')} AND c.current_uses <> coalesce(k.claims, 0)`,
  },
  {
    number: 2,
    name: 'uses_within_max',
    description: 'No code was claimed more often than its max_uses.',
    sql: `
      SELECT c.project_id, c.id AS referral_code_id, c.max_uses, k.claims
        FROM referral_codes c
        JOIN (${CLAIMS_PER_CODE}) k ON k.project_id = c.project_id AND k.referral_code_id = c.id
       WHERE ${inScope('c')} AND k.claims > c.max_uses`,
  },
  {
    number: 3,
    name: 'no_double_claim',
    description: 'Nobody claimed a code twice.',
    sql: `
      SELECT k.project_id, k.referral_code_id, k.referee_id, count(*) AS claims FROM referral_claims k
       WHERE ${inScope('k')} GROUP BY k.project_id, k.referral_code_id, k.referee_id HAVING count(*) > 1`,
  },
  {
    number: 4,
    name: 'referrer_owns_code',
    description: "A claim's referrer is the owner of its code, and never its referee.",
    sql: `
      SELECT k.project_id, k.id AS claim_id, k.referral_code_id, k.referrer_id, k.referee_id, c.user_id AS owner_id
        FROM referral_claims k
        JOIN referral_codes c ON c.project_id = k.project_id AND c.id = k.referral_code_id
       WHERE ${inScope('k')} AND (k.referrer_id IS DISTINCT FROM c.user_id OR k.referrer_id = k.referee_id)`,
  },
  {
    number: 16,
    name: 'codes_unique',
    description: 'A user has one code at most, and no two codes of a project are spelt alike.',
    sql: `
      SELECT c.project_id, c.id AS referral_code_id, c.user_id, c.of_user, c.of_spelling
        FROM (SELECT c.project_id, c.id, c.user_id, c.code_canonical <> ${CANONICAL} AS misspelt,
                     CASE WHEN c.user_id IS NULL THEN 1 ELSE count(*) OVER (PARTITION BY c.project_id, c.user_id) END AS of_user,
                     count(*) OVER (PARTITION BY c.project_id, ${CANONICAL}) AS of_spelling
                FROM referral_codes c WHERE ${inScope('c')}) c
       WHERE c.of_user > 1 OR c.of_spelling > 1 OR c.misspelt`,
  },
  {
    number: 21,
    name: 'one_claim_per_idempotency_key',
    description: 'An idempotency key stands for one claim of its user, and a claim has one key at most.',
    sql: `
      SELECT i.project_id, i.user_id, i.claim_id, i.of_key, i.of_claim
        FROM (SELECT i.project_id, i.user_id, i.claim_id,
                     count(*) OVER (PARTITION BY i.project_id, i.user_id, i.key) AS of_key,
                     count(*) OVER (PARTITION BY i.project_id, i.claim_id) AS of_claim
                FROM claim_idempotency_keys i WHERE ${inScope('i')}) i
        JOIN referral_claims k ON k.project_id = i.project_id AND k.id = i.claim_id
       WHERE i.of_key > 1 OR i.of_claim > 1 OR i.user_id <> k.referee_id`,
  },
];
