import { MISSING_GUARDS } from '../database/guards';
import { inScope, type Invariant } from './invariant';

/**
 * Every column that names a row of another table, with the id that is shown of the row that has it. The tests hold
 * this list against the foreign keys of the schema.
 */
export const EDGES = [
  { table: 'sessions', column: 'user_id', target: 'app_users', id: 'id' },
  { table: 'refresh_tokens', column: 'session_id', target: 'sessions', id: 'id' },
  { table: 'refresh_tokens', column: 'parent_id', target: 'refresh_tokens', id: 'id' },
  { table: 'user_identities', column: 'user_id', target: 'app_users', id: 'user_id' },
  { table: 'balances', column: 'user_id', target: 'app_users', id: 'user_id' },
  { table: 'balances', column: 'currency_id', target: 'currencies', id: 'user_id' },
  { table: 'currency_transactions', column: 'user_id', target: 'app_users', id: 'id' },
  { table: 'currency_transactions', column: 'currency_id', target: 'currencies', id: 'id' },
  { table: 'admin_grants', column: 'user_id', target: 'app_users', id: 'id' },
  { table: 'admin_grants', column: 'currency_id', target: 'currencies', id: 'id' },
  { table: 'referral_codes', column: 'user_id', target: 'app_users', id: 'id' },
  { table: 'referral_claims', column: 'referral_code_id', target: 'referral_codes', id: 'id' },
  { table: 'referral_claims', column: 'referrer_id', target: 'app_users', id: 'id' },
  { table: 'referral_claims', column: 'referee_id', target: 'app_users', id: 'id' },
  { table: 'claim_idempotency_keys', column: 'user_id', target: 'app_users', id: 'claim_id' },
  { table: 'claim_idempotency_keys', column: 'claim_id', target: 'referral_claims', id: 'claim_id' },
  { table: 'analytics_referrers', column: 'user_id', target: 'app_users', id: 'user_id' },
  { table: 'analytics_day_rewards', column: 'currency_id', target: 'currencies', id: 'currency_id' },
  { table: 'reward_grants', column: 'claim_id', target: 'referral_claims', id: 'id' },
  { table: 'reward_grants', column: 'user_id', target: 'app_users', id: 'id' },
  { table: 'reward_grants', column: 'transaction_id', target: 'currency_transactions', id: 'id' },
];

/**
 * Two tenants may use the same id, so that a row of another tenant with the id in question proves nothing; that there
 * is none of the own tenant does.
 */
const FOREIGN_EDGES = EDGES.map(
  ({ table, column, target, id }) => `
      SELECT r.project_id, '${table}.${column}' AS "column", r.${id} AS id, r.${column} AS refers_to FROM ${table} r
       WHERE ${inScope('r')} AND r.${column} IS NOT NULL
         AND NOT EXISTS (SELECT FROM ${target} o WHERE ${inScope('o')} AND o.project_id = r.project_id AND o.id = r.${column})`,
).join(' UNION ALL ');

export const SCHEMA_INVARIANTS: Invariant[] = [
  {
    number: 5,
    name: 'tenants_apart',
    description:
      'Every row that another one refers to is there and of the same project: no edge between two tenants.',
    sql: FOREIGN_EDGES,
  },
  {
    number: 22,
    name: 'guards_armed',
    description:
      'The triggers, constraints and unique indexes that refuse broken rows are there, switched on and unchanged, for all projects.',
    sql: `SELECT $1::uuid AS project_id, g.name AS guard FROM (${MISSING_GUARDS}) g`,
  },
];
