import { ConcurrentIndexes } from './concurrent-indexes';

/** What is past its retention is found by its age, and the rest of a session by the session, however much there is. */
export class HousekeepingIndexes1795375000000 extends ConcurrentIndexes {
  protected readonly indexes = {
    refresh_tokens_by_expiry: 'ON refresh_tokens (expires_at)',
    // Also what the foreign key asks when a session goes.
    refresh_tokens_by_session: 'ON refresh_tokens (project_id, session_id)',
    developer_sessions_by_last_use: 'ON developer_sessions (greatest(created_at, rotated_at))',
    claim_idempotency_keys_by_age: 'ON claim_idempotency_keys (created_at)',
  };
}
