import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { standingOf, type Limit, type Limiter, type Standing } from './limiter';

/** Counts in the memory of this instance. */
export class LocalLimiter implements Limiter {
  private readonly counts: RateLimiterMemory;

  constructor({ requests, perS }: Limit) {
    this.counts = new RateLimiterMemory({ points: requests, duration: perS });
  }

  consume(subject: string): Promise<Standing> {
    return this.counts.consume(subject).then(hasRoom, hasNone);
  }

  async look(subject: string): Promise<Standing | undefined> {
    const state = await this.counts.get(subject);
    return state ? standingOf(state, state.remainingPoints === 0) : undefined;
  }
}

export function hasRoom(state: RateLimiterRes): Standing {
  return standingOf(state, false);
}

/** The library rejects with its state when there is no room, and with an error when it is broken. */
export function hasNone(reason: unknown): Standing {
  if (reason instanceof RateLimiterRes) return standingOf(reason, true);
  throw reason;
}
