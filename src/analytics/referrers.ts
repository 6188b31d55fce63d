import type { QueryRunner } from 'typeorm';
import {
  dayReferrers,
  openClaims,
  progress,
  referrerIds,
  type OpenClaimsRow,
  type Window,
} from './analytics-queries';
import { addDays, type Period } from './period';
import { ReferrerCounts, type ReferrerCount } from './referrer-counts';

/** Read at a time, so that a long period neither fills the memory nor keeps other requests waiting. */
const DAYS_AT_ONCE = 32;

/** Who referred in a period, with the part of it that is not yet rolled up. */
export interface Referrers {
  window: Window;
  counts: ReferrerCounts;
  open: OpenClaimsRow[];
  /** Referrers who are in no rollup yet, numbered on from those who are, by their id. */
  newNumbers: Map<string, number>;
}

/** Counts the referrers of a period in one snapshot: rolled-up days first, then what is open. */
export async function countReferrers(
  queryRunner: QueryRunner,
  projectId: string,
  { period, days }: { period: Period; days: string[] },
): Promise<Referrers> {
  const { closedUntil, highestNo } = await progress(queryRunner, projectId);
  const window = { projectId, ...period, closedUntil };
  const open = await openClaims(queryRunner, window);
  const newNumbers = numberNewReferrers(open, highestNo);
  const counts = new ReferrerCounts(highestNo + newNumbers.size, days.length);
  const indexOf = new Map(days.map((day, index) => [day, index]));

  for (let from = period.from; from <= period.to; from = addDays(from, DAYS_AT_ONCE)) {
    const last = addDays(from, DAYS_AT_ONCE - 1);
    const to = last < period.to ? last : period.to;
    for (const { day, referrers } of await dayReferrers(queryRunner, projectId, { from, to })) {
      counts.addPacked(indexOf.get(day)!, referrers);
    }
  }
  for (const { day, referrer_id, no, claims } of open) {
    const index = indexOf.get(day);
    if (index !== undefined && referrer_id !== null)
      counts.add(index, no ?? newNumbers.get(referrer_id)!, claims);
  }
  return { window, counts, open, newNumbers };
}

function numberNewReferrers(open: OpenClaimsRow[], highestNo: number): Map<string, number> {
  const numbers = new Map<string, number>();
  for (const { referrer_id, no } of open) {
    if (referrer_id !== null && no === null && !numbers.has(referrer_id)) {
      numbers.set(referrer_id, highestNo + numbers.size + 1);
    }
  }
  return numbers;
}

/** The referrers with the most claims and their ids; of equals, who referred first. */
export async function topReferrers(
  queryRunner: QueryRunner,
  { window, counts, newNumbers }: Referrers,
  length: number,
): Promise<{ app_user_id: string; claims: number }[]> {
  const top = counts.top(length);
  const ids = await referrerIds(
    queryRunner,
    window.projectId,
    top.map(({ no }) => no),
  );
  for (const [id, no] of newNumbers) ids.set(no, id);
  return top.map(({ no, claims }: ReferrerCount) => ({ app_user_id: ids.get(no)!, claims }));
}
