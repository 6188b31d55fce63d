const MAX_DELAY_MS = 8 * 60 * 60 * 1000;

/**
 * How long to wait after the given number of failed attempts: 2 s, 4 s, 8 s … up to 8 h, spread by ±10 % so that
 * what failed together does not come back together. 24 waits add up to 3.7 days.
 *
 * @param random in [0, 1), as Math.random
 */
export function backoffMs(attempts: number, random: number): number {
  const delay = Math.min(2 ** attempts * 1000, MAX_DELAY_MS);
  return Math.round(delay * (0.9 + 0.2 * random));
}
