import { Inject, Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { ApiError } from '../common/api-error';
import type { ErrorCode } from '../common/error-catalogue';
import { CONFIG, type Config } from '../config';

const WINDOW_S = 60;

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
 * `GUESSES_PER_USER` for one subject and `GUESSES_PER_ADDRESS` for one address, on each instance.
 */
@Injectable()
export class GuessLimiter {
  private readonly bySubject: RateLimiterMemory;
  private readonly byAddress: RateLimiterMemory;

  constructor(@Inject(CONFIG) { guessesPerUser, guessesPerAddress }: Config) {
    this.bySubject = new RateLimiterMemory({ points: guessesPerUser, duration: WINDOW_S });
    this.byAddress = new RateLimiterMemory({ points: guessesPerAddress, duration: WINDOW_S });
  }

  /**
   * Does the work unless too many guesses were wrong, and counts it if it turns out to be one more. Of many guesses at
   * once, those beyond the limit do not hear that they were wrong.
   *
   * @throws ApiError RATE_LIMITED, and what the work throws
   */
  async limit<T>({ wrong, subject, address }: Guess, work: () => Promise<T>): Promise<T> {
    const counters = [
      { limiter: this.bySubject, key: `${wrong}/${subject}` },
      { limiter: this.byAddress, key: `${wrong}/${address}` },
    ];
    for (const { limiter, key } of counters) {
      const state = await limiter.get(key);
      if (state && state.remainingPoints <= 0) throw tooMany(state);
    }
    try {
      return await work();
    } catch (error) {
      if (error instanceof ApiError && error.code === wrong) {
        for (const { limiter, key } of counters) await limiter.consume(key).catch(refuseTooMany);
      }
      throw error;
    }
  }
}

function tooMany({ msBeforeNext }: RateLimiterRes): ApiError {
  return new ApiError('RATE_LIMITED', { retryAfterS: Math.max(1, Math.ceil(msBeforeNext / 1000)) });
}

/** The library rejects with its state when the limit is reached, and with an error when it is broken. */
export function refuseTooMany(reason: unknown): never {
  throw reason instanceof RateLimiterRes ? tooMany(reason) : reason;
}
