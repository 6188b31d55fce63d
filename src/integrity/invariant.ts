/** What must never be otherwise, and how to look for the rows that are. */
export interface Invariant {
  /** Its place in the list; never given to another one. */
  number: number;
  /** Stable: tools and alarms know it by this. */
  name: string;
  /** What holds, in a sentence. */
  description: string;
  /**
   * One statement that returns the rows that break it, in the project `$1::uuid` or, when that is NULL, in all. Rows
   * are shown to operators: they consist of `project_id`, other ids, numbers, times and names of ours, never of
   * secrets or of what users typed. It must not fail on bad rows either: those are what it is for.
   *
   * It reads whole tables, so it joins sets, by keys that begin with the project; no subquery per row.
   */
  sql: string;
}

/** Limits the rows of a table to those that are looked at. PostgreSQL knows `$1` when it plans, and drops a half. */
export function inScope(alias: string): string {
  return `($1::uuid IS NULL OR ${alias}.project_id = $1::uuid)`;
}
