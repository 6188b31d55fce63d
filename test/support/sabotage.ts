import { randomUUID } from 'node:crypto';
import { GUARD_SABOTAGES, GUARDS } from './guard-sabotage';
import type { Scene } from './scene';
import type { Player } from './world';

export interface Sabotage {
  /** The invariant that must catch it. */
  breaks: string;
  how: string;
  /** Guards to drop first, as `table constraint`; `table.trigger` is switched off, an index alone is dropped. */
  without?: string[];
  bend: (scene: Scene) => string[];
  /** The rows that must be shown. */
  rows: (scene: Scene) => object[];
  /** Others that see the same rows in their own way. */
  also?: string[];
}

export const dropGuard = (guard: string): string => {
  const [table, trigger] = guard.split('.');
  if (trigger !== undefined) return `ALTER TABLE ${table} DISABLE TRIGGER ${trigger}`;
  const [relation, constraint] = guard.split(' ');
  return constraint === undefined
    ? `DROP INDEX ${relation}`
    : `ALTER TABLE ${relation} DROP CONSTRAINT ${constraint}`;
};

const code = (p: string) => `(SELECT id FROM referral_codes WHERE project_id = '${p}' AND code = 'ADA')`;
const claim = (p: string, referrer: Player, referee: Player) => [
  `INSERT INTO referral_claims (project_id, id, referral_code_id, referrer_id, referee_id, reward_referrer, reward_referee)
   VALUES ('${p}', gen_random_uuid(), ${code(p)}, '${referrer.id}', '${referee.id}', '{}', '{}')`,
  `UPDATE referral_codes SET current_uses = current_uses + 1 WHERE id = ${code(p)}`,
];

/** A further line in the silver ledger of grace, who has 15 by three lines, with the balance brought along. */
const line = (
  { projectId: p, grace }: Scene,
  entry: { no: number; requested: number; amount: number; after: number; max?: number; reference?: string },
) => [
  `INSERT INTO currency_transactions (project_id, user_id, currency_id, entry_no, requested, amount, balance_after, max_balance,
                                      transaction_type, source, reference_id)
   SELECT project_id, '${grace.id}', id, ${entry.no}, ${entry.requested}, ${entry.amount}, ${entry.after},
          ${entry.max ?? 'max_balance'}, 'earn', 'event', ${entry.reference ? `'${entry.reference}'` : 'NULL'}
     FROM currencies WHERE project_id = '${p}' AND code = 'silver'`,
  `UPDATE balances SET balance = balance + ${entry.amount}, lifetime_earned = lifetime_earned + ${entry.amount},
          last_entry_no = ${entry.no}
    WHERE user_id = '${grace.id}' AND currency_id = (SELECT id FROM currencies WHERE project_id = '${p}' AND code = 'silver')`,
];
const gemsOf = (p: string, player: Player) =>
  `user_id = '${player.id}' AND currency_id = (SELECT id FROM currencies WHERE project_id = '${p}' AND code = 'gems')`;
const grant = (p: string, player: Player, currency: string) =>
  `project_id = '${p}' AND user_id = '${player.id}' AND currency_code = '${currency}'`;
const rotated = (p: string) =>
  `SELECT * FROM refresh_tokens WHERE project_id = '${p}' AND parent_id IS NOT NULL`;

const REFERENCE = randomUUID();

export const SABOTAGES: Sabotage[] = [
  ...GUARD_SABOTAGES,
  {
    breaks: 'uses_counted',
    how: 'a use that no claim stands for',
    bend: ({ projectId: p }) => [`UPDATE referral_codes SET current_uses = 3 WHERE id = ${code(p)}`],
    rows: () => [{ current_uses: 3, claims: 2 }],
  },
  {
    breaks: 'uses_within_max',
    how: 'a maximum below the claims that were made',
    without: ['referral_codes referral_codes_uses_range'],
    bend: ({ projectId: p }) => [`UPDATE referral_codes SET max_uses = 1 WHERE id = ${code(p)}`],
    rows: () => [{ max_uses: 1, claims: 2 }],
    also: [GUARDS],
  },
  {
    breaks: 'no_double_claim',
    how: 'a second claim',
    without: ['referral_claims referral_claims_once_per_user'],
    bend: ({ projectId: p, ada, grace }) => claim(p, ada, grace),
    rows: ({ grace }) => [{ referee_id: grace.id, claims: 2 }],
    also: [GUARDS],
  },
  {
    breaks: 'referrer_owns_code',
    how: "a claim of one's own code",
    without: ['referral_claims referral_claims_not_oneself'],
    bend: ({ projectId: p, ada }) => claim(p, ada, ada),
    rows: ({ ada }) => [{ referrer_id: ada.id, referee_id: ada.id, owner_id: ada.id }],
    also: [GUARDS],
  },
  {
    breaks: 'referrer_owns_code',
    how: 'a claim for another referrer than the owner',
    without: ['referral_claims referral_claims_referrer_owns_code'],
    bend: ({ projectId: p, ada, eve }) => claim(p, eve, ada),
    rows: ({ ada, eve }) => [{ referrer_id: eve.id, referee_id: ada.id, owner_id: ada.id }],
    also: [GUARDS],
  },
  {
    breaks: 'tenants_apart',
    how: 'a session of a user of another project',
    without: ['sessions sessions_user_fkey'],
    bend: ({ eve, other }) => [
      `UPDATE sessions SET user_id = '${other.player.id}' WHERE user_id = '${eve.id}'`,
    ],
    rows: ({ other }) => [{ column: 'sessions.user_id', refers_to: other.player.id }],
  },
  {
    breaks: 'one_grant_per_promise',
    how: 'a grant that was never promised',
    bend: ({ projectId: p, grace }) => [
      `INSERT INTO reward_grants (project_id, claim_id, side, user_id, currency_code, amount, next_attempt_at)
       SELECT project_id, claim_id, side, user_id, 'silver', 7, now() + interval '1 hour' FROM reward_grants
        WHERE ${grant(p, grace, 'gems')}`,
    ],
    rows: ({ grace }) => [{ user_id: grace.id, side: 'referee', promised: null, in_grant: 7, grants: 1 }],
  },
  {
    breaks: 'one_grant_per_promise',
    how: 'a promise that is there twice',
    without: ['reward_grants reward_grants_promise_unique'],
    bend: ({ projectId: p, eve }) => [
      `INSERT INTO reward_grants (project_id, claim_id, side, user_id, currency_code, amount, next_attempt_at)
       SELECT project_id, claim_id, side, user_id, currency_code, amount, next_attempt_at FROM reward_grants
        WHERE ${grant(p, eve, 'gold')}`,
    ],
    rows: ({ eve }) => [{ user_id: eve.id, side: 'referee', promised: 1, in_grant: 1, grants: 2 }],
    also: [GUARDS],
  },
  {
    breaks: 'one_grant_per_promise',
    how: 'a promise that was deleted',
    bend: ({ projectId: p, eve }) => [`DELETE FROM reward_grants WHERE ${grant(p, eve, 'gold')}`],
    rows: ({ eve }) => [{ user_id: eve.id, side: 'referee', promised: 1, in_grant: null, grants: 0 }],
  },
  {
    breaks: 'grant_has_ledger_line',
    how: 'a grant without its receipt',
    without: ['reward_grants reward_grants_granted_has_receipt'],
    bend: ({ projectId: p, grace }) => [
      `UPDATE reward_grants SET transaction_id = NULL WHERE ${grant(p, grace, 'gems')}`,
    ],
    rows: () => [{ status: 'granted', amount: 10, granted: 10, requested: 10, credited: 10 }],
    also: [GUARDS],
  },
  {
    breaks: 'no_double_payment',
    how: 'two lines for one source',
    without: ['currency_transactions currency_transactions_source_unique'],
    bend: (scene) =>
      [4, 5].flatMap((no) =>
        line(scene, { no, requested: 1, amount: 1, after: 12 + no, reference: REFERENCE }),
      ),
    rows: ({ grace }) => [{ source: 'event', reference_id: REFERENCE, user_id: grace.id, lines: 2 }],
    also: [GUARDS],
  },
  {
    breaks: 'admin_grants_in_ledger',
    how: 'a grant by hand that is not in the ledger',
    bend: ({ projectId: p, grace }) => [
      `INSERT INTO admin_grants (project_id, id, user_id, currency_id, amount)
       SELECT project_id, '${REFERENCE}', '${grace.id}', id, 9 FROM currencies WHERE project_id = '${p}' AND code = 'silver'`,
    ],
    rows: () => [{ grant_id: REFERENCE, transaction_id: null, amount: 9, requested: null }],
  },
  {
    breaks: 'admin_grants_in_ledger',
    how: 'a grant by hand that says another amount than its ledger line',
    without: ['admin_grants.admin_grants_append_only'],
    bend: ({ projectId: p }) => [`UPDATE admin_grants SET amount = 8 WHERE project_id = '${p}'`],
    rows: () => [{ amount: 8, requested: 7 }],
    also: [GUARDS],
  },
  {
    breaks: 'balance_is_ledger_sum',
    how: 'one unit moved from one balance to another',
    bend: ({ projectId: p, ada, grace }) => [
      `UPDATE balances SET balance = 39 WHERE ${gemsOf(p, ada)}`,
      `UPDATE balances SET balance = 11 WHERE ${gemsOf(p, grace)}`,
    ],
    rows: ({ ada, grace }) => [
      { user_id: ada.id, balance: 39, ledger: 40, last_balance_after: 40 },
      { user_id: grace.id, balance: 11, ledger: 10, last_balance_after: 10 },
    ],
  },
  {
    breaks: 'ledger_chain_unbroken',
    how: 'a line that does not begin where the last one ended',
    without: ['currency_transactions.currency_transactions_append_only'],
    bend: ({ projectId: p, grace }) => [
      `UPDATE currency_transactions SET balance_after = 11
        WHERE project_id = '${p}' AND user_id = '${grace.id}' AND balance_after = 10 AND entry_no = 2`,
    ],
    rows: () => [
      { entry_no: 2, place: 2, before: 6, previous: 5 },
      { entry_no: 3, place: 3, before: 10, previous: 11 },
    ],
    also: [GUARDS],
  },
  {
    breaks: 'balances_in_bounds',
    how: 'a maximum that was lowered below a balance',
    without: ['currencies.currencies_max_balance_covers_balances'],
    bend: ({ projectId: p }) => [
      `UPDATE currencies SET max_balance = 39 WHERE project_id = '${p}' AND code = 'gems'`,
    ],
    rows: ({ ada }) => [{ user_id: ada.id, transaction_id: null, balance: 40, max_balance: 39 }],
    also: [GUARDS],
  },
  {
    breaks: 'balances_in_bounds',
    how: 'a balance above the maximum when the line was written',
    without: ['currency_transactions currency_transactions_balance_after_range'],
    bend: (scene) => line(scene, { no: 4, requested: 0, amount: 0, after: 15, max: 14 }),
    rows: ({ grace }) => [
      { user_id: grace.id, transaction_id: expect.any(String), balance: 15, max_balance: 14 },
    ],
    also: [GUARDS],
  },
  {
    breaks: 'clamp_exact',
    how: 'a credit that gave less than fitted',
    without: ['currency_transactions currency_transactions_credit_clamped_exactly'],
    bend: (scene) => line(scene, { no: 4, requested: 5, amount: 4, after: 19 }),
    rows: ({ grace }) => [{ user_id: grace.id, requested: 5, amount: 4, balance_after: 19 }],
    also: [GUARDS],
  },
  {
    breaks: 'clamp_exact',
    how: 'a credit that gave more than was asked',
    without: ['currency_transactions currency_transactions_credit_clamped_exactly'],
    bend: (scene) => line(scene, { no: 4, requested: 5, amount: 6, after: 21 }),
    rows: ({ grace }) => [{ user_id: grace.id, requested: 5, amount: 6, balance_after: 21 }],
    also: [GUARDS],
  },
  {
    breaks: 'clamp_exact',
    how: 'a debit that took another amount',
    without: ['currency_transactions currency_transactions_debit_applied_exactly'],
    bend: (scene) => [
      ...line(scene, { no: 4, requested: -5, amount: -4, after: 11 }),
      `UPDATE balances SET lifetime_earned = 15 WHERE user_id = '${scene.grace.id}' AND last_entry_no = 4`,
    ],
    rows: ({ grace }) => [{ user_id: grace.id, requested: -5, amount: -4, balance_after: 11 }],
  },
  {
    breaks: 'control_totals_agree',
    how: 'a grant of less than the ledger says',
    bend: ({ projectId: p, grace }) => [
      `UPDATE reward_grants SET granted = 9 WHERE ${grant(p, grace, 'gems')}`,
    ],
    rows: () => [{ balances: 60, ledger: 60, ledger_of_referrals: 60, grants: 59 }],
    also: ['grant_has_ledger_line'],
  },
  {
    breaks: 'control_totals_agree',
    how: 'a balance out of nothing',
    bend: ({ projectId: p, grace }) => [`UPDATE balances SET balance = 11 WHERE ${gemsOf(p, grace)}`],
    rows: () => [{ balances: 61, ledger: 60, ledger_of_referrals: 60, grants: 60 }],
    also: ['balance_is_ledger_sum'],
  },
  {
    breaks: 'nothing_due_left_behind',
    how: 'a promise that has been due for an hour',
    bend: ({ projectId: p, eve }) => [
      `UPDATE reward_grants SET next_attempt_at = now() - interval '1 hour' WHERE ${grant(p, eve, 'gold')}`,
    ],
    rows: () => [{ attempts: 1 }],
  },
  {
    breaks: 'failures_explained',
    how: 'a dead promise without a reason',
    without: ['reward_grants reward_grants_failure_has_reason'],
    bend: ({ projectId: p }) => [
      `UPDATE reward_grants SET last_error = NULL WHERE project_id = '${p}' AND status = 'dead'`,
    ],
    rows: () => [{ status: 'dead', attempts: 25, settled_at: expect.any(String) }],
  },
  {
    breaks: 'failures_explained',
    how: 'a failed try without a reason, of a promise that is still pending',
    bend: ({ projectId: p, eve }) => [
      `UPDATE reward_grants SET last_error = NULL WHERE ${grant(p, eve, 'gold')}`,
    ],
    rows: () => [{ status: 'pending', attempts: 1, settled_at: null }],
  },
  {
    breaks: 'failures_explained',
    how: 'a grant that was settled at no time',
    without: ['reward_grants reward_grants_settled_has_time'],
    bend: ({ projectId: p, grace }) => [
      `UPDATE reward_grants SET settled_at = NULL WHERE ${grant(p, grace, 'gems')}`,
    ],
    rows: () => [{ status: 'granted', attempts: 1, settled_at: null }],
  },
  {
    breaks: 'codes_unique',
    how: 'a second code of a user',
    without: ['referral_codes referral_codes_one_per_user'],
    bend: ({ projectId: p, ada }) => [
      `INSERT INTO referral_codes (project_id, user_id, code) VALUES ('${p}', '${ada.id}', 'SECOND')`,
    ],
    rows: ({ ada }) => [1, 2].map(() => ({ user_id: ada.id, of_user: 2, of_spelling: 1 })),
    also: [GUARDS],
  },
  {
    breaks: 'codes_unique',
    how: 'a code that reads like another',
    without: ['referral_codes referral_codes_canonical_unique'],
    bend: ({ projectId: p }) => [`INSERT INTO referral_codes (project_id, code) VALUES ('${p}', 'a-d-a')`],
    rows: () => [1, 2].map(() => ({ of_user: 1, of_spelling: 2 })),
    also: [GUARDS],
  },
  {
    breaks: 'refresh_tokens_in_line',
    how: 'two live tokens in a session',
    without: ['refresh_tokens_one_live'],
    bend: ({ projectId: p }) => [
      `INSERT INTO refresh_tokens (project_id, session_id, digest, expires_at)
       SELECT project_id, session_id, sha256('another'), expires_at FROM (${rotated(p)}) t`,
    ],
    rows: () => [1, 2].map(() => ({ live: 2, siblings: 1 })),
    also: [GUARDS],
  },
  {
    breaks: 'refresh_tokens_in_line',
    how: 'two children of a token',
    without: ['refresh_tokens refresh_tokens_one_child'],
    bend: ({ projectId: p }) => [
      `INSERT INTO refresh_tokens (project_id, session_id, parent_id, digest, expires_at, used_at)
       SELECT project_id, session_id, parent_id, sha256('another'), expires_at, now() FROM (${rotated(p)}) t`,
    ],
    rows: () => [1, 2].map(() => ({ live: 1, siblings: 2 })),
    also: [GUARDS],
  },
  {
    breaks: 'revoked_sessions_stay_dead',
    how: 'a token that was used after its session was revoked',
    bend: ({ projectId: p }) => [
      `UPDATE refresh_tokens t SET used_at = s.revoked_at + interval '1 minute' FROM sessions s
        WHERE s.project_id = '${p}' AND t.session_id = s.id AND s.revoked_at IS NOT NULL`,
    ],
    rows: () => [{ session_id: expect.any(String), revoked_at: expect.any(String) }],
  },
  {
    breaks: 'disabled_users_signed_out',
    how: 'a disabled user whose session goes on',
    bend: ({ eve }) => [`UPDATE app_users SET disabled_at = now() WHERE id = '${eve.id}'`],
    rows: ({ eve }) => [{ user_id: eve.id }],
  },
  {
    breaks: 'secrets_as_digests',
    how: 'a key that is stored as it is',
    without: ['api_keys api_keys_digest_is_sha256'],
    bend: ({ projectId: p, clientKey }) => [
      `UPDATE api_keys SET digest = '${clientKey}' WHERE project_id = '${p}' AND key_type = 'client'`,
    ],
    rows: () => [{ column: 'api_keys.digest' }],
  },
  {
    breaks: 'secrets_as_digests',
    how: 'a key that is shown as it is',
    bend: ({ projectId: p, clientKey }) => [
      `UPDATE api_keys SET prefix = '${clientKey}' WHERE project_id = '${p}' AND key_type = 'client'`,
    ],
    rows: () => [{ column: 'api_keys.prefix' }],
  },
  {
    breaks: 'secrets_as_digests',
    how: 'a password that is stored as it is',
    without: ['app_users app_users_password_is_hashed'],
    bend: ({ projectId: p }) => [
      `UPDATE app_users SET password_hash = 'correct horse' WHERE project_id = '${p}' AND email IS NOT NULL`,
    ],
    rows: () => [{ column: 'app_users.password_hash' }],
  },
  {
    breaks: 'one_claim_per_idempotency_key',
    how: 'a claim with two keys',
    without: ['claim_idempotency_keys claim_idempotency_keys_claim_unique'],
    bend: ({ projectId: p, grace }) => [
      `INSERT INTO claim_idempotency_keys (project_id, user_id, key, request_digest, claim_id)
       SELECT project_id, user_id, 'other', request_digest, claim_id FROM claim_idempotency_keys
        WHERE project_id = '${p}' AND user_id = '${grace.id}'`,
    ],
    rows: ({ grace }) => [1, 2].map(() => ({ user_id: grace.id, of_key: 1, of_claim: 2 })),
    also: [GUARDS],
  },
  {
    breaks: 'rollups_add_up',
    how: 'a day on which a code was made that there is not',
    bend: ({ projectId: p }) => [`INSERT INTO analytics_days VALUES ('${p}', '2020-02-29', 1, 0, 0, 0, 0)`],
    rows: () => [{ day: '2020-02-29', codes: null, codes_made: 1 }],
  },
];
