/** The largest amount, balance or maximum: the largest integer that JSON carries exactly. */
export const MAX_AMOUNT = Number.MAX_SAFE_INTEGER;

/**
 * How much of a credit fits: as much as the maximum leaves room for, never more, never less, and never negative,
 * so that a balance above a lowered maximum is left alone rather than taken from.
 */
export function clampCredit(requested: number, balance: number, maxBalance: number): number {
  return Math.max(0, Math.min(requested, maxBalance - balance));
}
