import { Injectable } from '@nestjs/common';
import { ApiError } from '../common/api-error';
import type { ErrorCode } from '../common/error-catalogue';
import { networkOf } from '../limits/network';
import { RateLimits } from '../limits/rate-limits.service';

interface Guess {
  /** The answer that tells a guess was wrong. */
  wrong: ErrorCode;
  /** Whose guess it is, or whose secret is guessed at. */
  subject: string;
  /** The network address that it came from. */
  address: string;
}

/**
 * Stops those who guess at codes and passwords. Only wrong guesses count, so that nobody else is held up: per minute
 * `GUESSES_PER_USER` for one subject and `GUESSES_PER_ADDRESS` for one address.
 */
@Injectable()
export class GuessLimiter {
  constructor(private readonly limits: RateLimits) {}

  /**
   * Does the work unless too many guesses were wrong, and counts it if it turns out to be one more. Of many guesses at
   * once, those beyond the limit do not hear that they were wrong.
   *
   * @throws ApiError RATE_LIMITED, and what the work throws
   */
  async limit<T>({ wrong, subject, address }: Guess, work: () => Promise<T>): Promise<T> {
    const counters = [
      ['guess-user', `${wrong}/${subject}`],
      ['guess-address', `${wrong}/${networkOf(address)}`],
    ] as const;
    for (const [name, guesser] of counters) await this.limits.assertRoom(name, guesser);
    try {
      return await work();
    } catch (error) {
      if (error instanceof ApiError && error.code === wrong) {
        for (const [name, guesser] of counters) {
          const standing = await this.limits.consume(name, guesser);
          if (standing?.isExceeded) throw this.limits.refusal(name, standing);
        }
      }
      throw error;
    }
  }
}
