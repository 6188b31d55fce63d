import { StartupError } from '../common/startup-error';
import { queryOnce } from './query-once';

/** The triggers, constraints and unique indexes that the promises of `docs/architecture.md` rest on. */
const TRIGGERS = [
  'admin_grants_of_nobody_erased',
  'claim_idempotency_keys_of_nobody_erased',
  'referral_codes_of_nobody_erased',
  'user_identities_of_nobody_erased',
  'admin_grants_append_only',
  'audit_log_append_only',
  'developer_audit_log_append_only',
  'currency_transactions_append_only',
  'referral_claims_append_only',
  'balances_within_max_balance',
  'currencies_max_balance_covers_balances',
];
const UNIQUE_INDEXES = ['personal_access_tokens_one_active', 'refresh_tokens_one_live'];
const CONSTRAINTS = [
  'admin_grants_idempotency_unique',
  'admin_grants_pkey',
  'app_users_erased_is_empty',
  'balances_balance_range',
  'claim_idempotency_keys_claim_unique',
  'claim_idempotency_keys_pkey',
  'currency_transactions_balance_after_range',
  'currency_transactions_balance_fkey',
  'currency_transactions_chain_starts_at_zero',
  'currency_transactions_chain_unique',
  'currency_transactions_credit_clamped_exactly',
  'currency_transactions_source_unique',
  'referral_claims_not_oneself',
  'referral_claims_once_per_user',
  'referral_claims_referrer_owns_code',
  'referral_codes_canonical_unique',
  'referral_codes_one_per_user',
  'referral_codes_uses_range',
  'refresh_tokens_one_child',
  'reward_grants_granted_has_receipt',
  'reward_grants_granted_range',
  'reward_grants_promise_unique',
  'reward_grants_transaction_unique',
];

/**
 * A query for the `name` of each guard that is gone or not armed, in any connection to the database. A trigger can be
 * switched off; so can the triggers inside a foreign key, which stays listed as valid; an index can be invalid.
 */
export const MISSING_GUARDS = `
  SELECT name FROM unnest(${textArray([...TRIGGERS, ...CONSTRAINTS, ...UNIQUE_INDEXES])}) AS name
  EXCEPT SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relnamespace = current_schema()::regnamespace AND t.tgenabled IN ('O', 'A')
  EXCEPT SELECT c.conname FROM pg_constraint c
    WHERE c.connamespace = current_schema()::regnamespace AND c.convalidated
      AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgconstraint = c.oid AND t.tgenabled NOT IN ('O', 'A'))
  EXCEPT SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = current_schema()::regnamespace AND i.indisunique AND i.indisvalid
  ORDER BY name`;

/**
 * Looks whether the guards that the schema was made with are still there and armed: an operator may have switched
 * one off for a repair, or a restore may have left one out.
 *
 * @throws StartupError naming those that are not
 */
export async function assertGuards(databaseUrl: string): Promise<void> {
  const missing = await queryOnce<{ name: string }>(databaseUrl, MISSING_GUARDS);
  if (missing.length === 0) return;
  throw new StartupError(
    `The database lacks guards that keep claims and balances right: ${missing.map(({ name }) => name).join(', ')}. ` +
      'Restore them as in migrations/ (a trigger that is switched off: ALTER TABLE … ENABLE TRIGGER …), then start again.',
  );
}

/** The names are our own: plain words without a quote. */
function textArray(names: string[]): string {
  return `ARRAY[${names.map((name) => `'${name}'`).join(', ')}]::text[]`;
}
