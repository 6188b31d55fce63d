/** What is owed at this moment, in all projects. */
export interface Backlog {
  pending: number;
  due: number;
  /** Seconds. */
  oldest_due_s: number;
  dead: number;
}

/** Beyond that it does not matter how many they are, and it is not counted. */
export const COUNTED_AT_MOST = 10_000;

/** A query for the `Backlog`. Those due longest come first, so that of a large backlog these are counted. */
export const BACKLOG = `
  SELECT count(*) AS pending, count(*) FILTER (WHERE next_attempt_at <= now()) AS due,
         greatest(0, coalesce(extract(epoch FROM now() - min(next_attempt_at)), 0))::float8 AS oldest_due_s,
         (SELECT count(*) FROM (SELECT FROM reward_grants WHERE status = 'dead'
                                 ORDER BY settled_at LIMIT ${COUNTED_AT_MOST}) AS longest_dead) AS dead
    FROM (SELECT next_attempt_at FROM reward_grants WHERE status = 'pending'
           ORDER BY next_attempt_at LIMIT ${COUNTED_AT_MOST}) AS longest_due`;
