import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { ApiError } from '../common/api-error';
import { CONFIG, LIMITS, type Config, type LimitName } from '../config';
import type { Limit, Limiter, Standing } from './limiter';
import { LimitsMetrics } from './limits.metrics';
import { LocalLimiter } from './local-limiter';
import { SettledLimiter } from './settled-limiter';
import { Settlement } from './settlement';
import { StoredLimiter } from './stored-limiter';

/** Those that every request meets: a wait for the database would cost more than most requests do. */
const OF_EVERY_REQUEST: readonly LimitName[] = ['address', 'user', 'key'];

/** Every limit, by its name, and who counts for it. One that is set to 0 is none. */
@Injectable()
export class RateLimits {
  private readonly limiters: ReadonlyMap<LimitName, Limiter>;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CONFIG) private readonly config: Config,
    private readonly settlement: Settlement,
    private readonly metrics: LimitsMetrics,
  ) {
    const set = LIMITS.filter((name) => config.rateLimits[name].requests > 0);
    this.limiters = new Map(set.map((name) => [name, this.limiterFor(name, config.rateLimits[name])]));
  }

  /** What the limit allows; undefined for none. */
  limit(name: LimitName): Limit | undefined {
    return this.limiters.has(name) ? this.config.rateLimits[name] : undefined;
  }

  /** Counts once more for the subject; undefined where there is no limit. */
  consume(name: LimitName, subject: string): Promise<Standing> | undefined {
    return this.limiters.get(name)?.consume(subject);
  }

  /** @throws ApiError RATE_LIMITED when the subject has had all. Counts nothing. */
  async assertRoom(name: LimitName, subject: string): Promise<void> {
    const standing = await this.limiters.get(name)?.look(subject);
    if (standing?.isExceeded) throw this.refusal(name, standing);
  }

  /** What the caller is told who has had all. */
  refusal(name: LimitName, { resetS }: Standing): ApiError {
    this.metrics.count(name);
    const { requests, perS } = this.config.rateLimits[name];
    return new ApiError('RATE_LIMITED', {
      message: `The limit "${name}" is reached: ${requests} in ${perS} s. Try again after Retry-After seconds.`,
      retryAfterS: resetS,
    });
  }

  private limiterFor(name: LimitName, limit: Limit): Limiter {
    if (this.config.rateLimitStore === 'local') return new LocalLimiter(limit);
    if (!OF_EVERY_REQUEST.includes(name)) return new StoredLimiter(name, limit, this.dataSource);
    const limiter = new SettledLimiter(name, limit);
    this.settlement.include(limiter);
    return limiter;
  }
}
