import { CanActivate, ExecutionContext, Inject, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { CONFIG, type Config, type RateLimitName } from '../config';
import type { AuthenticatedRequest } from './authenticated-request';
import { refuseTooMany } from './guess-limiter.service';

const RATE_LIMIT = 'rateLimit';

/** Limits how often one network address may call the route, on each instance. Contract §5: 429, `Retry-After`. */
export const RateLimited = (name: RateLimitName) => SetMetadata(RATE_LIMIT, name);

/** First of the guards, so that requests which the others would refuse count too. */
@Injectable()
export class RateLimitGuard implements CanActivate {
  private readonly limiters: Record<RateLimitName, RateLimiterMemory[]>;

  constructor(
    private readonly reflector: Reflector,
    @Inject(CONFIG) { rateLimits }: Config,
  ) {
    const limitersOf = (name: RateLimitName) =>
      rateLimits[name].map(
        ({ requests, perS }) => new RateLimiterMemory({ points: requests, duration: perS }),
      );
    this.limiters = {
      ...{ signup: limitersOf('signup'), login: limitersOf('login') },
      ...{ refresh: limitersOf('refresh'), logout: limitersOf('logout') },
    };
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const name = this.reflector.get<RateLimitName | undefined>(RATE_LIMIT, context.getHandler());
    if (name === undefined) return true;
    const { ip } = context.switchToHttp().getRequest<AuthenticatedRequest>();
    for (const limiter of this.limiters[name]) {
      await limiter.consume(ip).catch(refuseTooMany);
    }
    return true;
  }
}
