import { SHOWN_PREFIX_LENGTH } from '../auth/api-key';
import { inScope, type Invariant } from './invariant';

/**
 * A revocation is dated by its transaction, which may have begun a moment before a token whose use it waited for.
 * Statements end after 3 s, so none waits as long as this.
 */
const REVOCATION_SLACK = `interval '10 seconds'`;

/** Columns that hold a SHA-256 of a secret, each with the id that is shown of a row. */
export const DIGESTS = [
  { table: 'api_keys', column: 'digest', id: 'id' },
  { table: 'refresh_tokens', column: 'digest', id: 'id' },
  { table: 'claim_idempotency_keys', column: 'request_digest', id: 'claim_id' },
  { table: 'admin_grants', column: 'idempotency_digest', id: 'id' },
];

/** Of developers, who belong to no project: looked at when all projects are. */
const BAD_DEVELOPER_SECRETS = `
      SELECT NULL::uuid, 'personal_access_tokens.digest', t.id FROM personal_access_tokens t
       WHERE $1::uuid IS NULL AND (octet_length(t.digest) <> 32 OR char_length(t.prefix) > ${SHOWN_PREFIX_LENGTH})
       UNION ALL
      SELECT NULL::uuid, 'developers.password_hash', d.id FROM developers d
       WHERE $1::uuid IS NULL AND d.password_hash !~ '^\\$argon2id\\$v=19\\$'`;

const BAD_DIGESTS = DIGESTS.map(
  ({ table, column, id }) => `
      SELECT s.project_id, '${table}.${column}' AS "column", s.${id} AS id FROM ${table} s
       WHERE ${inScope('s')} AND octet_length(s.${column}) <> 32`,
).join(' UNION ALL ');

export const IDENTITY_INVARIANTS: Invariant[] = [
  {
    number: 17,
    name: 'refresh_tokens_in_line',
    description:
      'A session has one live refresh token at most; a token has one child at most, of its own session and after its use.',
    sql: `
      SELECT t.project_id, t.session_id, t.id AS token_id, t.live, t.siblings
        FROM (SELECT t.project_id, t.session_id, t.id, t.parent_id, t.used_at,
                     count(*) FILTER (WHERE t.used_at IS NULL) OVER (PARTITION BY t.project_id, t.session_id) AS live,
                     CASE WHEN t.parent_id IS NULL THEN 1
                          ELSE count(*) OVER (PARTITION BY t.project_id, t.parent_id) END AS siblings
                FROM refresh_tokens t WHERE ${inScope('t')}) t
        LEFT JOIN refresh_tokens p ON ${inScope('p')} AND p.project_id = t.project_id AND p.id = t.parent_id
       WHERE t.live > 1 AND t.used_at IS NULL OR t.siblings > 1
          OR p.id IS NOT NULL AND (p.used_at IS NULL OR p.session_id <> t.session_id)`,
  },
  {
    number: 18,
    name: 'revoked_sessions_stay_dead',
    description: 'No refresh token of a revoked session was issued or used after the revocation.',
    sql: `
      SELECT t.project_id, t.session_id, t.id AS token_id, s.revoked_at, t.created_at, t.used_at
        FROM sessions s JOIN refresh_tokens t ON t.project_id = s.project_id AND t.session_id = s.id
       WHERE ${inScope('s')} AND ${inScope('t')}
         AND greatest(t.created_at, t.used_at) > s.revoked_at + ${REVOCATION_SLACK}`,
  },
  {
    number: 19,
    name: 'disabled_users_signed_out',
    description: 'A disabled user has no session that is not revoked.',
    sql: `
      SELECT s.project_id, s.user_id, s.id AS session_id, u.disabled_at, s.created_at
        FROM sessions s JOIN app_users u ON u.project_id = s.project_id AND u.id = s.user_id
       WHERE ${inScope('s')} AND ${inScope('u')} AND u.disabled_at IS NOT NULL AND s.revoked_at IS NULL`,
  },
  {
    number: 20,
    name: 'secrets_as_digests',
    description:
      'Of keys and tokens only SHA-256 digests are stored, of passwords argon2id hashes, and of a key no more than its prefix.',
    sql: `${BAD_DIGESTS}
       UNION ALL
      SELECT k.project_id, 'api_keys.prefix', k.id FROM api_keys k
       WHERE ${inScope('k')} AND char_length(k.prefix) > ${SHOWN_PREFIX_LENGTH}
       UNION ALL
      SELECT u.project_id, 'app_users.password_hash', u.id FROM app_users u
       WHERE ${inScope('u')} AND u.password_hash !~ '^\\$argon2id\\$v=19\\$'
       UNION ALL ${BAD_DEVELOPER_SECRETS}`,
  },
];
