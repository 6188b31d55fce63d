import { DEVELOPER_REFRESH_TTL_S } from '../auth/developer-token';
import type { Config } from '../config';
import { LIMITS_TABLE } from '../limits/limits-table';
import { endedSessions } from './ended-sessions';
import { oldRows, type Removal } from './removal';

/** Two checks stay whatever their age: the latest that found anything out, and the one that decides when the next is due. */
const NOT_THE_LATEST = `due_at < (SELECT max(due_at) FROM integrity_runs WHERE report IS NOT NULL)`;

/**
 * All that is ever removed because of its age, and when. What is not named here stays for ever: claims, promises, the
 * ledger, grants by hand and the audit logs above all, which refuse to be removed.
 */
export function removalsOf({ retentionS, sessionTtlS }: Config): Removal[] {
  const { sessions, idempotencyKeys, integrityRuns } = retentionS;
  return [
    ...kept(sessions, (keptS) => [
      endedSessions({ keptS, sessionTtlS }),
      oldRows({
        table: 'developer_sessions',
        time: 'greatest(created_at, rotated_at)',
        keptS: keptS + DEVELOPER_REFRESH_TTL_S,
      }),
    ]),
    ...kept(idempotencyKeys, (keptS) => [
      oldRows({ table: 'claim_idempotency_keys', time: 'created_at', keptS }),
    ]),
    ...kept(integrityRuns, (keptS) => [
      oldRows({ table: 'integrity_runs', time: 'due_at', keptS, only: NOT_THE_LATEST }),
    ]),
    oldRows({ table: LIMITS_TABLE, time: 'to_timestamp(expire / 1000.0)', keptS: 0 }),
  ];
}

/** A retention of 0 is for ever. */
function kept(keptS: number, removals: (keptS: number) => Removal[]): Removal[] {
  return keptS === 0 ? [] : removals(keptS);
}
