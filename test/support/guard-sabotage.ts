import type { Sabotage } from './sabotage';

export const GUARDS = 'guards_armed';

/** What an operator, a restore or a careless script may do to the guards themselves. */
export const GUARD_SABOTAGES: Sabotage[] = [
  {
    breaks: GUARDS,
    how: 'a trigger that is switched off',
    without: ['balances.balances_within_max_balance'],
    bend: () => [],
    rows: () => [{ guard: 'balances_within_max_balance' }],
  },
  {
    breaks: GUARDS,
    how: 'all triggers of a table, with those inside its foreign keys, switched off',
    without: ['referral_claims.ALL'],
    bend: () => [],
    rows: () =>
      [
        ...['claim_idempotency_keys_claim_fkey', 'referral_claims_append_only', 'referral_claims_code_fkey'],
        ...['referral_claims_referee_fkey', 'referral_claims_referrer_owns_code', 'reward_grants_claim_fkey'],
      ].map((guard) => ({ guard })),
  },
  {
    breaks: GUARDS,
    how: 'a trigger function that lets everything through',
    bend: () => [
      `CREATE OR REPLACE FUNCTION balances_check_max() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
    ],
    rows: () => [{ guard: 'balances_check_max()' }],
  },
  {
    breaks: GUARDS,
    how: 'a rule inside of a check that allows everything',
    bend: () => [
      `CREATE OR REPLACE FUNCTION reward_is_valid(reward json) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'`,
    ],
    rows: () => [{ guard: 'reward_is_valid()' }],
  },
  {
    breaks: GUARDS,
    how: 'a trigger, a check, a key and an index that have their old names and refuse less',
    bend: () => [
      `ALTER TABLE referral_claims DROP CONSTRAINT referral_claims_not_oneself,
         ADD CONSTRAINT referral_claims_not_oneself CHECK (true)`,
      `ALTER TABLE referral_claims DROP CONSTRAINT referral_claims_once_per_user,
         ADD CONSTRAINT referral_claims_once_per_user UNIQUE (project_id, id, referee_id)`,
      `DROP INDEX refresh_tokens_one_live`,
      `CREATE UNIQUE INDEX refresh_tokens_one_live ON refresh_tokens (project_id, id)`,
      `DROP TRIGGER admin_grants_append_only ON admin_grants`,
      `CREATE TRIGGER admin_grants_append_only BEFORE UPDATE ON admin_grants EXECUTE FUNCTION refuse_change()`,
    ],
    rows: () =>
      [
        ...['admin_grants_append_only', 'referral_claims_not_oneself', 'referral_claims_once_per_user'],
        'refresh_tokens_one_live',
      ].map((guard) => ({ guard })),
  },
  {
    breaks: GUARDS,
    how: 'a check that stands on another table',
    bend: () => [
      `ALTER TABLE balances DROP CONSTRAINT balances_last_entry_no_positive`,
      `CREATE TABLE elsewhere (last_entry_no bigint, CONSTRAINT balances_last_entry_no_positive CHECK (last_entry_no >= 0))`,
    ],
    rows: () => [{ guard: 'balances_last_entry_no_positive' }],
  },
  {
    breaks: GUARDS,
    how: 'a rule that swallows what is written',
    bend: () => [`CREATE RULE swallow AS ON INSERT TO admin_grants DO INSTEAD NOTHING`],
    rows: () => [{ guard: 'swallow' }],
  },
];
